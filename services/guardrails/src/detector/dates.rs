//! Dates of days: with digits, or with the name of a month. A date by itself is
//! everywhere in text; beside a word of birth it is a person's.

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, weigh::Worth};

/// The detector of dates of birth.
pub(super) static OF_BIRTH: Detector = Detector {
    name: "date_of_birth",
    kind: "DATE_OF_BIRTH",
    description: "Dates beside words such as `born` or `DOB`; month, day and year must exist.",
    default_on: true,
    context: &[
        "dob",
        "birth",
        "birthdate",
        "birthday",
        "dateofbirth",
        "born",
        "geburtsdatum",
        "geboren",
        "geburtstag",
        "naissance",
        "nacimiento",
        "nacido",
        "nacida",
        "nascita",
        "nascimento",
        "geboortedatum",
        "urodzenia",
    ],
    patterns: PATTERNS,
    validate: of_birth,
};

/// The detector of all dates.
pub(super) static ANY: Detector = Detector {
    name: "date",
    kind: "DATE",
    description: "Dates of days, with digits or the name of a month in six languages. Off by \
                  default: most dates are nobody's; HIPAA counts those of a patient.",
    default_on: false,
    context: &[],
    patterns: PATTERNS,
    validate: any,
};

macro_rules! month {
    () => {
        concat!(
            r"(?i-u:jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch|zo|s)?|apr(?:il|ile)?|may|mai|june?|juni",
            r"|july?|juli|aug(?:ust)?|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?",
            r"|janvier|fevrier|avril|juin|juillet|aout|septembre|octobre|novembre|decembre",
            r"|enero|febrero|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre",
            r"|gennaio|febbraio|maggio|giugno|luglio|settembre|ottobre|dicembre)"
        )
    };
}

const PATTERNS: &[Pattern] = &[
    Pattern {
        name: "digits",
        regex: r"(?-u:\b)[0-9]{1,4}[/.\-][0-9]{1,2}[/.\-][0-9]{2,4}(?-u:\b)",
        reach: Reach::Every(12),
    },
    // The `T` of a timestamp is a letter, so no boundary stands before it.
    Pattern {
        name: "timestamp",
        regex: r"(?-u:\b)[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}",
        reach: Reach::Every(16),
    },
    Pattern {
        name: "day_month",
        regex: concat!(
            r"(?-u:\b)[0-9]{1,2}(?i-u:st|nd|rd|th)?\.?[ \-](?i-u:(?:of|de) )?",
            month!(),
            r"\.?(?:,? (?i-u:de )?[0-9]{4}|-[0-9]{2,4})?(?-u:\b)"
        ),
        reach: Reach::Every(36),
    },
    Pattern {
        name: "month_day",
        regex: concat!(
            r"(?-u:\b)",
            month!(),
            r"\.? [0-9]{1,2}(?i-u:st|nd|rd|th)?(?:,? [0-9]{4})?(?-u:\b)"
        ),
        reach: Reach::Every(30),
    },
];

fn of_birth(candidate: &Candidate<'_>) -> Option<Verdict> {
    // A birthday without its year is a date like any other.
    if !exists(candidate) || !has_year(candidate) {
        return None;
    }
    Worth::weak(0.85, "context:birth").verdict(candidate, &["date"])
}

fn any(candidate: &Candidate<'_>) -> Option<Verdict> {
    if !exists(candidate) {
        return None;
    }
    let length = if candidate.pattern == "timestamp" {
        10
    } else {
        candidate.value().len()
    };
    let span = candidate.start..candidate.start + length;
    Some(Verdict::new(span, 0.6).because("date"))
}

fn has_year(candidate: &Candidate<'_>) -> bool {
    let digits = candidate.value().bytes().filter(u8::is_ascii_digit).count();
    match candidate.pattern {
        "digits" => true,
        "timestamp" => false,
        _ => digits > 2,
    }
}

/// Whether there is such a day.
fn exists(candidate: &Candidate<'_>) -> bool {
    let [near, far] = boundary::before(candidate);
    let [next, beyond] = boundary::after(candidate);
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    if near == Some('/') && digit(far) || next == Some('/') && digit(beyond) {
        return false;
    }
    if candidate.pattern != "timestamp" && boundary::is_piece_of_longer(candidate) {
        return false;
    }
    let value = candidate.value().as_bytes();
    match candidate.pattern {
        "digits" => exists_in_digits(value),
        "timestamp" => exists_in_digits(&value[..10]),
        "day_month" => (1..=31).contains(&leading_number(value)),
        _ => {
            let day = value.iter().position(u8::is_ascii_digit);
            day.is_some_and(|at| (1..=31).contains(&leading_number(&value[at..])))
        }
    }
}

fn leading_number(value: &[u8]) -> u32 {
    let digits = value
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .take(4);
    digits.fold(0, |number, byte| number * 10 + u32::from(byte - b'0'))
}

/// `1986-04-17`, `17.04.1986`, `4/17/86`: one separator, a year that people remember.
fn exists_in_digits(value: &[u8]) -> bool {
    let mut parts = [(0, 0); 3];
    let mut separators = [0; 2];
    let mut at = 0;
    for (place, part) in parts.iter_mut().enumerate() {
        let length = value[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        *part = (leading_number(&value[at..]), length);
        at += length;
        if place < 2 {
            let Some(separator) = value.get(at) else {
                return false;
            };
            separators[place] = *separator;
            at += 1;
        }
    }
    let [(a, a_digits), (b, _), (c, c_digits)] = parts;
    let day = |number| (1..=31).contains(&number);
    let month = |number| (1..=12).contains(&number);
    let year = |number| (1800..=2199).contains(&number);
    let either = |a, b| month(a) && day(b) || day(a) && month(b);
    separators[0] == separators[1]
        && match (a_digits, c_digits) {
            (4, 2) => year(a) && month(b) && day(c),
            (1 | 2, 4) => year(c) && either(a, b),
            // With dots it is a version, with dashes a code.
            (1 | 2, 2) => separators[0] == b'/' && either(a, b),
            _ => false,
        }
}
