//! What a check reports: a span, its type, and why. The domain's own term, so that
//! neither the Router nor a detector needs the wire format.

use std::borrow::Cow;

/// Something found in a text. Spans are half open.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it is, such as `EMAIL`; redaction writes it as `<EMAIL>`. Owned
    /// where a custom recognizer named it.
    pub kind: Cow<'static, str>,
    /// The detector or custom recognizer that found it, such as `email`.
    pub detector: Cow<'static, str>,
    /// First byte of the span in the UTF-8 text.
    pub start_byte: usize,
    /// One past the last byte.
    pub end_byte: usize,
    /// First character of the span, in Unicode code points.
    pub start_char: usize,
    /// One past the last character.
    pub end_char: usize,
    /// How sure the detector is, 0 to 1.
    pub score: f64,
    /// The pattern and the checks that passed, such as `pattern:grouped`, `luhn`.
    /// Never the value itself.
    pub reasons: Vec<Cow<'static, str>>,
}
