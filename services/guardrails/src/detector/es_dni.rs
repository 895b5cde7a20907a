//! Spanish identity numbers: the DNI of citizens, eight digits and a letter, and the
//! NIE of foreigners, with X, Y or Z in the first place. The letter is the number
//! modulo 23 (Ministerio del Interior, Calculo del digito de control del NIF/NIE).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector of numbers of citizens.
pub(super) static DETECTOR: Detector = Detector {
    name: "es_dni",
    kind: "ES_DNI",
    description: "Spanish identity numbers of citizens (DNI, NIF); the control letter is \
                  verified.",
    default_on: true,
    context: &["dni", "nif", "identidad", "documento", "nacional"],
    patterns: &[Pattern {
        name: "dni",
        regex: r"(?-u:\b)[0-9]{8}[ \-]?[A-HJ-NP-TV-Za-hj-np-tv-z](?-u:\b)",
        reach: Reach::Every(10),
    }],
    validate,
};

/// The detector of numbers of foreigners.
pub(super) static FOREIGNERS: Detector = Detector {
    name: "es_nie",
    kind: "ES_NIE",
    description: "Spanish identity numbers of foreigners (NIE); the control letter is verified.",
    default_on: true,
    context: &["nie", "nif", "extranjero", "identidad", "documento"],
    patterns: &[Pattern {
        name: "nie",
        regex: r"(?-u:\b)[XYZxyz][ \-]?[0-9]{7}[ \-]?[A-HJ-NP-TV-Za-hj-np-tv-z](?-u:\b)",
        reach: Reach::Every(11),
    }],
    validate,
};

const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value().as_bytes();
    let letter = *value.last()?;
    if !has_control_letter(value) || boundary::is_piece_of_longer(candidate) {
        return None;
    }
    // One letter in 23 fits by chance, and a space or lower case (`20240115 a`) is no
    // part of the official form: only that form counts by itself.
    let digits = checksum::Digits::of(candidate.value())?;
    let month_and_day = checksum::is_month_and_day(
        checksum::number(&digits[4..6]),
        checksum::number(&digits[6..]),
    );
    let date = digits.len() == 8 && matches!(digits[..2], [1, 9] | [2, 0]) && month_and_day;
    let official = letter.is_ascii_uppercase() && !value.contains(&b' ') && !date;
    let worth = if official {
        Worth::strong(0.75, 0.95, "context:dni")
    } else {
        Worth::weak(0.85, "context:dni")
    };
    worth.verdict(candidate, &["mod23"])
}

/// Whether the last byte is the control letter of the digits before it, X, Y and Z
/// in the first place counting 0, 1 and 2. Also a part of VAT numbers.
pub(super) fn has_control_letter(value: &[u8]) -> bool {
    let Some((letter, head)) = value.split_last() else {
        return false;
    };
    let number = head.iter().fold(0_u32, |number, byte| match byte {
        b'0'..=b'9' => number.wrapping_mul(10).wrapping_add(u32::from(byte - b'0')),
        b'X' | b'x' | b'Y' | b'y' | b'Z' | b'z' => u32::from(byte.to_ascii_uppercase() - b'X'),
        _ => number,
    });
    LETTERS[(number % 23) as usize] == letter.to_ascii_uppercase()
}
