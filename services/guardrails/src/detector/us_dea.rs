//! Registration numbers of the US Drug Enforcement Administration: two letters, six
//! digits and a check digit (21 CFR 1301; DEA Diversion Control, verification).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "us_dea",
    kind: "US_DEA",
    description: "DEA registration numbers of US prescribers, beside words such as `DEA`; \
                  registrant type and check digit are verified.",
    default_on: true,
    context: &[
        "dea",
        "prescriber",
        "registration",
        "physician",
        "pharmacy",
        "practitioner",
    ],
    patterns: &[Pattern {
        name: "dea",
        regex: r"(?-u:\b)[A-HJ-NPRSTUXa-hj-nprstux][A-Za-z9][0-9]{7}(?-u:\b)",
        reach: Reach::Code(9),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    // The second place may be a 9 for a business: read the last seven only.
    let digits: [u8; 7] = checksum::Digits::exactly(&candidate.value()[2..])?;
    let sum = checksum::weighted(&digits, &[1, 2, 1, 2, 1, 2]);
    if sum % 10 != u32::from(digits[6]) || boundary::is_piece_of_longer(candidate) {
        return None;
    }
    Worth::weak(0.9, "context:dea").verdict(candidate, &["dea_check"])
}
