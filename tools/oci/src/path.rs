//! Names of files inside an image, in one spelling: relative to its root, parts joined by
//! `/`, no `.` or `..`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::OciError;

/// A file's name inside an image, like `usr/bin/signalbox`; displayed without the first `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImagePath(String);

impl ImagePath {
    /// Reads a name, with or without `/` or `./` before it.
    ///
    /// # Errors
    ///
    /// If a part of it is `..`, or it names the root itself.
    pub fn parse(text: &str) -> Result<Self, OciError> {
        let bad = |reason| OciError::BadPath {
            path: text.to_owned(),
            reason,
        };
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => return Err(bad("it has a part `..`; write the real path")),
                part => parts.push(part),
            }
        }
        if parts.is_empty() {
            return Err(bad("it names the root itself; name a file below it"));
        }
        if text.contains('\0') {
            return Err(bad("it has a NUL character"));
        }
        Ok(Self(parts.join("/")))
    }

    /// A literal of this crate.
    pub(crate) fn literal(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// The name without the first `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory that holds it; none directly below the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('/')?;
        Some(Self(parent.to_owned()))
    }

    /// Its last part.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0
            .rsplit_once('/')
            .map_or(self.0.as_str(), |(_, name)| name)
    }

    /// This directory's entry of that name.
    ///
    /// # Errors
    ///
    /// As [`ImagePath::parse`].
    pub fn join(&self, below: &str) -> Result<Self, OciError> {
        Self::parse(&format!("{}/{below}", self.0))
    }

    /// The relative symlink target that, put at `self`, leads to `to`.
    #[must_use]
    pub fn link_to(&self, to: &Self) -> String {
        let from: Vec<&str> = self.0.split('/').collect();
        let to: Vec<&str> = to.0.split('/').collect();
        let from = &from[..from.len() - 1];
        let shared = from
            .iter()
            .zip(&to[..to.len() - 1])
            .take_while(|(a, b)| a == b)
            .count();
        let mut target = "../".repeat(from.len() - shared);
        target.push_str(&to[shared..].join("/"));
        target
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for ImagePath {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ImagePath {
    type Error = OciError;

    fn try_from(text: String) -> Result<Self, OciError> {
        Self::parse(&text)
    }
}

impl From<ImagePath> for String {
    fn from(path: ImagePath) -> Self {
        path.0
    }
}

/// Follows a symlink's text from the directory that holds it: the parts of where it leads,
/// before any symlink on that way is followed. `..` at the root stays there, as in a kernel.
pub(crate) fn follow(directory: Option<&ImagePath>, target: &str) -> Vec<String> {
    let mut parts: Vec<String> = match directory {
        Some(directory) if !target.starts_with('/') => {
            directory.0.split('/').map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part.to_owned()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).unwrap()
    }

    #[test]
    fn one_spelling_for_all_ways_to_write_a_name() {
        for text in ["usr/bin/x", "/usr/bin/x", "./usr//bin/./x", "usr/bin/x/"] {
            assert_eq!(path(text).as_str(), "usr/bin/x");
        }
    }

    #[test]
    fn refuses_names_that_lead_out_of_the_image() {
        for text in ["", "/", ".", "../etc/passwd", "usr/../../etc", "a\0b"] {
            assert!(ImagePath::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn links_are_relative() {
        let link = path("usr/lib64/ld.so");
        assert_eq!(link.link_to(&path("usr/lib/x/ld.so")), "../lib/x/ld.so");
        assert_eq!(path("lib").link_to(&path("usr/lib")), "usr/lib");
        assert_eq!(path("a/b").link_to(&path("a/c")), "c");
    }

    #[test]
    fn a_link_followed_from_its_directory_leads_to_its_target() {
        let (link, target) = (path("usr/lib64/ld.so"), path("usr/lib/x/ld.so"));
        let parts = follow(link.parent().as_ref(), &link.link_to(&target));
        assert_eq!(parts.join("/"), target.as_str());
        assert_eq!(follow(link.parent().as_ref(), "/etc/x"), ["etc", "x"]);
        assert_eq!(follow(None, "../../x"), ["x"]);
    }
}
