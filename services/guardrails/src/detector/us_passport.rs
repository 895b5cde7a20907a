//! US passport numbers: nine digits, or since 2021 a letter and eight digits. Nothing
//! in them can be checked (<https://travel.state.gov/>).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "us_passport",
    kind: "US_PASSPORT",
    description: "US passport numbers, nine digits or a letter and eight digits, beside words \
                  such as `passport`.",
    default_on: true,
    context: &["passport", "passports", "passportnumber"],
    patterns: &[Pattern {
        name: "passport",
        regex: r"(?-u:\b)[0-9A-Za-z][0-9]{8}(?-u:\b)",
        reach: Reach::Code(9),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    if boundary::is_piece_of_longer(candidate) {
        return None;
    }
    Worth::weak(0.8, "context:passport").verdict(candidate, &[])
}
