//! What to do about findings. One profile exists so far; a profile is a name and a
//! decision, so more of them are more values here.

use crate::finding::Finding;

/// What to do with a text.
/// From the mildest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// Nothing was found that the policy minds.
    Allow,
    /// Let through with the findings replaced.
    Redact,
}

/// A policy profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Personal data is redacted, everything else let through.
    Default,
}

/// No policy has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy `{0}` does not exist")]
pub(crate) struct UnknownPolicy(pub(crate) String);

impl Policy {
    /// The policy with this name; the empty name is the default one's.
    pub(crate) fn named(name: &str) -> Result<Self, UnknownPolicy> {
        match name {
            "" | "default" => Ok(Self::Default),
            unknown => Err(UnknownPolicy(unknown.to_owned())),
        }
    }

    /// What to do with a text that holds these findings.
    pub(crate) fn decide(self, findings: &[Finding]) -> Action {
        match self {
            Self::Default if findings.is_empty() => Action::Allow,
            Self::Default => Action::Redact,
        }
    }
}
