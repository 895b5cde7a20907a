//! Brazilian taxpayer numbers of companies (CNPJ): twelve places, digits or since July
//! 2026 also letters, and two check digits modulo 11 (Receita Federal, IN RFB
//! 2229/2024).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "br_cnpj",
    kind: "BR_CNPJ",
    description: "Brazilian CNPJ numbers, digits or letters and digits, with their dots; \
                  unseparated only beside words such as `CNPJ`. Both check digits are \
                  verified. Off by default: they are public numbers of companies.",
    default_on: false,
    context: &["cnpj", "empresa"],
    patterns: &[
        Pattern {
            name: "dotted",
            regex: r"(?-u:\b)[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-[0-9]{2}(?-u:\b)",
            reach: Reach::Code(18),
        },
        Pattern {
            name: "bare",
            regex: r"(?-u:\b)[0-9A-Z]{12}[0-9]{2}(?-u:\b)",
            reach: Reach::Code(14),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let mut values = [0_u32; 14];
    let mut length = 0;
    for byte in candidate.value().bytes().filter(u8::is_ascii_alphanumeric) {
        // A letter counts its ASCII code less 48, so A is 17.
        *values.get_mut(length)? = u32::from(byte - b'0');
        length += 1;
    }
    let check = |at: usize| {
        // The weights run 2 to 9 from the right, over and over.
        let places = values[..at].iter().rev().zip((2..=9).cycle());
        let rest = places.map(|(value, weight)| value * weight).sum::<u32>() % 11;
        let digit = if rest < 2 { 0 } else { 11 - rest };
        digit == values[at]
    };
    let repeated = values.windows(2).all(|pair| pair[0] == pair[1]);
    if length != 14 || repeated || !check(12) || !check(13) {
        return None;
    }
    if boundary::is_piece_of_longer(candidate) {
        return None;
    }
    let worth = match candidate.pattern {
        "dotted" => Worth::strong(0.9, 0.97, "context:cnpj"),
        _ => Worth::weak(0.9, "context:cnpj"),
    };
    worth.verdict(candidate, &["mod11"])
}
