//! What the check found.

use std::fmt;

/// One disagreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file that is wrong, from the workspace's root.
    pub file: String,
    /// The rule in it, if the finding is of one.
    pub target: Option<String>,
    /// The attribute, likewise.
    pub attribute: Option<String>,
    /// Cargo's side.
    pub cargo: String,
    /// Bazel's side.
    pub build: String,
    /// What to do, where `mend` cannot.
    pub by_hand: Option<&'static str>,
}

impl Finding {
    pub(crate) fn of(file: &str, cargo: impl Into<String>, build: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            target: None,
            attribute: None,
            cargo: cargo.into(),
            build: build.into(),
            by_hand: None,
        }
    }

    pub(crate) fn target(mut self, target: &str) -> Self {
        self.target = Some(target.to_owned());
        self
    }

    pub(crate) fn attribute(mut self, attribute: &str) -> Self {
        self.attribute = Some(attribute.to_owned());
        self
    }

    pub(crate) fn by_hand(mut self, what: &'static str) -> Self {
        self.by_hand = Some(what);
        self
    }
}

impl fmt::Display for Finding {
    /// `FILE: TARGET: ATTRIBUTE: Cargo says ...; BUILD says ...`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        for part in [&self.target, &self.attribute].into_iter().flatten() {
            write!(f, "{part}: ")?;
        }
        write!(f, "Cargo says {}; BUILD says {}", self.cargo, self.build)?;
        match self.by_hand {
            Some(what) => write!(f, " (by hand: {what})"),
            None => Ok(()),
        }
    }
}
