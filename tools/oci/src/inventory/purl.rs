//! Package URLs: the names by which vulnerability databases know a component.
//!
//! <https://github.com/package-url/purl-spec/blob/main/PURL-SPECIFICATION.rst>

use std::fmt::Write as _;

use crate::base::{BasePackage, Distribution};

/// Of a crate.
pub(super) fn cargo(name: &str, version: &str) -> String {
    format!("pkg:cargo/{}@{}", encode(name), encode(version))
}

/// Of something that no package manager knows.
pub(super) fn generic(name: &str, version: &str) -> String {
    format!("pkg:generic/{}@{}", encode(name), encode(version))
}

/// Of a Debian package.
pub(super) fn deb(distribution: &Distribution, package: &BasePackage) -> String {
    format!(
        "pkg:deb/{}/{}@{}?arch={}&distro={}-{}",
        encode(&distribution.id),
        encode(&package.name),
        encode(&package.version),
        encode(&package.architecture),
        encode(&distribution.id),
        encode(&distribution.version),
    )
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                encoded.push(char::from(byte));
            }
            other => {
                let _ = write!(encoded, "%{other:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_with_a_plus_are_encoded() {
        assert_eq!(
            cargo("toml", "1.2.1+spec-1.1.0"),
            "pkg:cargo/toml@1.2.1%2Bspec-1.1.0"
        );
    }

    #[test]
    fn a_debian_package_names_its_architecture_and_distribution() {
        let distribution = Distribution {
            id: "debian".into(),
            version: "12".into(),
        };
        let package = BasePackage {
            name: "libc6".into(),
            version: "2.36-9+deb12u14".into(),
            architecture: "amd64".into(),
            source: "glibc".into(),
            files: Vec::new(),
        };
        assert_eq!(
            deb(&distribution, &package),
            "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12"
        );
    }
}
