//! What is written in place of a finding. An operator is one file here and one line in
//! [`registry`]; a policy names it, with settings, for each type.

mod encrypt;
mod generalize;
mod hash;
mod label;
mod mask;
mod pseudonym;
mod redact;
pub(crate) mod registry;
mod token;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::keys::{KeyError, TenantKeys};

pub(crate) use pseudonym::PLAIN_AFTER;
pub(crate) use token::{Read, Token};

/// An operator and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorSpec {
    /// Its name, such as `mask`.
    pub operator: String,
    /// `mask`: letters and digits at the end that stay, 4 unless told; never more than
    /// half of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    /// `mask`: what is written for each hidden character, `*` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_character: Option<char>,
    /// `hash`: hexadecimal digits that are written, 8 to 64, 16 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
    /// `pseudonym`: within what the same value has the same surrogate: `session` unless
    /// told, or `tenant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistent_within: Option<Scope>,
}

impl OperatorSpec {
    /// The operator of this name with its usual settings.
    pub fn named(operator: impl Into<String>) -> Self {
        Self {
            operator: operator.into(),
            keep_last: None,
            mask_character: None,
            length: None,
            consistent_within: None,
        }
    }
}

/// Within what the same value has the same surrogate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// A session of the vault: nobody can link two of them.
    Session,
    /// All that one caller ever sends.
    Tenant,
}

/// How what an operator wrote is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reversal {
    /// Not at all.
    Never,
    /// From the text alone, with the tenant's key.
    Key,
    /// From the vault of a session.
    Vault,
}

/// One way to replace a finding.
#[derive(Debug)]
pub(crate) struct Operator {
    /// The name that a policy uses.
    pub(crate) name: &'static str,
    /// How it is undone.
    pub(crate) reversal: Reversal,
    /// Checks the settings: the field that is wrong, and what is accepted.
    pub(crate) check: fn(&OperatorSpec) -> Result<(), Wrong>,
    /// Writes.
    pub(crate) apply: fn(&Input<'_>) -> Result<String, OperatorError>,
}

/// A setting that an operator does not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The field of [`OperatorSpec`].
    pub(crate) field: &'static str,
    /// What is accepted.
    pub(crate) fix: Cow<'static, str>,
}

/// What an operator replaces.
pub(crate) struct Input<'a> {
    /// The finding's type.
    pub(crate) kind: &'a str,
    /// The value.
    pub(crate) value: &'a str,
    /// The settings.
    pub(crate) spec: &'a OperatorSpec,
    /// The tenant's keys.
    pub(crate) keys: &'a TenantKeys,
    /// The session, where there is one.
    pub(crate) session: &'a str,
    /// How often a surrogate of this value turned out to be taken.
    pub(crate) attempt: u32,
    /// The year, for ages that follow from a date of birth.
    pub(crate) year: i32,
}

/// Why a finding was not replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OperatorError {
    /// The value is longer than a token may be.
    #[error("a {kind} of {size} bytes is too long to encrypt; at most {limit} are accepted")]
    TooLong {
        /// Its type.
        kind: String,
        /// Its bytes.
        size: usize,
        /// Bytes that are accepted.
        limit: usize,
    },
    /// No randomness.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// An operator that the registry knows, with settings that it accepts.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) operator: &'static Operator,
    pub(crate) spec: OperatorSpec,
}

/// Why a specification names no operator. The field is one of [`OperatorSpec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fix}")]
pub(crate) struct OperatorSpecError {
    /// The field.
    pub(crate) field: &'static str,
    /// What is accepted.
    pub(crate) fix: String,
}

impl Chosen {
    /// Checks name and settings.
    pub(crate) fn new(spec: OperatorSpec) -> Result<Self, OperatorSpecError> {
        let operator = registry::find(&spec.operator).ok_or_else(|| OperatorSpecError {
            field: "operator",
            fix: format!(
                "`{}` does not exist; there are {}",
                spec.operator,
                registry::names()
            ),
        })?;
        (operator.check)(&spec).map_err(|wrong| OperatorSpecError {
            field: wrong.field,
            fix: wrong.fix.into_owned(),
        })?;
        Ok(Self { operator, spec })
    }
}

/// Refuses settings that the operator does not read: who sets one expects an effect.
fn only(spec: &OperatorSpec, read: &[&str]) -> Result<(), Wrong> {
    let set = [
        ("keep_last", spec.keep_last.is_some()),
        ("mask_character", spec.mask_character.is_some()),
        ("length", spec.length.is_some()),
        ("consistent_within", spec.consistent_within.is_some()),
    ];
    match set
        .into_iter()
        .find(|(name, is_set)| *is_set && !read.contains(name))
    {
        Some((field, _)) => Err(Wrong {
            field,
            fix: format!("is no setting of `{}`; leave it out", spec.operator).into(),
        }),
        None => Ok(()),
    }
}

/// A surrogate, for a piece of text that no policy chose an operator for.
///
/// # Errors
///
/// None but those of any operator.
pub(crate) fn pseudonym(input: &Input<'_>) -> Result<String, OperatorError> {
    (pseudonym::OPERATOR.apply)(input)
}

/// `<TYPE>`.
fn label_of(kind: &str) -> String {
    format!("<{kind}>")
}

#[cfg(test)]
mod tests;
