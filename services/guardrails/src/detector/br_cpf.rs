//! Brazilian taxpayer numbers of persons (CPF): nine digits and two check digits modulo
//! 11 (Receita Federal, IN RFB 1548/2015).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "br_cpf",
    kind: "BR_CPF",
    description: "Brazilian CPF numbers, with their dots and dash; unseparated only beside \
                  words such as `CPF`. Both check digits are verified.",
    default_on: true,
    context: &["cpf", "contribuinte", "cadastro"],
    patterns: &[
        Pattern {
            name: "dotted",
            regex: r"(?-u:\b)[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}(?-u:\b)",
            reach: Reach::Every(14),
        },
        Pattern {
            name: "bare",
            regex: r"(?-u:\b)[0-9]{9}-?[0-9]{2}(?-u:\b)",
            reach: Reach::Every(12),
        },
    ],
    validate,
};

const WEIGHTS: [u8; 10] = [11, 10, 9, 8, 7, 6, 5, 4, 3, 2];

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits: [u8; 11] = checksum::Digits::exactly(candidate.value())?;
    let check = |length: usize| {
        let weights = &WEIGHTS[10 - length..];
        let sum = checksum::weighted(&digits[..length], weights);
        sum * 10 % 11 % 10 == u32::from(digits[length])
    };
    if !check(9)
        || !check(10)
        || checksum::is_repeated(&digits)
        || boundary::is_piece_of_longer(candidate)
    {
        return None;
    }
    let worth = match candidate.pattern {
        "dotted" => Worth::strong(0.9, 0.97, "context:cpf"),
        _ => Worth::weak(0.9, "context:cpf"),
    };
    worth.verdict(candidate, &["mod11"])
}
