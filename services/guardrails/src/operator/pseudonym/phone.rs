//! Phone numbers of the same shape. North American ones lie in 555-0100 to 555-0199, which
//! is kept for fiction (ATIS, central office code 555); of others the country code and the
//! shape stay.

use super::{Seed, digits_of, with_digits};

/// Area codes that are in use, from all over the plan.
const AREAS: [&str; 24] = [
    "202", "206", "212", "213", "215", "303", "305", "312", "314", "404", "412", "415", "503",
    "504", "512", "602", "612", "615", "702", "713", "804", "808", "816", "919",
];

pub(super) fn surrogate(value: &str, seed: &Seed<'_, '_>) -> Option<String> {
    let digits = digits_of(value);
    if digits.len() < 5 {
        return None;
    }
    let international = value.trim_start_matches(['(', ' ']).starts_with('+');
    let national = match digits.as_bytes() {
        [b'1', rest @ ..] if rest.len() == 10 => Some(1),
        all if all.len() == 10 && !international && !matches!(all[0], b'0' | b'1') => Some(0),
        _ => None,
    };
    let mut draw = seed.draw("phone", &digits);
    let mut made: Vec<u8> = Vec::with_capacity(digits.len());
    if let Some(prefix) = national {
        made.extend(digits.bytes().take(prefix).map(|byte| byte - b'0'));
        made.extend(draw.one_of(&AREAS).bytes().map(|byte| byte - b'0'));
        made.extend([5, 5, 5, 0, 1, draw.digit(), draw.digit()]);
        return Some(with_digits(value, &made));
    }
    // Country codes have one digit (1, 7) or begin with two that say the region.
    let kept = match digits.as_bytes()[0] {
        _ if !international => 1,
        b'1' | b'7' => 1,
        _ => 2,
    };
    for (at, byte) in digits.bytes().enumerate() {
        made.push(match byte {
            _ if at < kept => byte - b'0',
            b'0' if at <= kept => 0,
            _ => 1 + draw.below(9) as u8,
        });
    }
    Some(with_digits(value, &made))
}
