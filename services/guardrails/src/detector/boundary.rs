//! What stands directly beside a candidate. A number inside a longer number, a
//! version or an identifier is not personal data; patterns cannot look around, so
//! judges ask here.

use super::Candidate;

/// Whether the candidate is a piece of something longer: a letter, digit or `_`
/// touches it, or a joint (`-`, `.`) with a digit beyond it.
pub(super) fn is_piece_of_longer(candidate: &Candidate<'_>) -> bool {
    let [near, far] = before(candidate);
    let [next, beyond] = after(candidate);
    touches(near) || touches(next) || joined(near, far) || joined(next, beyond)
}

/// Whether another group of digits stands beside the candidate, a space apart: a row
/// of numbers, in which a form without check digits proves little.
pub(super) fn is_in_row(candidate: &Candidate<'_>) -> bool {
    let group_beside = |[near, far]: [Option<char>; 2]| {
        near == Some(' ') && far.is_some_and(|c| c.is_ascii_digit())
    };
    group_beside(before(candidate)) || group_beside(after(candidate))
}

/// The two characters before the span, the nearer first.
pub(super) fn before(candidate: &Candidate<'_>) -> [Option<char>; 2] {
    let mut chars = candidate.text[..candidate.start].chars().rev();
    [chars.next(), chars.next()]
}

/// The two characters after the span, the nearer first.
pub(super) fn after(candidate: &Candidate<'_>) -> [Option<char>; 2] {
    let mut chars = candidate.text[candidate.end..].chars();
    [chars.next(), chars.next()]
}

/// Only ASCII counts: in scripts without spaces a letter beside a number is the
/// next word, not a part of the number.
fn touches(beside: Option<char>) -> bool {
    beside.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn joined(near: Option<char>, far: Option<char>) -> bool {
    matches!(near, Some('-' | '.')) && far.is_some_and(|c| c.is_ascii_digit())
}
