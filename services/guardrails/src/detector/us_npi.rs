//! National provider identifiers of US health care: ten digits that pass Luhn behind
//! the prefix 80840 (45 CFR 162.406; CMS, Requirements for NPI check digit).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "us_npi",
    kind: "US_NPI",
    description: "US national provider identifiers, beside words such as `NPI` or `provider`; \
                  the check digit is verified.",
    default_on: true,
    context: &["npi", "provider", "prescriber", "physician", "nppes"],
    patterns: &[Pattern {
        name: "bare",
        regex: r"(?-u:\b)[12][0-9]{9}(?-u:\b)",
        reach: Reach::Every(10),
    }],
    validate,
};

/// What the prefix 80840 adds to the Luhn sum.
const PREFIX_SUM: u32 = 24;

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits: [u8; 10] = checksum::Digits::exactly(candidate.value())?;
    let sum = checksum::luhn_sum(&digits) + PREFIX_SUM;
    if !sum.is_multiple_of(10) || boundary::is_piece_of_longer(candidate) {
        return None;
    }
    Worth::weak(0.9, "context:npi").verdict(candidate, &["luhn"])
}
