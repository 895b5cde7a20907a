//! Every operator there is, one line each, in the order that the documentation shows.

use super::{Operator, encrypt, generalize, hash, label, mask, pseudonym, redact};

/// All operators.
pub(crate) static ALL: &[&Operator] = &[
    &label::OPERATOR,
    &redact::OPERATOR,
    &mask::OPERATOR,
    &hash::OPERATOR,
    &pseudonym::OPERATOR,
    &encrypt::OPERATOR,
    &generalize::DATE,
    &generalize::ZIP,
    &generalize::AGE,
];

/// The operator with this name.
pub(crate) fn find(name: &str) -> Option<&'static Operator> {
    ALL.iter().copied().find(|operator| operator.name == name)
}

/// All names, for error messages.
pub(crate) fn names() -> String {
    let names: Vec<String> = ALL
        .iter()
        .map(|known| format!("`{}`", known.name))
        .collect();
    names.join(", ")
}
