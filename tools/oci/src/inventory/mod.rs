//! What an image is made of: the list that both kinds of bill of materials are written from.

mod crates;
mod licence;
mod lock;
mod manifest;
mod purl;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use self::crates::{CrateGraph, CrateInput, Inputs, collect};
use self::purl::{deb, generic};
use crate::{
    Digest,
    base::{BaseDescription, BaseFile},
};

/// Of the files that this project wrote.
const OWN_LICENCE: &str = "Apache-2.0";

/// An image and its components.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// The image's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its own licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// What it holds directly, by package URL.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Everything in it.
    pub components: Vec<Component>,
}

/// One part of an image that has an origin and a version of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// `library` unless said otherwise.
    #[serde(default)]
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// An SPDX licence expression; none where nobody has stated one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// The licence's text, where it is none of SPDX's list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_text: Option<String>,
    /// The package URL, by which others name it.
    pub purl: String,
    /// The digest of the archive that it came as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where that archive is to be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What it uses, by package URL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Its files in the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRecord>,
}

/// What sort of thing a component is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Linked or loaded by a program.
    #[default]
    Library,
    /// A program.
    Application,
    /// Data, such as time zones.
    Data,
}

/// A file of a component, as it lies in the image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Its absolute name.
    pub path: String,
    /// The digest of its bytes, in hex.
    pub sha256: String,
}

impl Component {
    /// A library of which no more is known.
    fn new(name: &str, version: &str, purl: String) -> Self {
        Self {
            kind: Kind::default(),
            name: name.to_owned(),
            version: version.to_owned(),
            license: None,
            license_text: None,
            purl,
            sha256: None,
            source: None,
            depends_on: Vec::new(),
            files: Vec::new(),
        }
    }
}

impl Inventory {
    /// The same inventory in the one order: components by package URL, each once, and so
    /// their files and uses. A use of something that is not in the image is dropped.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        let mut by_purl: BTreeMap<String, Component> = BTreeMap::new();
        for mut component in std::mem::take(&mut self.components) {
            match by_purl.get_mut(&component.purl) {
                Some(there) => {
                    there.depends_on.append(&mut component.depends_on);
                    there.files.append(&mut component.files);
                }
                None => {
                    by_purl.insert(component.purl.clone(), component);
                }
            }
        }
        let known: BTreeSet<String> = by_purl.keys().cloned().collect();
        let tidy = |uses: &mut Vec<String>, user: &str| {
            uses.retain(|purl| purl != user && known.contains(purl));
            uses.sort();
            uses.dedup();
        };
        tidy(&mut self.depends_on, "");
        for (purl, component) in &mut by_purl {
            tidy(&mut component.depends_on, purl);
            component.files.sort();
            component.files.dedup();
        }
        self.components = by_purl.into_values().collect();
        self
    }

    /// The digest of everything that it says.
    pub(crate) fn digest(&self) -> Digest {
        // Serializing strings and lists into memory has no way to fail.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The packages of a base, and what this project wrote into it, as components.
pub(crate) fn of_base(base: &BaseDescription) -> Vec<Component> {
    let mut components: Vec<Component> = base
        .packages
        .iter()
        .map(|package| Component {
            kind: match package.name.as_str() {
                "ca-certificates" | "tzdata" | "tzdata-legacy" => Kind::Data,
                _ => Kind::Library,
            },
            files: records(&package.files),
            // Debian states licences file by file, in the notice that the base holds.
            ..Component::new(
                &package.name,
                &package.version,
                deb(&base.distribution, package),
            )
        })
        .collect();
    components.push(Component {
        kind: Kind::Data,
        license: Some(OWN_LICENCE.to_owned()),
        files: records(&base.own),
        ..Component::new(
            "signalbox-base",
            env!("CARGO_PKG_VERSION"),
            generic("signalbox-base", env!("CARGO_PKG_VERSION")),
        )
    });
    components
}

fn records(files: &[BaseFile]) -> Vec<FileRecord> {
    files
        .iter()
        .map(|file| FileRecord {
            path: format!("/{}", file.path),
            sha256: file.sha256.hex(),
        })
        .collect()
}
