//! What `Cargo.lock` says of each crate: where it came from, and its digest.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use crate::{OciError, files};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

pub(super) struct Lock {
    packages: BTreeMap<(String, String), Origin>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A crate of the workspace.
    Workspace,
    /// An archive of a registry.
    Registry { source: String, sha256: String },
}

impl Lock {
    pub(super) fn read(path: &Path) -> Result<Self, OciError> {
        Self::parse(&files::read_text(path)?).map_err(|reason| OciError::malformed(path, reason))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut packages = BTreeMap::new();
        for package in file.package {
            let Package {
                name,
                version,
                source,
                checksum,
            } = package;
            let origin = match (source, checksum) {
                (None, _) => Origin::Workspace,
                (Some(source), Some(sha256)) => Origin::Registry {
                    source: if source == CRATES_IO {
                        format!("https://crates.io/api/v1/crates/{name}/{version}/download")
                    } else {
                        source
                    },
                    sha256,
                },
                (Some(source), None) => {
                    return Err(format!(
                        "{name} {version} comes from {source} without a checksum; \
                         take it from a registry"
                    ));
                }
            };
            packages.insert((name, version), origin);
        }
        Ok(Self { packages })
    }

    pub(super) fn origin(&self, name: &str, version: &str) -> Option<&Origin> {
        self.packages.get(&(name.to_owned(), version.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_crate_of_the_workspace_has_no_source_and_others_a_checksum() {
        let lock = Lock::parse(
            r#"
            version = 4
            [[package]]
            name = "own"
            version = "0.1.0"
            [[package]]
            name = "hex"
            version = "0.4.3"
            source = "registry+https://github.com/rust-lang/crates.io-index"
            checksum = "7f24"
            "#,
        )
        .unwrap();
        assert_eq!(lock.origin("own", "0.1.0"), Some(&Origin::Workspace));
        let Some(Origin::Registry { source, sha256 }) = lock.origin("hex", "0.4.3") else {
            panic!("hex is of a registry");
        };
        assert_eq!(source, "https://crates.io/api/v1/crates/hex/0.4.3/download");
        assert_eq!(sha256, "7f24");
        assert_eq!(lock.origin("hex", "0.4.2"), None);
    }

    #[test]
    fn a_crate_without_a_checksum_is_refused() {
        let lock = Lock::parse(
            r#"
            [[package]]
            name = "x"
            version = "1.0.0"
            source = "git+https://example.org/x#abc"
            "#,
        );
        assert!(lock.is_err_and(|reason| reason.contains("x 1.0.0")));
    }
}
