//! `**** **** **** 1111` in place of a card number: a person who knows the value
//! recognises it, nobody else learns it.
//!
//! Spaces and hyphens stay, every other character is hidden but for the last few letters
//! and digits; a dot or an `@` would make what is left look like an address.

use super::{Input, Operator, OperatorError, OperatorSpec, Reversal, Wrong, only};

const KEEP: u32 = 4;
const MASK: char = '*';

pub(super) static OPERATOR: Operator = Operator {
    name: "mask",
    reversal: Reversal::Never,
    check,
    apply,
};

fn check(spec: &OperatorSpec) -> Result<(), Wrong> {
    only(spec, &["keep_last", "mask_character"])?;
    let fits = |mask: char| {
        let visible = !mask.is_alphanumeric() && !mask.is_whitespace() && !mask.is_control();
        visible && !matches!(mask, '<' | '>' | '@' | '.' | '-' | '+')
    };
    match spec.mask_character {
        Some(mask) if !fits(mask) => Err(Wrong {
            field: "mask_character",
            fix: "must be visible and none of letters, digits and `< > @ . - +`, such as `*` \
                  or `•`"
                .into(),
        }),
        _ => Ok(()),
    }
}

fn apply(input: &Input<'_>) -> Result<String, OperatorError> {
    let mask = input.spec.mask_character.unwrap_or(MASK);
    let of_value = |char: &char| char.is_alphanumeric();
    let total = input.value.chars().filter(of_value).count();
    let keep = input.spec.keep_last.unwrap_or(KEEP) as usize;
    let hidden = total - keep.min(total / 2);
    let mut seen = 0;
    // A character that is hidden between two that are shown splits what stays, so
    // everything before the last hidden letter or digit is hidden or a gap.
    let masked = input.value.chars().map(|char| {
        if of_value(&char) {
            seen += 1;
            if seen > hidden { char } else { mask }
        } else if matches!(char, ' ' | '-') {
            char
        } else {
            mask
        }
    });
    Ok(masked.collect())
}
