//! `<EMAIL:enc:k1:…>` in place of the value: the value itself, for whoever has the key.
//!
//! AES-256-GCM-SIV (RFC 8452) under a key of the tenant, with a random nonce, so equal
//! values look different; tenant and type are authenticated with it, so a token that is
//! moved to another tenant or relabelled does not open. Nothing is stored.

use super::{Input, Operator, OperatorError, Reversal, Token, only};

pub(super) static OPERATOR: Operator = Operator {
    name: "encrypt",
    reversal: Reversal::Key,
    check: |spec| only(spec, &[]),
    apply,
};

fn apply(input: &Input<'_>) -> Result<String, OperatorError> {
    Token::write(input.kind, input.value, input.keys)
}
