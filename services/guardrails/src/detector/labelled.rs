//! Values that nothing but the label before them gives away: `MRN: 4471920`,
//! `"account_number": "00123456"`. Their patterns hold the label, so that a number
//! without one costs nothing; the judge reports the value alone.

use super::{Candidate, boundary};

/// The expression of a label made of `words` (alternatives, any case), then
/// `number`, `no.`, `id` or nothing, then what stands between a label and its value.
macro_rules! label {
    ($words:literal) => {
        concat!(
            r"(?-u:\b)(?i-u:",
            $words,
            r")\.?(?i-u:[ _\-]?(?:numbers?|num|no|nr|id|code|identifier)\.?)?",
            r#"(?i-u:["'\]]{0,2}[ \t]?[:=#>(]{0,2}[ \t]{0,2}(?:(?:is|was)[ \t:]{1,2})?["'#]{0,2})"#
        )
    };
}
pub(super) use label;

/// The value at the end of a labelled candidate: what follows the last byte that
/// `belongs` does not hold for. `None` when the value goes on beyond the candidate
/// or is joined to its label without any separator.
pub(super) fn value<'t>(
    candidate: &Candidate<'t>,
    belongs: impl Fn(u8) -> bool,
) -> Option<Candidate<'t>> {
    let bytes = candidate.value().as_bytes();
    let length = bytes
        .iter()
        .rev()
        .take_while(|byte| belongs(**byte))
        .count();
    if length == 0 || length == bytes.len() {
        return None;
    }
    let length = bytes[bytes.len() - length..].trim_ascii_start().len();
    let value = Candidate {
        start: candidate.end - length,
        ..*candidate
    };
    (!boundary::is_piece_of_longer(&value)).then_some(value)
}

/// A letter, a digit or a dash.
pub(super) fn is_code(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// How many digits there are.
pub(super) fn digits(value: &str) -> usize {
    value.bytes().filter(u8::is_ascii_digit).count()
}
