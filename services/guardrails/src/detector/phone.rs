//! Telephone numbers: E.164 with `+` or `00`, the North American plan as it is
//! usually written, and, only beside words such as `phone`, national numbers of any
//! country and bare runs of digits. The numbering plans of all countries (Google's
//! libphonenumber metadata) say how sure a number is; they are asked last, because that
//! costs a microsecond.

use rlibphonenumber::{PHONE_NUMBER_UTIL, enums::Region};

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum::Digits, labelled};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "phone",
    kind: "PHONE",
    description: "Telephone numbers: international with a known country code (E.164, 8 to 15 \
                  digits), North American in the usual forms; other national forms and bare \
                  digits only beside words such as `phone` or `call`.",
    default_on: true,
    context: &STRONG_WORDS,
    patterns: &[
        Pattern {
            name: "international",
            regex: concat!(
                r"(?:\(\+[0-9]{1,3}\)|\+[0-9])(?:[ .\-/()]{0,2}[0-9]){6,15}",
                r"(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?-u:\b)"
            ),
            reach: Reach::Every(60),
        },
        Pattern {
            name: "international_00",
            regex: concat!(
                r"(?-u:\b)00[ .\-]?[1-9](?:[ .\-/()]{0,2}[0-9]){7,14}",
                r"(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?-u:\b)"
            ),
            reach: Reach::Every(60),
        },
        Pattern {
            name: "nanp",
            regex: concat!(
                r"(?:(?:(?-u:\b)1[ .\-]?)?\([2-9][0-9]{2}\) ?",
                r"|(?-u:\b)(?:1[ .\-]?)?[2-9][0-9]{2}[ .\-])",
                r"[2-9][0-9]{2}[ .\-][0-9]{4}",
                r"(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?-u:\b)"
            ),
            reach: Reach::Every(32),
        },
        // Only whole rows of groups are judged, so one reading of each is enough.
        Pattern {
            name: "national",
            regex: concat!(
                r"(?:\([0-9]{1,5}\)[ .\-]?|(?-u:\b)[0-9]{1,5}[ .\-]",
                r"|(?-u:\b)[0-9]{1,2}[ \-]?\([0-9]{2,5}\)[ \-]?)",
                r"[0-9]{2,8}(?:[ .\-][0-9]{2,8}){0,4}",
                r"(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?-u:\b)"
            ),
            reach: Reach::Longest(64),
        },
        Pattern {
            name: "of_person",
            regex: concat!(
                r"(?-u:\b)(?i-u:(?:my|his|her|our|your|their)(?: new| work| home)? number(?: is|:) )",
                r"(?:\([0-9]{1,5}\)|[0-9]{1,5})(?:[ .\-]?[0-9]{1,8}){1,5}(?-u:\b)"
            ),
            reach: Reach::Every(60),
        },
        // Fewer digits than `bare` needs, for the label stands right before them.
        Pattern {
            name: "labelled",
            regex: concat!(
                r"(?-u:\b)(?i-u:(?:tele|cell)?phone|tel|mobile|cell|fax|whatsapp|telefon|telefono|telefone|celular|handy)",
                r#"(?i-u:[ _\-]?(?:number|no|nr|num)\.?)?["']{0,2}[ \t]?(?:\.?[:=#]|\.|(?i-u:is))[ \t]{0,2}["']?"#,
                r"[0-9]{7,13}(?-u:\b)"
            ),
            reach: Reach::Every(48),
        },
        Pattern {
            name: "bare",
            regex: r"(?-u:\b)[0-9]{10,12}(?-u:\b)",
            reach: Reach::Every(12),
        },
    ],
    validate,
};

/// Words about little else than telephones: enough for a bare run of digits.
#[rustfmt::skip]
const STRONG_WORDS: [&str; 22] = [
    "phone", "phones", "telephone", "tel", "call", "calls", "called", "calling", "phoned",
    "mobile", "cell", "cellphone", "fax", "dial", "sms", "whatsapp", "hotline", "landline",
    "telefon", "telefono", "telefone", "celular",
];

