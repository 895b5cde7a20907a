//! Value added tax numbers of the European Union: the country, then the shape and the
//! check digits that each country publishes (European Commission, VIES, and the
//! member states' rules as collected in BMF form U1).

use super::{
    Candidate, Detector, Pattern, Reach, Verdict, boundary,
    checksum::{self, Digits, weighted},
    es_dni,
    weigh::Worth,
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "eu_vat",
    kind: "EU_VAT",
    description: "Value added tax numbers of the European Union and of Northern Ireland; shape and \
                  check digits of the country are verified. The longer forms that Bulgaria, \
                  Czechia and Lithuania give to persons are not covered. Off by default: they \
                  are public numbers of businesses.",
    default_on: false,
    context: &[
        "vat",
        "ust",
        "ustid",
        "ustidnr",
        "tva",
        "iva",
        "btw",
        "mwst",
        "moms",
        "nip",
        "uid",
        "umsatzsteuer",
    ],
    patterns: &[Pattern {
        name: "vat",
        regex: concat!(
            r"(?-u:\b)[A-Z]{2} ?U?[0-9A-Z](?:[ .\-]?[0-9]){6,11}",
            r"(?:B[0-9]{2}|[A-Z]{1,2})?(?-u:\b)"
        ),
        reach: Reach::Every(28),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let mut bytes = [0_u8; 16];
    let mut length = 0;
    for byte in candidate.value().bytes().filter(u8::is_ascii_alphanumeric) {
        *bytes.get_mut(length)? = byte;
        length += 1;
    }
    let (country, number) = bytes[..length].split_first_chunk::<2>()?;
    if !is_valid(*country, number) || boundary::is_piece_of_longer(candidate) {
        return None;
    }
    Worth::strong(0.7, 0.93, "context:vat").verdict(candidate, &["vat_check"])
}

/// Whether the country would have issued the number.
fn is_valid(country: [u8; 2], number: &[u8]) -> bool {
    match &country {
        b"AT" => number
            .split_first()
            .is_some_and(|(u, rest)| *u == b'U' && austria(rest)),
        b"ES" => spain(number),
        b"IE" => ireland(number),
        b"NL" => netherlands(number),
        b"CY" => cyprus(number),
        _ => {
            let text = str::from_utf8(number).unwrap_or_default();
            let all = number.iter().all(u8::is_ascii_digit);
            Digits::of(text).is_some_and(|digits| all && is_valid_in_digits(country, &digits))
        }
    }
}

/// The countries whose numbers are digits alone.
fn is_valid_in_digits(country: [u8; 2], digits: &[u8]) -> bool {
    let value = |range: std::ops::Range<usize>| checksum::number(&digits[range]);
    let last = digits.last().copied().map_or(0, u32::from);
    match (&country, digits.len()) {
        (b"BE", 10) => digits[0] < 2 && 97 - value(0..8) % 97 == value(8..10),
        (b"BG", 9) => bulgaria(digits, last),
        (b"CZ", 8) => (11 - weighted(digits, &[8, 7, 6, 5, 4, 3, 2]) % 11) % 10 == last,
        (b"DE", 9) => digits[0] > 0 && checksum::mod_11_10(digits),
        (b"DK", 8) => digits[0] > 0 && divides(11, digits, &[2, 7, 6, 5, 4, 3, 2, 1]),
        (b"EE", 9) => divides(10, digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]),
        (b"EL", 9) => {
            let powers = digits[..8]
                .iter()
                .fold(0, |sum, digit| (sum + u32::from(*digit)) * 2);
            powers % 11 % 10 == last
        }
        (b"FI", 8) => divides(11, digits, &[7, 9, 10, 5, 8, 4, 2, 1]),
        (b"FR", 11) => value(0..2) == (12 + 3 * (value(2..11) % 97)) % 97,
        (b"HR", 11) => checksum::mod_11_10(digits),
        (b"HU", 8) => divides(10, digits, &[9, 7, 3, 1, 9, 7, 3, 1]),
        (b"IT", 11) => checksum::luhn(digits) && value(0..7) > 0,
        (b"LT", 9) => lithuania(digits, last),
        (b"LU", 8) => value(0..6) % 89 == value(6..8),
        // 3 less the sum, modulo 11.
        (b"LV", 11) => {
            let sum = weighted(digits, &[9, 1, 4, 8, 3, 10, 2, 5, 7, 6]);
            digits[0] > 3 && (14 - sum % 11) % 11 == last
        }
        (b"MT", 8) => {
            let rest = u64::from(weighted(digits, &[3, 4, 6, 7, 8, 9]) % 37);
            37 - rest == value(6..8)
        }
        (b"PL", 10) => weighted(digits, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == last,
        (b"PT", 9) => {
            let check = 11 - weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
            digits[0] > 0 && check % 11 % 10 == last
        }
        (b"RO", 7..=10) => {
            let weights = &[7, 5, 3, 2, 1, 7, 5, 3, 2][10 - digits.len()..];
            weighted(&digits[..digits.len() - 1], weights) * 10 % 11 % 10 == last
        }
        (b"SE", 12) => value(10..12) > 0 && checksum::luhn(&digits[..10]),
        (b"SI", 8) => {
            let check = 11 - weighted(digits, &[8, 7, 6, 5, 4, 3, 2]) % 11;
            digits[0] > 0 && check != 11 && check % 10 == last
        }
        (b"SK", 10) => checksum::number(digits).is_multiple_of(11),
        // Northern Ireland, by HMRC's check (notice 700/21): 97 from the weighted sum.
        (b"XI", 9) => {
            let sum = weighted(digits, &[8, 7, 6, 5, 4, 3, 2]) + value(7..9) as u32;
            sum.is_multiple_of(97) || (sum + 55).is_multiple_of(97)
        }
        _ => false,
    }
}

fn divides(divisor: u32, digits: &[u8], weights: &[u8]) -> bool {
    weighted(digits, weights).is_multiple_of(divisor)
}

/// Seven digits, every second doubled and its digits added, and 4 added to the sum.
fn austria(number: &[u8]) -> bool {
    let text = str::from_utf8(number).unwrap_or_default();
    let Some(digits) = Digits::exactly::<8>(text).filter(|_| number.len() == 8) else {
        return false;
    };
    let sum = checksum::luhn_sum(&digits[..7]);
    (10 - (sum + 4) % 10) % 10 == u32::from(digits[7])
}

fn bulgaria(digits: &[u8], last: u32) -> bool {
    let first = weighted(digits, &[1, 2, 3, 4, 5, 6, 7, 8]) % 11;
    let check = match first {
        10 => weighted(digits, &[3, 4, 5, 6, 7, 8, 9, 10]) % 11 % 10,
        rest => rest,
    };
    check == last
}

fn lithuania(digits: &[u8], last: u32) -> bool {
    let check = match weighted(digits, &[1, 2, 3, 4, 5, 6, 7, 8]) % 11 {
        10 => weighted(digits, &[3, 4, 5, 6, 7, 8, 9, 1]) % 11 % 10,
        rest => rest,
    };
    digits[7] == 1 && check == last
}

/// A DNI, a NIE, or a company's letter, seven digits and a check digit or letter.
fn spain(number: &[u8]) -> bool {
    if number.len() != 9 || !number[1..8].iter().all(u8::is_ascii_digit) {
        return false;
    }
    if matches!(number[0], b'0'..=b'9' | b'X' | b'Y' | b'Z') {
        return es_dni::has_control_letter(number);
    }
    let mut digits = [0; 7];
    for (digit, byte) in digits.iter_mut().zip(&number[1..8]) {
        *digit = byte - b'0';
    }
    // Odd places count double, as in Luhn's scheme.
    let check = (10 - checksum::luhn_sum(&padded(digits)) % 10) % 10;
    let letter = b"JABCDEFGHI"[check as usize];
    b"ABCDEFGHJNPQRSUVW".contains(&number[0])
        && (number[8] == b'0' + check as u8 || number[8] == letter)
}

/// Seven digits with a place for the check digit, for [`checksum::luhn_sum`].
fn padded(digits: [u8; 7]) -> [u8; 8] {
    let mut padded = [0; 8];
    padded[..7].copy_from_slice(&digits);
    padded
}

/// Seven digits and a letter modulo 23; a second letter counts nine times.
fn ireland(number: &[u8]) -> bool {
    let (Some(letter), Some(second)) = (number.get(7), number.get(8).or(Some(&b'@'))) else {
        return false;
    };
    let text = str::from_utf8(&number[..7]).unwrap_or_default();
    let Some(digits) = Digits::exactly::<7>(text) else {
        return false;
    };
    let extra = u32::from(second.saturating_sub(b'@'));
    let sum = weighted(&digits, &[8, 7, 6, 5, 4, 3, 2]) + 9 * extra;
    number.len() <= 9 && b"WABCDEFGHIJKLMNOPQRSTUV"[(sum % 23) as usize] == *letter
}

/// A citizen's or company's number that passes the eleven test, or since 2020 one
/// that passes MOD 97-10 with the country before it; then B and two digits.
fn netherlands(number: &[u8]) -> bool {
    if number.len() != 12 || number[9] != b'B' {
        return false;
    }
    let text = str::from_utf8(&number[..9]).unwrap_or_default();
    let Some(digits) = Digits::exactly::<9>(text) else {
        return false;
    };
    let eleven = weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 == u32::from(digits[8]);
    let whole = b"NL".iter().chain(number).copied();
    eleven || checksum::mod_97(whole) == 1
}

/// Eight digits, the odd places exchanged by a table, and a letter modulo 26.
fn cyprus(number: &[u8]) -> bool {
    const ODD: [u32; 10] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21];
    let Some((letter, head)) = number.split_last().filter(|(_, head)| head.len() == 8) else {
        return false;
    };
    let text = str::from_utf8(head).unwrap_or_default();
    let Some(digits) = Digits::exactly::<8>(text) else {
        return false;
    };
    let places = digits.iter().enumerate();
    let sum: u32 = places
        .map(|(place, digit)| match place % 2 {
            0 => ODD[usize::from(*digit)],
            _ => u32::from(*digit),
        })
        .sum();
    b'A' + (sum % 26) as u8 == *letter
}
