//! International bank account numbers: ISO 13616, with the lengths that SWIFT's
//! registry gives each country (<https://www.swift.com/standards/data-standards/iban>)
//! and the check of ISO/IEC 7064 MOD 97-10.

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "iban",
    kind: "IBAN",
    description: "International bank account numbers, bare, in groups of four or dashed; country, \
                  length and check digits are verified.",
    default_on: true,
    context: &[
        "iban",
        "bank",
        "account",
        "konto",
        "bankverbindung",
        "compte",
        "cuenta",
        "conto",
    ],
    patterns: &[
        Pattern {
            name: "bare",
            regex: r"(?-u:\b)[A-Za-z]{2}[0-9]{2}[A-Za-z0-9]{11,30}(?-u:\b)",
            reach: Reach::Code(34),
        },
        Pattern {
            name: "grouped",
            regex: concat!(
                r"(?-u:\b)[A-Za-z]{2}[0-9]{2}(?:[ \-][A-Za-z0-9]{4}){2,7}",
                r"(?:[ \-][A-Za-z0-9]{1,3})?(?-u:\b)"
            ),
            reach: Reach::Code(42),
        },
    ],
    validate,
};

/// Country and length, by SWIFT's IBAN registry, release 99.
#[rustfmt::skip]
const LENGTHS: [([u8; 2], usize); 89] = [
    (*b"AD", 24), (*b"AE", 23), (*b"AL", 28), (*b"AT", 20), (*b"AZ", 28), (*b"BA", 20),
    (*b"BE", 16), (*b"BG", 22), (*b"BH", 22), (*b"BI", 27), (*b"BR", 29), (*b"BY", 28),
    (*b"CH", 21), (*b"CR", 22), (*b"CY", 28), (*b"CZ", 24), (*b"DE", 22), (*b"DJ", 27),
    (*b"DK", 18), (*b"DO", 28), (*b"EE", 20), (*b"EG", 29), (*b"ES", 24), (*b"FI", 18),
    (*b"FK", 18), (*b"FO", 18), (*b"FR", 27), (*b"GB", 22), (*b"GE", 22), (*b"GI", 23),
    (*b"GL", 18), (*b"GR", 27), (*b"GT", 28), (*b"HN", 28), (*b"HR", 21), (*b"HU", 28),
    (*b"IE", 22), (*b"IL", 23), (*b"IQ", 23), (*b"IS", 26), (*b"IT", 27), (*b"JO", 30),
    (*b"KW", 30), (*b"KZ", 20), (*b"LB", 28), (*b"LC", 32), (*b"LI", 21), (*b"LT", 20),
    (*b"LU", 20), (*b"LV", 21), (*b"LY", 25), (*b"MC", 27), (*b"MD", 24), (*b"ME", 22),
    (*b"MK", 19), (*b"MN", 20), (*b"MR", 27), (*b"MT", 31), (*b"MU", 30), (*b"NI", 28),
    (*b"NL", 18), (*b"NO", 15), (*b"OM", 23), (*b"PK", 24), (*b"PL", 28), (*b"PS", 29),
    (*b"PT", 25), (*b"QA", 29), (*b"RO", 24), (*b"RS", 22), (*b"RU", 33), (*b"SA", 24),
    (*b"SC", 31), (*b"SD", 18), (*b"SE", 24), (*b"SI", 19), (*b"SK", 24), (*b"SM", 27),
    (*b"SO", 23), (*b"ST", 25), (*b"SV", 28), (*b"TL", 23), (*b"TN", 24), (*b"TR", 26),
    (*b"UA", 29), (*b"VA", 22), (*b"VG", 24), (*b"XK", 20), (*b"YE", 30),
];

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value().as_bytes();
    let country = [value[0].to_ascii_uppercase(), value[1].to_ascii_uppercase()];
    let known = LENGTHS.binary_search_by_key(&country, |(country, _)| *country);
    let (_, length) = LENGTHS[known.ok()?];
    let of_account = |byte: &u8| byte.is_ascii_alphanumeric();
    let given = value.iter().filter(|byte| of_account(byte)).count();
    if given.abs_diff(length) > 1 {
        return None;
    }
    // One kind of separator, and one case but for the country: `De...` starts words.
    let dashes = value.contains(&b'-');
    if dashes && value.contains(&b' ') {
        return None;
    }
    // The country and the check digits move to the end.
    let moved = value[4..].iter().chain(&value[..4]).copied();
    if checksum::mod_97(moved) != 1 || boundary::is_piece_of_longer(candidate) {
        return None;
    }
    if given == length {
        Worth::strong(0.95, 0.98, "context:iban").verdict(candidate, &["iban_length", "mod97"])
    } else {
        // One place too many or too few, and yet the checksum holds: made up by software
        // or written wrong, but nothing else than an account number.
        Worth::strong(0.6, 0.85, "context:iban").verdict(candidate, &["mod97"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_sorted_for_the_search() {
        assert!(LENGTHS.is_sorted_by_key(|(country, _)| *country));
    }
}
