//! Dutch citizen service numbers (burgerservicenummer): nine digits that pass the
//! eleven test, the last weighted minus one (Wet algemene bepalingen
//! burgerservicenummer).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "nl_bsn",
    kind: "NL_BSN",
    description: "Dutch citizen service numbers, beside words such as `BSN`; the eleven test \
                  is verified.",
    default_on: true,
    context: &[
        "bsn",
        "burgerservicenummer",
        "sofinummer",
        "sofi",
        "burgerservice",
    ],
    patterns: &[
        Pattern {
            name: "bsn",
            regex: r"(?-u:\b)[0-9]{4}(?:[0-9]{5}|[ .][0-9]{2}[ .][0-9]{3})(?-u:\b)",
            reach: Reach::Every(11),
        },
        Pattern {
            name: "bare_eight",
            regex: r"(?-u:\b)[0-9]{8}(?-u:\b)",
            reach: Reach::Every(8),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let given = checksum::Digits::of(candidate.value())?;
    let mut digits = [0; 9];
    // A leading zero may be left out.
    digits[9_usize.checked_sub(given.len())?..].copy_from_slice(&given);
    let sum = checksum::weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    if sum % 11 != u32::from(digits[8])
        || checksum::is_repeated(&digits)
        || boundary::is_piece_of_longer(candidate)
    {
        return None;
    }
    Worth::weak(0.9, "context:bsn").verdict(candidate, &["mod11"])
}
