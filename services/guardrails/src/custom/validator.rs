//! Checks that a custom recognizer may name.

/// The check with this name.
pub(super) fn find(name: &str) -> Option<fn(&str) -> bool> {
    ALL.iter()
        .find(|(known, _)| *known == name)
        .map(|(_, check)| *check)
}

/// All names, for error messages.
pub(super) fn names() -> String {
    let names: Vec<String> = ALL.iter().map(|(name, _)| format!("`{name}`")).collect();
    names.join(", ")
}

/// A check that a recognizer named.
pub(super) type Named = (String, fn(&str) -> bool);

type Check = (&'static str, fn(&str) -> bool);

const ALL: [Check; 4] = [
    ("luhn", luhn),
    ("mod97", mod_97),
    ("verhoeff", verhoeff),
    ("entropy", entropy),
];

fn digits(value: &str) -> Vec<u8> {
    let digits = value.bytes().filter(u8::is_ascii_digit);
    digits.map(|byte| byte - b'0').collect()
}

/// ISO/IEC 7812-1 annex B.
fn luhn(value: &str) -> bool {
    let digits = digits(value);
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| {
            let weighted = u32::from(digit) * (1 + place as u32 % 2);
            weighted / 10 + weighted % 10
        })
        .sum();
    digits.len() > 1 && sum.is_multiple_of(10)
}

/// ISO/IEC 7064 MOD 97-10 over letters and digits as they stand: the rest is 1.
fn mod_97(value: &str) -> bool {
    let mut values = value
        .chars()
        .filter_map(|char| char.to_digit(36))
        .peekable();
    let rest = values.by_ref().fold(0, |sum, value| {
        let shift = if value > 9 { 100 } else { 10 };
        (sum * shift + value) % 97
    });
    rest == 1
}

/// J. Verhoeff, Error Detecting Decimal Codes (1969): the dihedral group of order ten.
fn verhoeff(value: &str) -> bool {
    /// The product of two elements: 0 to 4 turn, 5 to 9 mirror.
    fn product(a: u8, b: u8) -> u8 {
        match (a < 5, b < 5) {
            (true, true) => (a + b) % 5,
            (true, false) => 5 + (a + b - 5) % 5,
            (false, true) => 5 + (a - 5 + 5 - b) % 5,
            (false, false) => (5 + a - b) % 5,
        }
    }
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let digits = digits(value);
    let check = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0, |sum, (place, &digit)| {
            let turned = (0..place % 8).fold(digit, |digit, _| PERMUTATION[usize::from(digit)]);
            product(sum, turned)
        });
    digits.len() > 1 && check == 0
}

/// At least three bits for each character, as random keys have and words do not.
fn entropy(value: &str) -> bool {
    let mut counts = [0_u32; 256];
    value
        .bytes()
        .for_each(|byte| counts[usize::from(byte)] += 1);
    let total = value.len() as f64;
    let bits: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|&count| {
            let share = f64::from(count) / total;
            -share * share.log2()
        })
        .sum();
    bits >= 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_pass_and_a_changed_digit_fails() {
        // ISO 7812 test card, ISO 13616's example turned round, Verhoeff's usual 236-3.
        for (check, valid) in [
            (luhn as fn(&str) -> bool, "4111 1111 1111 1111"),
            (mod_97, "WEST12345698765432GB82"),
            (verhoeff, "2363"),
        ] {
            assert!(check(valid), "{valid}");
            for (at, char) in valid.char_indices() {
                if let Some(digit) = char.to_digit(10) {
                    let mut wrong = valid.to_owned();
                    wrong.replace_range(at..=at, &((digit + 1) % 10).to_string());
                    assert!(!check(&wrong), "{wrong}");
                }
            }
        }
        assert!(!luhn("0") && !verhoeff("0") && !mod_97(""));
    }

    #[test]
    fn a_random_key_has_entropy_and_a_word_has_not() {
        assert!(entropy("q7Zk2LxT9vBw4RmN"));
        assert!(!entropy("password") && !entropy("aaaaaaaaaaaaaaaa") && !entropy(""));
    }
}
