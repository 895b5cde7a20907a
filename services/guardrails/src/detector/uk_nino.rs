//! British national insurance numbers: two letters, six digits and a letter from A to D
//! (HMRC, National Insurance Manual NIM39110). They have no check digit.

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "uk_nino",
    kind: "UK_NINO",
    description: "UK national insurance numbers in their usual groups; unseparated only beside \
                  words such as `NINO`. Prefixes never issued are left out.",
    default_on: true,
    context: &["nino", "ni", "insurance", "national", "nin", "hmrc"],
    patterns: &[
        Pattern {
            name: "grouped",
            regex: r"(?-u:\b)[A-Z]{2} [0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D](?-u:\b)",
            reach: Reach::Every(13),
        },
        Pattern {
            name: "bare",
            regex: r"(?-u:\b)[A-Za-z]{2}[0-9]{6} ?[A-Da-d](?-u:\b)",
            reach: Reach::Code(11),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value().as_bytes();
    let prefix = [value[0].to_ascii_uppercase(), value[1].to_ascii_uppercase()];
    let barred = b"DFIQUV".contains(&prefix[0])
        || b"DFIOQUV".contains(&prefix[1])
        || matches!(
            &prefix,
            b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ"
        );
    if barred || boundary::is_piece_of_longer(candidate) {
        return None;
    }
    let worth = match candidate.pattern {
        "grouped" => Worth::strong(0.8, 0.95, "context:nino"),
        _ => Worth::weak(0.85, "context:nino"),
    };
    worth.verdict(candidate, &["nino_prefix"])
}
