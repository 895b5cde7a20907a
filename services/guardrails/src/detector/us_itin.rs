//! US individual taxpayer numbers: written like a social security number, from 900
//! on, the group in the ranges that the IRS assigns (Internal Revenue Manual
//! 3.21.263).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "us_itin",
    kind: "US_ITIN",
    description: "US individual taxpayer identification numbers, dashed; spaced or unseparated \
                  only beside words such as `ITIN`. The ranges in use are verified.",
    default_on: true,
    context: &["itin", "taxpayer", "tax", "tin", "irs"],
    patterns: &[
        Pattern {
            name: "dashed",
            regex: r"(?-u:\b)9[0-9]{2}-[5-9][0-9]-[0-9]{4}(?-u:\b)",
            reach: Reach::Every(11),
        },
        Pattern {
            name: "other",
            regex: r"(?-u:\b)9[0-9]{2} ?[5-9][0-9] ?[0-9]{4}(?-u:\b)",
            reach: Reach::Every(11),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits: [u8; 9] = checksum::Digits::exactly(candidate.value())?;
    let group = digits[3] * 10 + digits[4];
    if !matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99) {
        return None;
    }
    // 987-65-4320 to 4329 are reserved for advertisements.
    if digits[..8] == [9, 8, 7, 6, 5, 4, 3, 2] || boundary::is_piece_of_longer(candidate) {
        return None;
    }
    let worth = match candidate.pattern {
        "dashed" => Worth::strong(0.8, 0.95, "context:itin"),
        _ => Worth::weak(0.8, "context:itin"),
    };
    worth.verdict(candidate, &["itin_ranges"])
}