/// Words that make groups of digits a telephone number, but not a bare run.
#[rustfmt::skip]
const WEAK_WORDS: [&str; 9] = [
    "ring", "text", "texted", "handy", "contact", "reach", "voicemail", "answering", "office",
];

/// Country codes of ITU-T E.164 in use, as the numbers of one, two and three digits
/// (<https://www.itu.int/pub/T-SP-E.164D>); ranges are inclusive.
#[rustfmt::skip]
const COUNTRY_CODES: [(u32, u32); 47] = [
    (1, 1), (7, 7), (20, 20), (27, 27), (30, 34), (36, 36), (39, 41), (43, 49), (51, 58),
    (60, 66), (81, 82), (84, 84), (86, 86), (90, 95), (98, 98), (211, 213), (216, 216),
    (218, 218), (220, 258), (260, 269), (290, 291), (297, 299), (350, 359), (370, 383),
    (385, 387), (389, 389), (420, 421), (423, 423), (500, 509), (590, 599), (670, 670),
    (672, 683), (685, 692), (800, 800), (808, 808), (850, 850), (852, 853), (855, 856),
    (870, 870), (878, 878), (880, 883), (886, 886), (888, 888), (960, 968), (970, 977),
    (992, 996), (998, 998),
];

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    match candidate.pattern {
        "of_person" => return of_person(candidate),
        "labelled" => {
            let number = labelled::value(candidate, |byte| byte.is_ascii_digit())?;
            return Some(Verdict::new(number.span(), 0.6).because("context:phone"));
        }
        _ => {}
    }
    let dialled = dialled_part(candidate.value());
    if !brackets_match(dialled) || is_piece(candidate) {
        return None;
    }
    let digits = Digits::of(dialled)?;
    let span = candidate.span();
    match candidate.pattern {
        "international" => {
            let digits = without_trunk_zero(dialled, digits);
            international(&digits).then(|| in_plan(candidate, dialled, &digits))?
        }
        "international_00" => {
            let separated = dialled.bytes().any(|byte| !byte.is_ascii_digit());
            if boundary::is_in_row(candidate) {
                return None;
            }
            let known = international(&digits[2..]);
            match (known && separated, known || separated) {
                (true, _) => Some(Verdict::new(span, 0.75).because("e164")),
                (false, true) => with_any_context(candidate, 0.55),
                _ => None,
            }
        }
        "nanp" => {
            let score = nanp(&digits).then(|| nanp_score(dialled)).flatten()?;
            // Spaces alone separate the columns of a table too.
            let in_table = score == SPACED && boundary::is_in_row(candidate);
            (!in_table).then(|| Verdict::new(span, score).because("nanp"))
        }
        "national" => {
            let plausible = (7..=12).contains(&digits.len())
                && !boundary::is_in_row(candidate)
                && !is_date_or_amount(candidate);
            plausible.then(|| national(candidate, dialled)).flatten()
        }
        // Ten digits that begin with 1 are seconds since 1970 more often than a number.
        _ if digits.len() == 10 && digits[0] == 1 => None,
        _ => bare(candidate, dialled, &digits),
    }
}

/// A national number in groups: an extension or an area code in brackets after a zero
/// makes it a telephone's, else a word must.
fn national(candidate: &Candidate<'_>, dialled: &str) -> Option<Verdict> {
    let extended = dialled.len() + 2 < candidate.value().len();
    let verdict = match with_any_context(candidate, 0.5) {
        Some(verdict) => verdict,
        None if extended => Verdict::new(candidate.span(), 0.55).because("extension"),
        None if dialled.starts_with("(0") && is_valid_somewhere(dialled) => {
            return Some(Verdict::new(candidate.span(), 0.55).because("numbering_plan"));
        }
        None => return None,
    };
    Some(if is_valid_somewhere(dialled) {
        let score = verdict.score.max(0.65);
        Verdict { score, ..verdict }.because("numbering_plan")
    } else {
        verdict
    })
}

