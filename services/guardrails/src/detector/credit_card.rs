//! Payment card numbers: 12 to 19 digits with an issuer's prefix and length and a
//! Luhn check digit (ISO/IEC 7812-1), bare or in the groups that cards are printed in.

use super::{
    Candidate, Detector, Pattern, Reach, Verdict, boundary,
    checksum::{Digits, luhn},
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "credit_card",
    kind: "CREDIT_CARD",
    description: "Payment card numbers of 12 to 19 digits, bare, spaced or dashed; issuer \
                  prefix, length and Luhn check digit are verified.",
    default_on: true,
    context: &WORDS,
    patterns: &[
        Pattern {
            name: "bare",
            regex: r"(?-u:\b)[0-9]{12,19}(?-u:\b)",
            reach: Reach::Every(19),
        },
        // 4-4-4-4 and its shorter and longer kin, 4-6-5 (American Express), 4-6-4
        // (Diners Club), 6-13 (UnionPay); one kind of separator throughout.
        Pattern {
            name: "spaced",
            regex: concat!(
                r"(?-u:\b)(?:[0-9]{4}(?: [0-9]{4}){2,3}(?: [0-9]{1,3})?",
                r"|[0-9]{4} [0-9]{6} [0-9]{4,5}|[0-9]{6} [0-9]{13})(?-u:\b)"
            ),
            reach: Reach::Every(24),
        },
        Pattern {
            name: "dashed",
            regex: concat!(
                r"(?-u:\b)(?:[0-9]{4}(?:-[0-9]{4}){2,3}(?:-[0-9]{1,3})?",
                r"|[0-9]{4}-[0-9]{6}-[0-9]{4,5}|[0-9]{6}-[0-9]{13})(?-u:\b)"
            ),
            reach: Reach::Every(24),
        },
    ],
    validate,
};

/// An issuer's numbers: the first `prefix_digits` digits lie in `from..=to`.
struct Issuer {
    reason: &'static str,
    prefix_digits: usize,
    from: u32,
    to: u32,
    shortest: usize,
    longest: usize,
}

const fn issuer(
    reason: &'static str,
    digits: usize,
    range: (u32, u32),
    lengths: (usize, usize),
) -> Issuer {
    Issuer {
        reason,
        prefix_digits: digits,
        from: range.0,
        to: range.1,
        shortest: lengths.0,
        longest: lengths.1,
    }
}

/// The ranges that the networks publish, as collected at
/// <https://en.wikipedia.org/wiki/Payment_card_number#Issuer_identification_number_(IIN)>.
/// The first that fits names the issuer.
const ISSUERS: [Issuer; 28] = [
    issuer("issuer:visa", 1, (4, 4), (13, 13)),
    issuer("issuer:visa", 1, (4, 4), (16, 16)),
    issuer("issuer:visa", 1, (4, 4), (19, 19)),
    issuer("issuer:mastercard", 2, (51, 55), (16, 16)),
    issuer("issuer:mastercard", 4, (2221, 2720), (16, 16)),
    issuer("issuer:amex", 2, (34, 34), (15, 15)),
    issuer("issuer:amex", 2, (37, 37), (15, 15)),
    issuer("issuer:discover", 4, (6011, 6011), (16, 19)),
    issuer("issuer:discover", 3, (644, 649), (16, 19)),
    issuer("issuer:discover", 2, (65, 65), (16, 19)),
    issuer("issuer:diners", 3, (300, 305), (14, 19)),
    issuer("issuer:diners", 4, (3095, 3095), (14, 19)),
    issuer("issuer:diners", 2, (36, 36), (14, 19)),
    issuer("issuer:diners", 2, (38, 39), (14, 19)),
    issuer("issuer:jcb", 4, (3528, 3589), (16, 19)),
    // Cards of fifteen digits that JCB issued before 1989 and software still knows, and
    // what lies beside its present range: sure only beside a word or in groups.
    issuer("issuer:jcb", 4, (2131, 2131), (15, 15)),
    issuer("issuer:jcb", 4, (1800, 1800), (15, 15)),
    issuer(OUTSIDE_JCB, 4, (3500, 3527), (16, 16)),
    issuer(OUTSIDE_JCB, 4, (3590, 3599), (16, 16)),
    issuer("issuer:unionpay", 2, (62, 62), (16, 19)),
    issuer("issuer:unionpay", 2, (81, 81), (16, 19)),
    issuer("issuer:maestro", 2, (50, 50), (12, 19)),
    issuer("issuer:maestro", 2, (56, 58), (12, 19)),
    issuer("issuer:maestro", 4, (6304, 6304), (12, 19)),
    issuer("issuer:maestro", 4, (6390, 6390), (12, 19)),
    issuer("issuer:maestro", 4, (6759, 6759), (12, 19)),
    issuer("issuer:maestro", 4, (6761, 6763), (12, 19)),
    issuer("issuer:maestro", 4, (6767, 6771), (12, 19)),
];

