//! Nothing in place of the value.

use super::{Operator, Reversal, only};

pub(super) static OPERATOR: Operator = Operator {
    name: "redact",
    reversal: Reversal::Never,
    check: |spec| only(spec, &[]),
    apply: |_| Ok(String::new()),
};
