//! Polish PESEL numbers: date of birth, with the century in the month, a serial and a
//! check digit (ustawa o ewidencji ludnosci, art. 15).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "pl_pesel",
    kind: "PL_PESEL",
    description: "Polish PESEL numbers, beside words such as `PESEL`; date and check digit are \
                  verified.",
    default_on: true,
    context: &["pesel"],
    patterns: &[Pattern {
        name: "bare",
        regex: r"(?-u:\b)[0-9]{11}(?-u:\b)",
        reach: Reach::Every(11),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits: [u8; 11] = checksum::Digits::exactly(candidate.value())?;
    let sum = checksum::weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    // The month carries the century: 81 to 92, 1 to 12, 21 to 32, ...
    let month = checksum::number(&digits[2..4]) % 20;
    let day = checksum::number(&digits[4..6]);
    if !sum.is_multiple_of(10)
        || !checksum::is_month_and_day(month, day)
        || boundary::is_piece_of_longer(candidate)
    {
        return None;
    }
    Worth::weak(0.92, "context:pesel").verdict(candidate, &["pesel_check", "date"])
}
