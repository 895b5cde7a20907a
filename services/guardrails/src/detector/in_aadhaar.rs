//! Indian Aadhaar numbers: twelve digits, the first from 2 to 9, the last a check digit
//! by Verhoeff's scheme (UIDAI, Aadhaar Number Structure).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "in_aadhaar",
    kind: "IN_AADHAAR",
    description: "Indian Aadhaar numbers, beside words such as `Aadhaar`; the Verhoeff check \
                  digit is verified.",
    default_on: true,
    context: &["aadhaar", "aadhar", "adhar", "adhaar", "uid", "uidai"],
    patterns: &[Pattern {
        name: "aadhaar",
        regex: r"(?-u:\b)[2-9][0-9]{3}(?:[0-9]{8}|[ \-][0-9]{4}[ \-][0-9]{4})(?-u:\b)",
        reach: Reach::Every(14),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits: [u8; 12] = checksum::Digits::exactly(candidate.value())?;
    // UIDAI issues no number that reads the same from both ends.
    let palindrome = digits.iter().eq(digits.iter().rev());
    if palindrome || !checksum::verhoeff(&digits) || boundary::is_piece_of_longer(candidate) {
        return None;
    }
    Worth::weak(0.92, "context:aadhaar").verdict(candidate, &["verhoeff"])
}