/// `My number is 081 667 6057`: people have no other number that they just call theirs.
fn of_person(candidate: &Candidate<'_>) -> Option<Verdict> {
    let label = candidate
        .value()
        .find(|c: char| c == '(' || c.is_ascii_digit())?;
    let number = Candidate {
        start: candidate.start + label,
        ..*candidate
    };
    let digits = Digits::of(number.value())?;
    let plausible = (7..=12).contains(&digits.len())
        && brackets_match(number.value())
        && !is_piece(&number)
        && !is_date_or_amount(&number);
    plausible.then(|| Verdict::new(number.span(), 0.55).because("context:phone"))
}

/// A run of digits: a word about telephones makes it one, or a word that may be about
/// them and a numbering plan that it fits.
fn bare(candidate: &Candidate<'_>, dialled: &str, digits: &[u8]) -> Option<Verdict> {
    // `10000000000` is an amount, `phone_id=4155552671` an identifier.
    if digits.ends_with(&[0, 0, 0, 0]) || is_identifier(candidate) {
        return None;
    }
    if candidate.has_context() {
        return with_context(candidate, true, 0.6);
    }
    let fits = candidate.near(&WEAK_WORDS) && is_valid_somewhere(dialled);
    with_context(candidate, fits, 0.5).map(|verdict| verdict.because("numbering_plan"))
}

/// Whether the name right before the digits ends in `id`.
fn is_identifier(candidate: &Candidate<'_>) -> bool {
    let head = &candidate.text.as_bytes()[candidate.start.saturating_sub(8)..candidate.start];
    let joints = head
        .iter()
        .rev()
        .take_while(|byte| !byte.is_ascii_alphanumeric());
    let head = &head[..head.len() - joints.count()];
    head.len() > 1 && head[head.len() - 2..].eq_ignore_ascii_case(b"id")
}

fn with_any_context(candidate: &Candidate<'_>, score: f64) -> Option<Verdict> {
    let near = candidate.has_context() || candidate.near(&WEAK_WORDS);
    with_context(candidate, near, score)
}

fn with_context(candidate: &Candidate<'_>, near: bool, score: f64) -> Option<Verdict> {
    near.then(|| Verdict::new(candidate.span(), score).because("context:phone"))
}

/// The number without its extension.
fn dialled_part(value: &str) -> &str {
    let end = value.find(|c: char| c.is_ascii_alphabetic());
    value[..end.unwrap_or(value.len())].trim_end()
}

fn brackets_match(dialled: &str) -> bool {
    let mut open = false;
    for byte in dialled.bytes() {
        match (byte, open) {
            (b'(', false) => open = true,
            (b')', true) => open = false,
            (b'(' | b')', _) => return false,
            _ => {}
        }
    }
    !open
}

/// Whether the candidate continues beyond its span. A leading `+` or `(` hides the
/// digit from [`boundary::is_piece_of_longer`], not the joint.
fn is_piece(candidate: &Candidate<'_>) -> bool {
    let [near, far] = boundary::before(candidate);
    boundary::is_piece_of_longer(candidate)
        || near == Some('+')
        || matches!(near, Some('/' | '(' | ':')) && far.is_some_and(|c| c.is_ascii_digit())
}

/// `+44 (0)20 ...`: the bracketed zero is dialled inside the country only.
fn without_trunk_zero(dialled: &str, mut digits: Digits) -> Digits {
    if let Some(at) = dialled.find("(0)") {
        let before = dialled[..at].bytes().filter(u8::is_ascii_digit).count();
        digits.remove(before);
    }
    digits
}

/// Eight to fifteen digits with a known country code; in the North American and
/// Russian plans the length is fixed at eleven.
fn international(digits: &[u8]) -> bool {
    if !(8..=15).contains(&digits.len()) {
        return false;
    }
    match digits[0] {
        1 => nanp(digits),
        7 => digits.len() == 11,
        _ => (1..=3).any(|length| {
            let head = digits[..length].iter();
            let code = head.fold(0, |number, digit| number * 10 + u32::from(*digit));
            let of_length = |code: u32| code.to_string().len() == length;
            COUNTRY_CODES
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&code) && of_length(code))
        }),
    }
}

