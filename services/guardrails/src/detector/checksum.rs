//! Check digits that several detectors share, computed on the stack: a judge is
//! called for every candidate, so it must not allocate to say no.

use std::ops::Deref;

/// Most digits of any number that a detector knows.
const MAX_DIGITS: usize = 32;

/// The ASCII digits of a candidate, as numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digits {
    values: [u8; MAX_DIGITS],
    length: usize,
}

impl Digits {
    /// The digits in `text`; `None` when there are more than [`MAX_DIGITS`].
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut digits = Self {
            values: [0; MAX_DIGITS],
            length: 0,
        };
        for byte in text.bytes().filter(u8::is_ascii_digit) {
            *digits.values.get_mut(digits.length)? = byte - b'0';
            digits.length += 1;
        }
        Some(digits)
    }

    /// The digits in `text` when there are exactly `N`.
    pub(super) fn exactly<const N: usize>(text: &str) -> Option<[u8; N]> {
        Self::of(text)?[..].try_into().ok()
    }

    /// Takes out the digit at `place`, which must exist.
    pub(super) fn remove(&mut self, place: usize) {
        if place < self.length {
            self.values.copy_within(place + 1..self.length, place);
            self.length -= 1;
        }
    }
}

impl Deref for Digits {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.values[..self.length]
    }
}

/// The Luhn check of ISO/IEC 7812-1 annex B: every second digit from the right
/// counts double, digits of the doubled ones added, and the sum ends in zero.
pub(super) fn luhn(digits: &[u8]) -> bool {
    luhn_sum(digits).is_multiple_of(10)
}

/// The sum of [`luhn`], for numbers that are checked behind a fixed prefix.
pub(super) fn luhn_sum(digits: &[u8]) -> u32 {
    let places = digits.iter().rev().enumerate();
    places
        .map(|(place, &digit)| match (place % 2, u32::from(digit) * 2) {
            (0, _) => u32::from(digit),
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        })
        .sum()
}

/// The sum of each digit times its weight; stops at the shorter of the two.
pub(super) fn weighted(digits: &[u8], weights: &[u8]) -> u32 {
    let pairs = digits.iter().zip(weights);
    pairs
        .map(|(&digit, &weight)| u32::from(digit) * u32::from(weight))
        .sum()
}

/// The digits read as one number; they must be at most 19.
pub(super) fn number(digits: &[u8]) -> u64 {
    let digits = digits.iter().take(19);
    digits.fold(0, |number, &digit| number * 10 + u64::from(digit))
}

/// Whether all digits are the same, which passes many a checksum and is never issued.
pub(super) fn is_repeated(digits: &[u8]) -> bool {
    digits.windows(2).all(|pair| pair[0] == pair[1])
}

/// The remainder of ISO/IEC 7064 MOD 97-10, letters counting 10 to 35; other bytes
/// are skipped.
pub(super) fn mod_97(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        b'A'..=b'Z' => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
        b'a'..=b'z' => (rest * 100 + u32::from(byte - b'a') + 10) % 97,
        _ => rest,
    })
}

/// ISO/IEC 7064 MOD 11,10, the last digit being the check digit.
pub(super) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, head)) = digits.split_last() else {
        return false;
    };
    let product = head.iter().fold(10, |product, &digit| {
        let sum = (u32::from(digit) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(*check)
}

/// Verhoeff's check digit, from the dihedral group of order ten (J. Verhoeff, Error
/// Detecting Decimal Codes, 1969).
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    /// The permutation that each further place applies once more.
    const TURN: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let mut sum = 0;
    for (place, &digit) in digits.iter().rev().enumerate() {
        let turned = (0..place % 8).fold(digit, |digit, _| TURN[usize::from(digit)]);
        sum = in_dihedral_group(sum, turned);
    }
    sum == 0
}

/// The product of two elements: 0 to 4 are rotations, 5 to 9 reflections.
fn in_dihedral_group(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// Whether a month and a day can stand in a date.
pub(super) fn is_month_and_day(month: u64, day: u64) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    /// `digits` with the last one chosen so that `check` holds.
    fn completed(mut digits: Vec<u8>, check: fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let last = digits.len() - 1;
        (0..10).find_map(|digit| {
            digits[last] = digit;
            check(&digits).then(|| digits.clone())
        })
    }

    #[test]
    fn published_examples_pass() {
        // ISO/IEC 7812-1 annex B; Wikipedia, "Verhoeff algorithm" (2363); the ISO
        // 7064 MOD 11,10 example 0794 5.
        assert!(luhn(&[4, 9, 9, 2, 7, 3, 9, 8, 7, 1, 6]));
        assert!(!luhn(&[4, 9, 9, 2, 7, 3, 9, 8, 7, 1, 7]));
        assert!(verhoeff(&[2, 3, 6, 3]));
        assert!(!verhoeff(&[2, 3, 6, 4]));
        assert!(mod_11_10(&[0, 7, 9, 4, 5]));
        assert!(!mod_11_10(&[0, 7, 9, 4, 6]));
        assert_eq!(mod_97(b"3214282912345698765432161182".iter().copied()), 1);
    }

    #[test]
    fn digits_are_taken_out_and_too_many_are_refused() {
        let mut digits = Digits::of("+44 (0)20").unwrap();
        digits.remove(2);
        assert_eq!(*digits, [4, 4, 2, 0]);
        assert!(Digits::of(&"1".repeat(MAX_DIGITS + 1)).is_none());
        assert_eq!(Digits::exactly("1-2-3"), Some([1, 2, 3]));
        assert_eq!(Digits::exactly::<4>("1-2-3"), None);
    }

    proptest! {
        #[test]
        fn changing_any_one_digit_breaks_luhn_verhoeff_and_mod_11_10(
            digits in prop::collection::vec(0u8..10, 6..18),
            place in any::<prop::sample::Index>(),
            change in 1u8..10,
        ) {
            for check in [luhn, verhoeff, mod_11_10] {
                let mut digits = completed(digits.clone(), check).unwrap();
                prop_assert!(check(&digits));
                let place = place.index(digits.len());
                digits[place] = (digits[place] + change) % 10;
                prop_assert!(!check(&digits));
            }
        }

        #[test]
        fn verhoeff_sees_two_neighbours_change_places(
            digits in prop::collection::vec(0u8..10, 6..18),
            place in any::<prop::sample::Index>(),
        ) {
            let mut digits = completed(digits, verhoeff).unwrap();
            let place = place.index(digits.len() - 1);
            prop_assume!(digits[place] != digits[place + 1]);
            digits.swap(place, place + 1);
            prop_assert!(!verhoeff(&digits));
        }
    }
}
