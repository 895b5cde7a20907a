//! Bank routing numbers of the American Bankers Association: nine digits, the first
//! two of a Federal Reserve district, weighted 3-7-1
//! (<https://www.aba.com/about-us/routing-number>).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "us_routing_number",
    kind: "US_ROUTING_NUMBER",
    description: "US bank routing numbers (ABA), beside words such as `routing`; district and \
                  check digit are verified.",
    default_on: true,
    context: &["routing", "aba", "rtn", "transit", "ach", "wire", "rtg"],
    patterns: &[Pattern {
        name: "bare",
        regex: r"(?-u:\b)[0-9]{9}(?-u:\b)",
        reach: Reach::Every(9),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits: [u8; 9] = checksum::Digits::exactly(candidate.value())?;
    let district = digits[0] * 10 + digits[1];
    // Twelve districts, the same for thrifts (+20) and electronic (+60), and cheques
    // of travellers.
    let known = matches!(district, 0..=12 | 21..=32 | 61..=72 | 80);
    let sum = checksum::weighted(&digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]);
    if !known
        || !sum.is_multiple_of(10)
        || checksum::is_repeated(&digits)
        || boundary::is_piece_of_longer(candidate)
    {
        return None;
    }
    Worth::weak(0.85, "context:routing").verdict(candidate, &["aba"])
}
