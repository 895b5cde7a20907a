//! `<EMAIL:h2f1c…>` in place of the value: equal values can be counted and joined, and
//! nobody without the tenant's key can try values out.
//!
//! HMAC-SHA-256 (RFC 2104) under a key of the tenant, which is the salt. The letter before
//! the digits keeps detectors from reading a number into them.

use ring::hmac;

use super::{Input, Operator, OperatorError, OperatorSpec, Reversal, Wrong, only};
use crate::keys::Use;

const DIGITS: u32 = 16;

pub(super) static OPERATOR: Operator = Operator {
    name: "hash",
    reversal: Reversal::Never,
    check,
    apply,
};

fn check(spec: &OperatorSpec) -> Result<(), Wrong> {
    only(spec, &["length"])?;
    match spec.length {
        Some(length) if !(8..=64).contains(&length) => Err(Wrong {
            field: "length",
            fix: "must be 8 to 64".into(),
        }),
        _ => Ok(()),
    }
}

fn apply(input: &Input<'_>) -> Result<String, OperatorError> {
    let mut context = hmac::Context::with_key(input.keys.hmac(Use::Hash));
    context.update(input.kind.as_bytes());
    context.update(&[0]);
    context.update(input.value.as_bytes());
    let mut digits = hex::encode(context.sign().as_ref());
    digits.truncate(input.spec.length.unwrap_or(DIGITS) as usize);
    Ok(format!("<{}:h{digits}>", input.kind))
}
