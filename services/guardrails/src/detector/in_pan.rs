//! Indian permanent account numbers of the income tax: five letters, the fourth of
//! which tells the kind of holder, four digits and a letter whose rule is not published
//! (Income Tax Department, PAN).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "in_pan",
    kind: "IN_PAN",
    description: "Indian permanent account numbers (PAN), beside words such as `PAN`; the kind \
                  of holder is verified.",
    default_on: true,
    context: &["pan", "permanent", "income", "tax", "pancard", "itr"],
    patterns: &[Pattern {
        name: "pan",
        regex: r"(?-u:\b)[A-Za-z]{3}[ABCFGHJLPTabcfghjlpt][A-Za-z][0-9]{4}[A-Za-z](?-u:\b)",
        reach: Reach::Code(10),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value().as_bytes();
    let upper = value.iter().any(u8::is_ascii_uppercase);
    let mixed = upper && value.iter().any(u8::is_ascii_lowercase);
    if mixed || &value[5..9] == b"0000" || boundary::is_piece_of_longer(candidate) {
        return None;
    }
    Worth::weak(0.85, "context:pan").verdict(candidate, &["pan_holder"])
}
