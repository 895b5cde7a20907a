//! What a base is made of, for the bill of materials.

use serde::{Deserialize, Serialize};

use crate::{Digest, ImagePath};

/// The files of a base by the package that they come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseDescription {
    /// The distribution of the root.
    pub distribution: Distribution,
    /// Its packages, by name.
    pub packages: Vec<BasePackage>,
    /// Files that this project wrote, by path.
    pub own: Vec<BaseFile>,
}

/// A Linux distribution, as its `os-release` names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// `debian`.
    pub id: String,
    /// `12`, or the code name where there is no number yet.
    pub version: String,
}

/// A package of which the base holds files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasePackage {
    /// Its name.
    pub name: String,
    /// Its version, with epoch and revision.
    pub version: String,
    /// `amd64`, `arm64` or `all`.
    pub architecture: String,
    /// The source package, and its version where that differs, as `Source:` says it.
    pub source: String,
    /// Its files in the base.
    pub files: Vec<BaseFile>,
}

/// A file of the base.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseFile {
    /// Its name in the image.
    pub path: ImagePath,
    /// The digest of its bytes.
    pub sha256: Digest,
}
