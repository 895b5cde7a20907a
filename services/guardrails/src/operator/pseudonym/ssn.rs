//! Social security numbers of area 666, which is never issued (SSA POMS RM 10201.035), so
//! that neither a person nor a detector takes one for real.

use super::{Seed, digits_of, with_digits};

pub(super) fn surrogate(value: &str, seed: &Seed<'_, '_>) -> Option<String> {
    let digits = digits_of(value);
    if digits.len() != 9 {
        return None;
    }
    let mut draw = seed.draw("ssn", &digits);
    let mut made = vec![6, 6, 6];
    made.resize_with(9, || 1 + draw.below(9) as u8);
    Some(with_digits(value, &made))
}
