//! Which names a profile may use, and which of them do not exist yet.
//!
//! The profiles that come with the service name what a law lists. [`NOT_YET`] says which
//! of these names nothing answers to; a test fails when one of them comes to exist, so
//! that the list shrinks and never lies. A profile of the configuration may not use them:
//! whoever writes one wants to be protected now.

use crate::{classifiers, detector::registry};

/// Names in built-in profiles for which no detector or classifier exists.
pub(crate) const NOT_YET: &[&str] = &[
    "address",
    "bias",
    "location",
    "organization",
    "person",
    "profanity",
    "prompt_injection",
    "toxicity",
];

/// What a name in a profile stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A detector, by its place in the registry.
    Detector(usize),
    /// A classifier.
    Classifier,
    /// Nothing yet.
    NotYet,
    /// Nothing.
    Unknown,
}

pub(super) fn look_up(name: &str) -> Name {
    if let Some(at) = registry::index_of(name) {
        Name::Detector(at)
    } else if classifiers().contains(&name) {
        Name::Classifier
    } else if NOT_YET.contains(&name) {
        Name::NotYet
    } else {
        Name::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_not_to_exist_does_not_exist() {
        for name in NOT_YET {
            assert!(
                registry::index_of(name).is_none() && !classifiers().contains(name),
                "`{name}` exists now: take it off the list"
            );
        }
        assert!(NOT_YET.is_sorted(), "sorted and without repetition");
    }

    #[test]
    fn the_list_holds_no_name_that_no_profile_uses() {
        let used: Vec<String> = super::super::builtin::specs()
            .iter()
            .flat_map(|spec| {
                let covered = spec.coverage.iter().flat_map(|item| &item.detectors);
                let named = spec.detectors.iter().chain(&spec.classifiers);
                named.chain(covered).cloned().collect::<Vec<_>>()
            })
            .collect();
        for name in NOT_YET {
            assert!(used.iter().any(|it| it == name), "`{name}` is not used");
        }
    }
}
