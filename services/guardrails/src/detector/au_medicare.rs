//! Australian Medicare card numbers: eight digits, a check digit and an issue number,
//! perhaps with the number of the person on the card (Services Australia).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "au_medicare",
    kind: "AU_MEDICARE",
    description: "Australian Medicare card numbers, beside words such as `Medicare`; the check \
                  digit is verified.",
    default_on: true,
    context: &["medicare"],
    patterns: &[Pattern {
        name: "medicare",
        regex: r"(?-u:\b)[2-6][0-9]{3} ?[0-9]{5} ?[0-9](?:[ /\-]?[1-9])?(?-u:\b)",
        reach: Reach::Every(14),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits = checksum::Digits::of(candidate.value())?;
    if !matches!(digits.len(), 10 | 11) {
        return None;
    }
    let sum = checksum::weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9]);
    // The issue number, in the tenth place, begins at 1.
    if sum % 10 != u32::from(digits[8]) || digits[9] == 0 || boundary::is_piece_of_longer(candidate)
    {
        return None;
    }
    Worth::weak(0.9, "context:medicare").verdict(candidate, &["mod10"])
}
