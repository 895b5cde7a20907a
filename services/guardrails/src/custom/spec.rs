//! What can be said about recognizers of one's own: in the configuration, in a policy, or
//! in a request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something to find that no built-in detector knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecognizerSpec {
    /// Its name, lower-case letters, digits and `_`, such as `employee_id`; the type is
    /// the same in capitals.
    pub name: String,
    /// Regular expressions, in the syntax of the Rust crate `regex`: no look-around and no
    /// back-references, `\b` for ASCII letters. A match has 1 to 256 bytes.
    pub patterns: Vec<String>,
    /// Words that, near a match, speak for it.
    #[serde(default)]
    pub context: Vec<String>,
    /// How sure a match is, 0 to 1.
    #[serde(default = "plain_score")]
    pub score: f64,
    /// How sure a match is that has a word of `context` near.
    #[serde(default = "context_score")]
    pub context_score: f64,
    /// A check that a match must pass, such as `luhn`; none when empty.
    #[serde(default)]
    pub validator: String,
}

fn plain_score() -> f64 {
    0.6
}

fn context_score() -> f64 {
    0.9
}

/// Words that are always found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DenySpec {
    /// Its name, like a recognizer's; the type is the same in capitals.
    pub name: String,
    /// The words or phrases.
    pub terms: Vec<String>,
    /// Whether capitals matter.
    #[serde(default)]
    pub case_sensitive: bool,
    /// How sure a term is, 0 to 1.
    #[serde(default = "certain")]
    pub score: f64,
}

fn certain() -> f64 {
    1.0
}

/// How many and how large recognizers may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) recognizers: usize,
    pub(crate) patterns: usize,
    pub(crate) words: usize,
    pub(crate) lists: usize,
    /// Terms of all lists together.
    pub(crate) terms: usize,
    /// Memory of the compiled patterns, in bytes.
    pub(crate) compiled: usize,
}

impl Limits {
    /// Of the configuration and of policies.
    pub(crate) const CONFIGURED: Self = Self {
        recognizers: 256,
        patterns: 16,
        words: 64,
        lists: 64,
        terms: 4_096,
        compiled: 16 << 20,
    };
    /// Of a request, which pays for the compiling each time.
    pub(crate) const REQUESTED: Self = Self {
        recognizers: 16,
        patterns: 4,
        words: 16,
        lists: 8,
        terms: 256,
        compiled: 512 << 10,
    };
}

/// Longest regular expression, in bytes.
pub(crate) const MAX_PATTERN_BYTES: usize = 512;
/// Longest term or word of context, in bytes.
pub(crate) const MAX_TERM_BYTES: usize = 128;
/// Longest name, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 64;

/// Something about a recognizer or a list is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fix}")]
pub struct CustomError {
    /// The field, such as `recognizers[0].patterns[1]`.
    pub field: String,
    /// What is accepted.
    pub fix: String,
}

impl CustomError {
    pub(crate) fn new(field: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            fix: fix.into(),
        }
    }
}
