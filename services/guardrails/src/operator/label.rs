//! `<CREDIT_CARD>` in place of the value: says what was there, and no detector finds
//! anything in it.

use super::{Operator, Reversal, label_of, only};

pub(super) static OPERATOR: Operator = Operator {
    name: "label",
    reversal: Reversal::Never,
    check: |spec| only(spec, &[]),
    apply: |input| Ok(label_of(input.kind)),
};
