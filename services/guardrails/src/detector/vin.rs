//! Vehicle identification numbers: seventeen letters and digits without I, O and Q.
//! In North America the ninth place checks the others (49 CFR 565.15); elsewhere it
//! need not, so there a word must say what it is.

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "vin",
    kind: "VIN",
    description: "Vehicle identification numbers of 17 characters; the check digit of North \
                  America is verified, other numbers count only beside words such as `VIN`.",
    default_on: true,
    context: &[
        "vin",
        "vehicle",
        "chassis",
        "car",
        "fahrgestellnummer",
        "fin",
    ],
    patterns: &[Pattern {
        name: "vin",
        regex: r"(?-u:\b)[A-HJ-NPR-Za-hj-npr-z0-9]{13}[0-9]{4}(?-u:\b)",
        reach: Reach::Code(17),
    }],
    validate,
};

const WEIGHTS: [u8; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value().as_bytes();
    let letters = value
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    let lower = value.iter().any(u8::is_ascii_lowercase);
    let upper = value.iter().any(u8::is_ascii_uppercase);
    // Letters alone are a word, digits alone a number, hexadecimal a hash.
    if letters < 2 || lower && upper || value.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    if boundary::is_piece_of_longer(candidate) {
        return None;
    }
    // In small letters the tail of an identifier passes the check one time in eleven.
    if has_check_digit(value) && !lower {
        Worth::strong(0.85, 0.95, "context:vehicle").verdict(candidate, &["vin_check"])
    } else {
        Worth::weak(0.6, "context:vehicle").verdict(candidate, &[])
    }
}

fn has_check_digit(value: &[u8]) -> bool {
    let mut digits = [0; 17];
    for (digit, byte) in digits.iter_mut().zip(value) {
        *digit = match byte.to_ascii_uppercase() {
            byte @ b'0'..=b'9' => byte - b'0',
            byte @ b'A'..=b'H' => byte - b'A' + 1,
            byte @ b'J'..=b'R' => byte - b'J' + 1,
            byte => byte.saturating_sub(b'S') + 2,
        };
    }
    let rest = checksum::weighted(&digits, &WEIGHTS) % 11;
    let check = if rest == 10 { b'X' } else { b'0' + rest as u8 };
    value[8].to_ascii_uppercase() == check
}
