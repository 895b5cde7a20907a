//! The crates that a build really linked, each vouched for by its own manifest and by
//! `Cargo.lock`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    Component, FileRecord, Inventory, Kind,
    licence::Licence,
    lock::{Lock, Origin},
    manifest::{Manifest, Parent},
    of_base,
    purl::cargo,
};
use crate::{Digest, ImagePath, OciError, base::BaseDescription, files};

/// The link graph of a program, as a build tool saw it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrateGraph {
    /// The crate that the program is built from.
    pub root: String,
    /// All crates in it, that one among them.
    pub crates: Vec<CrateInput>,
    /// What else is linked in, such as Rust's standard library.
    #[serde(default)]
    pub components: Vec<Component>,
}

/// A crate of the link graph.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrateInput {
    /// Its package name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its `Cargo.toml`.
    pub manifest: PathBuf,
    /// `name@version` of the crates that it uses.
    #[serde(default)]
    pub depends_on: Vec<String>,
}

/// What an inventory is written from.
#[derive(Clone, Debug)]
pub struct Inputs<'p> {
    /// The image's name.
    pub name: String,
    /// A JSON file with a [`CrateGraph`].
    pub crates: &'p Path,
    /// The workspace's `Cargo.lock`.
    pub lock: &'p Path,
    /// The workspace's own `Cargo.toml`, from which its crates inherit.
    pub workspace_manifest: Option<&'p Path>,
    /// What the base layer holds, as `base` describes it.
    pub base: Option<&'p Path>,
    /// The programs, by their names in the image.
    pub programs: Vec<(ImagePath, PathBuf)>,
}

/// Writes the inventory of an image.
///
/// # Errors
///
/// If a crate is not in the lock file, or its manifest is another crate's, or names no licence.
pub fn collect(inputs: &Inputs<'_>) -> Result<Inventory, OciError> {
    let graph: CrateGraph = files::read_json(inputs.crates)?;
    let lock = Lock::read(inputs.lock)?;
    let parent = match inputs.workspace_manifest {
        Some(path) => Parent::read(path)?,
        None => Parent::default(),
    };

    let purls: BTreeMap<String, String> = graph
        .crates
        .iter()
        .map(|it| {
            (
                format!("{}@{}", it.name, it.version),
                cargo(&it.name, &it.version),
            )
        })
        .collect();
    let mut components = graph.components;
    let extra: Vec<String> = components.iter().map(|it| it.purl.clone()).collect();
    let programs = programs(&inputs.programs)?;
    let mut root = None;
    for input in &graph.crates {
        let mut component = one(input, &lock, &parent, &purls)?;
        if input.name == graph.root {
            component.kind = Kind::Application;
            component.depends_on.extend(extra.iter().cloned());
            component.files.clone_from(&programs);
            root = Some(component.clone());
        }
        components.push(component);
    }
    let root = root.ok_or_else(|| {
        let reason = format!("root {:?} is none of the crates; list it there", graph.root);
        OciError::malformed(inputs.crates, reason)
    })?;

    let mut depends_on = vec![root.purl];
    if let Some(base) = inputs.base {
        let base: BaseDescription = files::read_json(base)?;
        let packages = of_base(&base);
        depends_on.extend(packages.iter().map(|it| it.purl.clone()));
        components.extend(packages);
    }
    let inventory = Inventory {
        name: inputs.name.clone(),
        version: root.version,
        license: root.license,
        depends_on,
        components,
    };
    Ok(inventory.normalised())
}

fn programs(programs: &[(ImagePath, PathBuf)]) -> Result<Vec<FileRecord>, OciError> {
    programs
        .iter()
        .map(|(path, file)| {
            Ok(FileRecord {
                path: format!("/{path}"),
                sha256: Digest::of(&files::read(file)?).hex(),
            })
        })
        .collect()
}

fn one(
    input: &CrateInput,
    lock: &Lock,
    parent: &Parent,
    purls: &BTreeMap<String, String>,
) -> Result<Component, OciError> {
    let bad = |reason: String| OciError::Crate {
        name: input.name.clone(),
        version: input.version.clone(),
        reason,
    };
    let manifest = Manifest::read(&input.manifest, parent)?;
    if (&manifest.name, &manifest.version) != (&input.name, &input.version) {
        return Err(bad(format!(
            "its manifest is that of {} {}; give its own",
            manifest.name, manifest.version
        )));
    }
    let origin = lock.origin(&input.name, &input.version).ok_or_else(|| {
        bad("Cargo.lock does not hold it; build with the lock file that is given".to_owned())
    })?;
    let (source, sha256) = match origin {
        Origin::Workspace => (None, None),
        Origin::Registry { source, sha256 } => (Some(source.clone()), Some(sha256.clone())),
    };
    let (license, license_text) = match manifest.licence {
        Some(Licence::Expression(expression)) => (Some(expression), None),
        Some(Licence::Text(text)) => (None, Some(text)),
        None => {
            return Err(bad(
                "its manifest states neither license nor license-file; do not link it".to_owned(),
            ));
        }
    };
    let mut depends_on = Vec::new();
    for used in &input.depends_on {
        let purl = purls.get(used).ok_or_else(|| {
            bad(format!(
                "it uses {used}, which is none of the crates; list it there"
            ))
        })?;
        depends_on.push(purl.clone());
    }
    Ok(Component {
        license,
        license_text,
        sha256,
        source,
        depends_on,
        ..Component::new(
            &input.name,
            &input.version,
            cargo(&input.name, &input.version),
        )
    })
}
