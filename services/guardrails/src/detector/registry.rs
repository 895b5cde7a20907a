//! Every detector there is, one line each, in the order that `ListDetectors` shows.

use super::{Detector, credit_card, email, ip_address, phone, us_ssn};

/// All detectors.
pub(crate) static ALL: &[&Detector] = &[
    &email::DETECTOR,
    &phone::DETECTOR,
    &us_ssn::DETECTOR,
    &credit_card::DETECTOR,
    &ip_address::DETECTOR,
];

/// The place in [`ALL`] of the detector with this name.
pub(crate) fn index_of(name: &str) -> Option<usize> {
    ALL.iter().position(|detector| detector.name == name)
}

/// The detector name most like `name`, for error messages.
pub(crate) fn nearest(name: &str) -> &'static str {
    let wanted = name.to_ascii_lowercase();
    ALL.iter()
        .map(|detector| detector.name)
        .max_by(|a, b| {
            let score = |known: &str| strsim::jaro_winkler(&wanted, known);
            score(a).total_cmp(&score(b))
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_are_unique_snake_case_and_types_are_their_upper_case_labels() {
        for (at, detector) in ALL.iter().enumerate() {
            assert_eq!(index_of(detector.name), Some(at), "{}", detector.name);
            let plain = |text: &str, letter: fn(&u8) -> bool| {
                text.bytes().all(|byte| letter(&byte) || byte == b'_')
            };
            assert!(plain(detector.name, u8::is_ascii_lowercase));
            assert!(plain(detector.kind, u8::is_ascii_uppercase));
            assert!(detector.description.ends_with('.'));
        }
    }

    #[test]
    fn the_nearest_name_of_a_slip_is_the_one_that_was_meant() {
        assert_eq!(nearest("emial"), "email");
        assert_eq!(nearest("Credit-Card"), "credit_card");
        assert_eq!(nearest("ip"), "ip_address");
        assert_eq!(nearest("ssn_us"), "us_ssn");
    }
}
