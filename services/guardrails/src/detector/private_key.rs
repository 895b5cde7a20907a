//! Private keys in PEM (RFC 7468) and in the armour of OpenPGP (RFC 9580): from the
//! line that begins them to the line that ends them, or as far as they were copied.

use super::{Candidate, Detector, Pattern, Reach, Verdict};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "private_key",
    kind: "PRIVATE_KEY",
    description: "Private keys in PEM, of RSA, EC, OpenSSH, PKCS#8 and OpenPGP, whole or cut off.",
    default_on: true,
    context: &[],
    patterns: &[Pattern {
        name: "pem",
        regex: concat!(
            r"-----BEGIN (?:[A-Z0-9]{2,9} ){0,3}PRIVATE KEY(?: BLOCK)?-----",
            // Header lines have single dashes, and JSON writes a new line as `\n`.
            r#"(?:[0-9A-Za-z+/=\\:,.() \r\n\t]|[A-Za-z0-9]-[A-Za-z0-9])*"#,
            r"(?:-----END (?:[A-Z0-9]{2,9} ){0,3}PRIVATE KEY(?: BLOCK)?-----)?"
        ),
        reach: Reach::Longest(crate::scan::MAX_CANDIDATE),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value();
    let ended = value.contains("-----END ");
    // Without its end, the key ends where the paragraph does.
    let length = match value.find("\n\n") {
        Some(blank) if !ended => blank,
        _ => value.trim_end().len(),
    };
    let span = candidate.start..candidate.start + length;
    Some(Verdict::new(span, if ended { 0.99 } else { 0.95 }).because("pem"))
}
