//! What a crate's own `Cargo.toml` says of its name, version and licence.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::licence::Licence;
use crate::{OciError, files};

#[derive(Debug, Deserialize)]
struct File {
    package: Option<Package>,
    workspace: Option<Workspace>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: Option<String>,
    version: Option<Field>,
    license: Option<Field>,
    license_file: Option<Field>,
}

#[derive(Debug, Deserialize)]
struct Workspace {
    package: Option<Package>,
}

/// A value, or `{ workspace = true }`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Field {
    Value(String),
    Inherited { workspace: bool },
}

/// A crate's manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) licence: Option<Licence>,
}

/// Where crates of the workspace inherit from.
#[derive(Debug, Default)]
pub(super) struct Parent {
    folder: PathBuf,
    package: Package,
}

impl Parent {
    pub(super) fn read(path: &Path) -> Result<Self, OciError> {
        let file = parse(path)?;
        Ok(Self {
            folder: path.parent().unwrap_or(Path::new("")).to_owned(),
            package: file.workspace.and_then(|it| it.package).unwrap_or_default(),
        })
    }
}

fn parse(path: &Path) -> Result<File, OciError> {
    toml::from_str(&files::read_text(path)?).map_err(|error| OciError::malformed(path, error))
}

/// A field's value, and the folder that a file's name in it is relative to.
fn inherit<'v>(
    own: &'v Option<Field>,
    folder: &'v Path,
    parents: &'v Option<Field>,
    parent: &'v Path,
) -> Option<(&'v str, &'v Path)> {
    match own {
        Some(Field::Value(value)) => Some((value, folder)),
        Some(Field::Inherited { workspace: true }) => match parents {
            Some(Field::Value(value)) => Some((value, parent)),
            _ => None,
        },
        _ => None,
    }
}

impl Manifest {
    pub(super) fn read(path: &Path, parent: &Parent) -> Result<Self, OciError> {
        let package = parse(path)?.package.unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new(""));
        let above = &parent.package;
        let field = |own, parents| inherit(own, folder, parents, &parent.folder);

        let version = field(&package.version, &above.version);
        let (Some(name), Some((version, _))) = (package.name, version) else {
            let reason = "it names no package with a version; give a crate's Cargo.toml, and \
                          --workspace-manifest for one that inherits";
            return Err(OciError::malformed(path, reason));
        };
        let licence = if let Some((expression, _)) = field(&package.license, &above.license) {
            let licence = Licence::expression(expression)
                .map_err(|reason| OciError::malformed(path, reason))?;
            Some(licence)
        } else if let Some((file, folder)) = field(&package.license_file, &above.license_file) {
            Some(Licence::Text(files::read_text(&folder.join(file))?))
        } else {
            None
        };
        Ok(Self {
            name,
            version: version.to_owned(),
            licence,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(crate_manifest: &str, workspace: &str) -> Result<Manifest, OciError> {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("x");
        std::fs::create_dir(&below).unwrap();
        std::fs::write(below.join("Cargo.toml"), crate_manifest).unwrap();
        std::fs::write(below.join("COPYING"), "own terms").unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), workspace).unwrap();
        let parent = Parent::read(&folder.path().join("Cargo.toml")).unwrap();
        Manifest::read(&below.join("Cargo.toml"), &parent)
    }

    const WORKSPACE: &str =
        "[workspace]\nmembers = []\n[workspace.package]\nversion = '0.1.0'\nlicense = 'ISC'";

    #[test]
    fn inherits_from_the_workspace_what_it_says_it_inherits() {
        let manifest = read(
            "[package]\nname = 'x'\nversion.workspace = true\nlicense.workspace = true",
            WORKSPACE,
        )
        .unwrap();
        assert_eq!(manifest.version, "0.1.0");
        assert_eq!(manifest.licence, Some(Licence::Expression("ISC".into())));
    }

    #[test]
    fn a_licence_that_is_not_inherited_is_not_assumed() {
        let manifest = read("[package]\nname = 'x'\nversion = '1.0.0'", WORKSPACE).unwrap();
        assert_eq!(manifest.licence, None);
    }

    #[test]
    fn a_licence_file_is_taken_as_text() {
        let manifest = read(
            "[package]\nname = 'x'\nversion = '1.0.0'\nlicense-file = 'COPYING'",
            WORKSPACE,
        )
        .unwrap();
        assert_eq!(manifest.licence, Some(Licence::Text("own terms".into())));
    }

    #[test]
    fn a_manifest_without_a_package_is_named() {
        let error = read("[workspace]", WORKSPACE).unwrap_err().to_string();
        assert!(error.contains("Cargo.toml") && error.contains("--workspace-manifest"));
    }
}
