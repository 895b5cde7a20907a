//! Bazel labels, so that `:encoder`, `//services/encoder` and `//services/encoder:encoder`
//! compare equal.

use std::fmt;

/// `@repository//package:name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label {
    /// Empty for this repository.
    pub(crate) repository: String,
    pub(crate) package: String,
    pub(crate) name: String,
}

impl Label {
    /// A target of this repository.
    pub(crate) fn here(package: &str, name: &str) -> Self {
        Self {
            repository: String::new(),
            package: package.to_owned(),
            name: name.to_owned(),
        }
    }

    /// A crate of the hub repository that `crate.from_cargo` makes.
    pub(crate) fn external(name: &str) -> Self {
        Self {
            repository: HUB.to_owned(),
            package: String::new(),
            name: name.to_owned(),
        }
    }

    /// Reads a label as it is written in `package`'s BUILD file.
    pub(crate) fn parse(text: &str, package: &str) -> Self {
        let (repository, rest) = match text.strip_prefix('@') {
            Some(rest) => match rest.split_once("//") {
                Some((repository, path)) => (repository.trim_start_matches('@'), Some(path)),
                None => (rest, Some("")),
            },
            None => ("", text.strip_prefix("//")),
        };
        let Some(path) = rest else {
            return Self::here(package, text.strip_prefix(':').unwrap_or(text));
        };
        let (package, name) = match path.split_once(':') {
            Some((package, name)) => (package, name),
            None => (path, path.rsplit('/').next().unwrap_or(path)),
        };
        Self {
            repository: repository.to_owned(),
            package: package.to_owned(),
            name: name.to_owned(),
        }
    }

    /// As a BUILD file of `package` says it.
    pub(crate) fn seen_from(&self, package: &str) -> String {
        if self.repository.is_empty() && self.package == package {
            format!(":{}", self.name)
        } else {
            self.to_string()
        }
    }

    /// Whether the label is of the hub of Cargo's crates.
    pub(crate) fn is_external_crate(&self) -> bool {
        self.repository == HUB
    }
}

/// The repository of MODULE.bazel's `crate.from_cargo`.
const HUB: &str = "crates";

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.repository.is_empty() {
            write!(f, "@{}", self.repository)?;
        }
        write!(f, "//{}", self.package)?;
        let folder = self.package.rsplit('/').next().unwrap_or_default();
        if folder != self.name || !self.repository.is_empty() {
            write!(f, ":{}", self.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_label_are_equal() {
        let encoder = Label::here("services/encoder", "encoder");
        for text in [
            ":encoder",
            "encoder",
            "//services/encoder",
            "//services/encoder:encoder",
        ] {
            assert_eq!(Label::parse(text, "services/encoder"), encoder, "{text}");
        }
        assert_eq!(
            Label::parse("@crates//:serde", "proto"),
            Label::external("serde")
        );
        assert_eq!(
            Label::parse("@@crates//:serde", "proto"),
            Label::external("serde")
        );
    }

    #[test]
    fn a_label_is_written_short() {
        let encoder = Label::here("services/encoder", "encoder");
        assert_eq!(encoder.seen_from("services/encoder"), ":encoder");
        assert_eq!(encoder.seen_from("proto"), "//services/encoder");
        assert_eq!(Label::here("a/b", "c").seen_from(""), "//a/b:c");
        assert_eq!(
            Label::external("serde").seen_from("proto"),
            "@crates//:serde"
        );
    }
}