/// Numbers that begin with 35 as JCB's do, outside of the ranges it publishes.
const OUTSIDE_JCB: &str = "issuer:like_jcb";

const WORDS: [&str; 14] = [
    "card",
    "cards",
    "credit",
    "debit",
    "visa",
    "mastercard",
    "amex",
    "discover",
    "maestro",
    "cc",
    "payment",
    "charge",
    "charged",
    "pan",
];

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits = Digits::of(candidate.value())?;
    let issuer = issuer_of(&digits)?;
    if !luhn(&digits) || is_embedded(candidate) {
        return None;
    }
    let context = candidate.has_context();
    // Serial numbers of devices begin with 35 too.
    if issuer == OUTSIDE_JCB && candidate.pattern == "bare" && !context {
        return None;
    }
    // Chance passes Luhn once in ten; the rarer the shape, the less is left to it.
    let mut score: f64 = match digits.len() {
        _ if candidate.pattern != "bare" => 0.95,
        12 | 13 => 0.7,
        _ => 0.9,
    };
    let mut verdict = Verdict::new(candidate.span(), 0.0)
        .because("luhn")
        .because(issuer);
    if context {
        score = score.max(0.9) + 0.05;
        verdict = verdict.because("context:card");
    }
    verdict.score = score;
    Some(verdict)
}

fn issuer_of(digits: &[u8]) -> Option<&'static str> {
    ISSUERS
        .iter()
        .find(|issuer| {
            let head = digits.iter().take(issuer.prefix_digits);
            let head = head.fold(0, |number, digit| number * 10 + u32::from(*digit));
            (issuer.from..=issuer.to).contains(&head)
                && (issuer.shortest..=issuer.longest).contains(&digits.len())
        })
        .map(|issuer| issuer.reason)
}

/// Whether the digits are a part of something else: a longer number, a UUID, an
/// IBAN in groups of four, a dashed identifier.
fn is_embedded(candidate: &Candidate<'_>) -> bool {
    if boundary::is_piece_of_longer(candidate) {
        return true;
    }
    let [near, far] = boundary::before(candidate);
    let [next, beyond] = boundary::after(candidate);
    let dashed_on = |joint: Option<char>, past: Option<char>| {
        joint == Some('-') && past.is_some_and(|c| c.is_ascii_alphanumeric())
    };
    match candidate.pattern {
        // The last group of a UUID is twelve digits, and a UUID is hexadecimal.
        "bare" => {
            dashed_on(near, far.filter(char::is_ascii_hexdigit)) && candidate.value().len() == 12
                || dashed_on(next, beyond.filter(char::is_ascii_hexdigit))
        }
        "dashed" => dashed_on(near, far) || dashed_on(next, beyond),
        _ => follows_iban_head(candidate) || is_short_and_continued(candidate),
    }
}

/// `DE89 3704 0044 0532 0130 00`: a country and two check digits come first.
fn follows_iban_head(candidate: &Candidate<'_>) -> bool {
    let head = &candidate.text.as_bytes()[..candidate.start];
    // The head may stand up to two groups of four before the candidate.
    (0..3).any(|groups| {
        let space = (groups + 1) * 5;
        let Some(from) = head.len().checked_sub(space) else {
            return false;
        };
        let token = &head[from..];
        token[0].is_ascii_uppercase()
            && token[1].is_ascii_uppercase()
            && token[2].is_ascii_digit()
            && token[3].is_ascii_digit()
            && token[4..]
                .chunks(5)
                .all(|group| group[0] == b' ' && group[1..].iter().all(u8::is_ascii_alphanumeric))
    })
}

/// A number of fewer than fourteen digits with yet another group of digits beside it
/// is a row of numbers, not a card.
fn is_short_and_continued(candidate: &Candidate<'_>) -> bool {
    let spaced = |joint: Option<char>, past: Option<char>| {
        joint == Some(' ') && past.is_some_and(|c| c.is_ascii_digit())
    };
    let [near, far] = boundary::before(candidate);
    let [next, beyond] = boundary::after(candidate);
    candidate.value().len() < 16 && (spaced(near, far) || spaced(next, beyond))
}
