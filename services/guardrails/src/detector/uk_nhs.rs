//! Numbers of patients of the British National Health Service: nine digits and a check
//! digit modulo 11 (NHS Data Dictionary, NHS Number).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "uk_nhs",
    kind: "UK_NHS",
    description: "UK National Health Service numbers, beside words such as `NHS` or `patient`; \
                  the check digit is verified.",
    default_on: true,
    context: &["nhs", "patient", "patients", "hospital", "gp"],
    patterns: &[
        Pattern {
            name: "grouped",
            regex: r"(?-u:\b)[0-9]{3}[ \-][0-9]{3}[ \-][0-9]{4}(?-u:\b)",
            reach: Reach::Every(12),
        },
        Pattern {
            name: "bare",
            regex: r"(?-u:\b)[0-9]{10}(?-u:\b)",
            reach: Reach::Every(10),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits: [u8; 10] = checksum::Digits::exactly(candidate.value())?;
    let rest = checksum::weighted(&digits[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    // A remainder of 1 would need a check digit of 10: such numbers are not issued.
    if (11 - rest) % 11 != u32::from(digits[9])
        || checksum::is_repeated(&digits)
        || boundary::is_piece_of_longer(candidate)
    {
        return None;
    }
    Worth::weak(0.9, "context:nhs").verdict(candidate, &["mod11"])
}
