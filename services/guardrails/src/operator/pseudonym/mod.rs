//! A made-up value of the same form in place of the real one: a model can still write a
//! sentence about it, and RestoreText puts the real one back.
//!
//! The surrogate is drawn by HMAC from the value, so that the same person has the same
//! surrogate without any state. It lies where nobody real can be: `example.com`,
//! documentation addresses, test cards, numbers that are not issued. Spelling is looked
//! through ("ADA LOVELACE" and "Ada Lovelace" are one person) and written again.

mod card;
mod draw;
mod email;
mod generic;
mod iban;
mod internet;
mod name;
mod phone;
mod ssn;

use super::{Input, Operator, OperatorError, Reversal, Scope, only};
use draw::Draw;

pub(super) static OPERATOR: Operator = Operator {
    name: "pseudonym",
    reversal: Reversal::Vault,
    check: |spec| only(spec, &["consistent_within"]),
    apply,
};

/// From this attempt on the surrogate is a label with a number of its own, which no other
/// value has and no text holds by chance.
pub(crate) const PLAIN_AFTER: u32 = 8;

fn apply(input: &Input<'_>) -> Result<String, OperatorError> {
    let scope = match input.spec.consistent_within.unwrap_or(Scope::Session) {
        Scope::Session => input.session,
        Scope::Tenant => "",
    };
    let seed = Seed {
        input,
        scope,
        attempt: input.attempt,
    };
    if input.attempt >= PLAIN_AFTER {
        let mut draw = seed.draw("plain", input.value);
        return Ok(format!(
            "<{}:p{:016x}{:016x}>",
            input.kind,
            draw.bits(),
            draw.bits()
        ));
    }
    Ok(surrogate(input.kind, input.value, &seed))
}

/// The form follows the type; an unknown type keeps its letters and digits apart.
fn surrogate(kind: &str, value: &str, seed: &Seed<'_, '_>) -> String {
    let made = match kind {
        "EMAIL" => email::surrogate(value, seed),
        "PHONE" => phone::surrogate(value, seed),
        "CREDIT_CARD" => card::surrogate(value, seed),
        "US_SSN" => ssn::surrogate(value, seed),
        "IBAN" => iban::surrogate(value, seed),
        "IP_ADDRESS" => internet::address(value, seed),
        "URL" => internet::url(value, seed),
        "DOMAIN" => internet::domain(value, seed),
        "PERSON" => name::person(value, seed),
        "LOCATION" => name::location(value, seed),
        "ORGANIZATION" => name::organization(value, seed),
        _ => None,
    };
    made.unwrap_or_else(|| generic::surrogate(value, seed))
}

/// All that a surrogate depends on beside the value.
struct Seed<'i, 'a> {
    input: &'i Input<'a>,
    scope: &'a str,
    attempt: u32,
}

impl Seed<'_, '_> {
    /// Numbers for one part of a value; the same for the same part.
    fn draw(&self, part: &str, value: &str) -> Draw {
        Draw::new(
            self.input.keys.hmac(crate::keys::Use::Pseudonym),
            &[
                self.scope,
                self.input.kind,
                part,
                value,
                &self.attempt.to_string(),
            ],
        )
    }
}

/// The ASCII digits of a value.
fn digits_of(value: &str) -> String {
    value.chars().filter(char::is_ascii_digit).collect()
}

/// `value` with its ASCII digits replaced, in order; the separators stay.
fn with_digits(value: &str, digits: &[u8]) -> String {
    let mut digits = digits.iter();
    value
        .chars()
        .map(|char| match char {
            '0'..='9' => digits
                .next()
                .map_or(char, |&digit| char::from(b'0' + digit)),
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests;
