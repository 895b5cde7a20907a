//! Canadian social insurance numbers: nine digits with a Luhn check digit (Employment
//! and Social Development Canada).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "ca_sin",
    kind: "CA_SIN",
    description: "Canadian social insurance numbers, beside words such as `SIN`; the Luhn \
                  check digit is verified.",
    default_on: true,
    context: &["sin", "sins", "social", "insurance", "nas", "assurance"],
    patterns: &[
        Pattern {
            name: "grouped",
            regex: r"(?-u:\b)[0-9]{3}[ \-][0-9]{3}[ \-][0-9]{3}(?-u:\b)",
            reach: Reach::Every(11),
        },
        Pattern {
            name: "bare",
            regex: r"(?-u:\b)[0-9]{9}(?-u:\b)",
            reach: Reach::Every(9),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits: [u8; 9] = checksum::Digits::exactly(candidate.value())?;
    // No number begins with 8; those with 0 are made up, and used in examples.
    if digits[0] == 8
        || !checksum::luhn(&digits)
        || checksum::is_repeated(&digits)
        || boundary::is_piece_of_longer(candidate)
    {
        return None;
    }
    Worth::weak(0.85, "context:sin").verdict(candidate, &["luhn"])
}
