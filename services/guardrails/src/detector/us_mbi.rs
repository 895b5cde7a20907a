//! Medicare beneficiary identifiers: eleven places, each with its own set of letters
//! or digits (CMS, Understanding the MBI).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "us_mbi",
    kind: "US_MBI",
    description: "US Medicare beneficiary identifiers: with dashes, or bare beside words such as \
                  `Medicare`; the set of each place is verified.",
    default_on: true,
    context: &["mbi", "medicare", "beneficiary", "hicn", "cms"],
    patterns: &[
        Pattern {
            name: "dashed",
            regex: concat!(
                r"(?-u:\b)[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y][0-9]",
                r"-[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y][0-9]",
                r"-[AC-HJKMNP-RT-Y]{2}[0-9]{2}(?-u:\b)"
            ),
            reach: Reach::Every(13),
        },
        Pattern {
            name: "bare",
            regex: concat!(
                r"(?-u:\b)[1-9][AC-HJKMNP-RT-Yac-hjkmnp-rt-y][0-9AC-HJKMNP-RT-Yac-hjkmnp-rt-y][0-9]",
                r"[AC-HJKMNP-RT-Yac-hjkmnp-rt-y][0-9AC-HJKMNP-RT-Yac-hjkmnp-rt-y][0-9]",
                r"[AC-HJKMNP-RT-Yac-hjkmnp-rt-y]{2}[0-9]{2}(?-u:\b)"
            ),
            reach: Reach::Every(11),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    if boundary::is_piece_of_longer(candidate) {
        return None;
    }
    let worth = match candidate.pattern {
        "dashed" => Worth::strong(0.85, 0.95, "context:medicare"),
        _ => Worth::weak(0.9, "context:medicare"),
    };
    worth.verdict(candidate, &["mbi_places"])
}
