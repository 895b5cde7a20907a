//! Debian's package database: which package a file belongs to, and that package's version.

use std::collections::{BTreeMap, HashMap};

use super::{Architecture, root::Root};
use crate::{ImagePath, OciError};

/// A package as `var/lib/dpkg/status` describes it.
#[derive(Clone, Debug)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) architecture: String,
    pub(super) source: String,
    pub(super) maintainer: String,
}

pub(super) struct Packages {
    packages: BTreeMap<String, Package>,
    owners: HashMap<String, String>,
}

impl Packages {
    pub(super) fn read(root: &Root, architecture: Architecture) -> Result<Self, OciError> {
        let status = ImagePath::literal("var/lib/dpkg/status");
        if !root.has(&status) {
            return Err(OciError::NotInRoot {
                path: status,
                package: "dpkg; only a Debian root will do",
            });
        }
        let packages = parse_status(&root.text(&status)?, architecture);
        let info = ImagePath::literal("var/lib/dpkg/info");
        let mut owners = HashMap::new();
        for (file, _) in root.list(&info)? {
            let Some(stem) = file.strip_suffix(".list") else {
                continue;
            };
            let (name, of) = stem.split_once(':').unwrap_or((stem, architecture.name()));
            if of != architecture.name() || !packages.contains_key(name) {
                continue;
            }
            for line in root.text(&info.join(&file)?)?.lines() {
                if let Some(path) = line.strip_prefix('/') {
                    owners
                        .entry(path.to_owned())
                        .or_insert_with(|| name.to_owned());
                }
            }
        }
        Ok(Self { packages, owners })
    }

    /// The package that a file came with. Packages older than the move of `/lib` to
    /// `/usr/lib` list their files by the old names.
    pub(super) fn owner(&self, path: &ImagePath) -> Option<&Package> {
        let path = path.as_str();
        let other = match path.strip_prefix("usr/") {
            Some(short) => short.to_owned(),
            None => format!("usr/{path}"),
        };
        let name = self.owners.get(path).or_else(|| self.owners.get(&other))?;
        self.packages.get(name)
    }
}

fn parse_status(text: &str, architecture: Architecture) -> BTreeMap<String, Package> {
    let mut packages = BTreeMap::new();
    for paragraph in text.split("\n\n") {
        let fields: BTreeMap<&str, &str> = paragraph
            .lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name, value.trim()))
            .collect();
        let field = |name| fields.get(name).copied().unwrap_or_default().to_owned();
        let installed = field("Status").ends_with(" installed");
        let of = field("Architecture");
        let name = field("Package");
        if !installed || name.is_empty() || (of != architecture.name() && of != "all") {
            continue;
        }
        let source = field("Source");
        let package = Package {
            source: if source.is_empty() {
                name.clone()
            } else {
                source
            },
            version: field("Version"),
            architecture: of,
            maintainer: field("Maintainer"),
            name: name.clone(),
        };
        packages.insert(name, package);
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "\
Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: glibc
Version: 2.36-9+deb12u14
Maintainer: GNU Libc Maintainers <x@example.org>
Description: GNU C Library
 Version: not a field

Package: libc6
Status: install ok installed
Architecture: i386
Version: 1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 2

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2025b-0
";

    #[test]
    fn installed_packages_of_the_architecture_are_read() {
        let packages = parse_status(STATUS, Architecture::Amd64);
        let names: Vec<&String> = packages.keys().collect();
        assert_eq!(names, ["libc6", "tzdata"]);
        assert_eq!(packages["libc6"].version, "2.36-9+deb12u14");
        assert_eq!(packages["libc6"].source, "glibc");
        assert_eq!(packages["tzdata"].source, "tzdata");
    }

    #[test]
    fn a_file_is_found_by_its_name_before_and_after_the_merge_of_usr() {
        let packages = Packages {
            packages: parse_status(STATUS, Architecture::Amd64),
            owners: HashMap::from([
                ("lib/x/libc.so.6".to_owned(), "libc6".to_owned()),
                ("usr/share/zoneinfo/UTC".to_owned(), "tzdata".to_owned()),
            ]),
        };
        let owner = |path| {
            packages
                .owner(&ImagePath::literal(path))
                .map(|it| it.name.as_str())
        };
        assert_eq!(owner("usr/lib/x/libc.so.6"), Some("libc6"));
        assert_eq!(owner("lib/x/libc.so.6"), Some("libc6"));
        assert_eq!(owner("usr/share/zoneinfo/UTC"), Some("tzdata"));
        assert_eq!(owner("usr/lib/x/mine.so"), None);
    }
}