/// What an international number is worth: sure when it fits the numbering plan of its
/// country, and likely all the same when it is written as a telephone number, for plans
/// change and people mistype. The North American plan was verified before.
fn in_plan(candidate: &Candidate<'_>, dialled: &str, digits: &[u8]) -> Option<Verdict> {
    let verdict = |score| Verdict::new(candidate.span(), score).because("e164");
    let parsed = || PHONE_NUMBER_UTIL.parse(dialled, None);
    if digits[0] == 1 || parsed().is_ok_and(|number| PHONE_NUMBER_UTIL.is_valid_number(&number)) {
        return Some(verdict(0.9).because("numbering_plan"));
    }
    let grouped = dialled[1..].bytes().any(|byte| !byte.is_ascii_digit());
    (grouped || candidate.has_context()).then(|| verdict(0.6))
}

/// Whether a national number is valid in one of the countries that most people who
/// would write one without its country live in.
fn is_valid_somewhere(dialled: &str) -> bool {
    const REGIONS: [Region; 13] = [
        Region::US,
        Region::GB,
        Region::DE,
        Region::FR,
        Region::IN,
        Region::BR,
        Region::ES,
        Region::IT,
        Region::AU,
        Region::NL,
        Region::SE,
        Region::PL,
        Region::CN,
    ];
    REGIONS.iter().any(|region| {
        let parsed = PHONE_NUMBER_UTIL.parse(dialled, Some(*region));
        parsed.is_ok_and(|number| PHONE_NUMBER_UTIL.is_valid_number(&number))
    })
}

/// Ten digits, or eleven after the country code 1: area code and exchange begin with
/// 2 to 9 and neither is a service code such as 911 (<https://www.nanpa.com/numbering>).
fn nanp(digits: &[u8]) -> bool {
    let national = match digits {
        [1, rest @ ..] => rest,
        all => all,
    };
    let starts_group = |group: &[u8]| (2..=9).contains(&group[0]);
    let service = |group: &[u8]| group[1] == 1 && group[2] == 1;
    national.len() == 10
        && starts_group(&national[..3])
        && starts_group(&national[3..6])
        && !service(&national[..3])
        && !service(&national[3..6])
}

/// The score of `415 555 2671`.
const SPACED: f64 = 0.65;

/// How sure the form makes it; `None` for a mix of separators.
fn nanp_score(dialled: &str) -> Option<f64> {
    if dialled.contains('(') {
        return Some(0.85);
    }
    let mut tail = dialled.bytes().rev().filter(|byte| !byte.is_ascii_digit());
    match (tail.next(), tail.next()) {
        (Some(a), Some(b)) if a != b => None,
        (Some(b' '), _) => Some(SPACED),
        _ => Some(0.8),
    }
}

/// `2024-01-15`, `15.01.2024`, `$1 200 000`, `10.000.000`.
fn is_date_or_amount(candidate: &Candidate<'_>) -> bool {
    let [near, _] = boundary::before(candidate);
    let [next, beyond] = boundary::after(candidate);
    if matches!(near, Some('$' | '€' | '£' | '#'))
        || matches!(next.zip(beyond), Some(('%', _) | (' ', '€' | '$' | '%')))
    {
        return true;
    }
    let groups: Vec<&str> = candidate.value().split(['-', '.', ' ']).collect();
    let thousands = candidate.value().contains('.')
        && groups[0].len() <= 3
        && groups[1..].iter().all(|group| group.len() == 3);
    if thousands {
        return true;
    }
    let in_range = |text: &str, low: u32, high: u32| {
        text.parse()
            .is_ok_and(|number: u32| (low..=high).contains(&number))
    };
    let (year, rest) = match groups.as_slice() {
        [year, a, b, ..] if year.len() == 4 => (*year, [*a, *b]),
        [a, b, year, ..] if year.len() == 4 => (*year, [*a, *b]),
        _ => return false,
    };
    in_range(year, 1900, 2100)
        && rest
            .iter()
            .all(|part| part.len() <= 2 && in_range(part, 1, 31))
}
