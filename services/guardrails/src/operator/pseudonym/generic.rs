//! For types without a form of their own: a letter for a letter, a digit for a digit, and
//! everything else as it stands.

use super::Seed;

pub(super) fn surrogate(value: &str, seed: &Seed<'_, '_>) -> String {
    let mut draw = seed.draw("generic", value);
    let letter = |first: u8, draw: &mut super::Draw| char::from(first + draw.below(26) as u8);
    let replaced = value.chars().map(|char| match char {
        // A leading zero stays one, and no other digit becomes one.
        '0' => '0',
        '1'..='9' => char::from(b'1' + draw.below(9) as u8),
        _ if char.is_uppercase() => letter(b'A', &mut draw),
        _ if char.is_alphanumeric() => letter(b'a', &mut draw),
        other => other,
    });
    replaced.collect()
}
