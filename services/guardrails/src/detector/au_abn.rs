//! Australian business numbers: eleven digits, the first less one, whose weighted sum
//! is a multiple of 89 (Australian Business Register, Format of the ABN).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "au_abn",
    kind: "AU_ABN",
    description: "Australian business numbers in groups of 2-3-3-3; unseparated only beside \
                  words such as `ABN`; the weighted sum is verified. Off by default: they are \
                  public numbers of businesses.",
    default_on: false,
    context: &["abn", "business"],
    patterns: &[
        Pattern {
            name: "grouped",
            regex: r"(?-u:\b)[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}(?-u:\b)",
            reach: Reach::Every(14),
        },
        Pattern {
            name: "bare",
            regex: r"(?-u:\b)[1-9][0-9]{10}(?-u:\b)",
            reach: Reach::Every(11),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let mut digits: [u8; 11] = checksum::Digits::exactly(candidate.value())?;
    digits[0] = digits[0].checked_sub(1)?;
    let sum = checksum::weighted(&digits, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    if !sum.is_multiple_of(89) || boundary::is_piece_of_longer(candidate) {
        return None;
    }
    let worth = match candidate.pattern {
        "grouped" => Worth::strong(0.8, 0.95, "context:abn"),
        _ => Worth::weak(0.9, "context:abn"),
    };
    worth.verdict(candidate, &["mod89"])
}
