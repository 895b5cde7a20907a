//! Numbers of accounts and customers of whatever company: only the label before them
//! tells them from any other number.

use super::{
    Candidate, Detector, Pattern, Reach, Verdict, boundary,
    labelled::{self, label},
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "account_number",
    kind: "ACCOUNT_NUMBER",
    description: "Numbers of accounts, customers, members and policies, of at least five digits, \
                  behind a label such as `account number`.",
    default_on: true,
    context: &[],
    patterns: &[
        Pattern {
            name: "account",
            regex: concat!(
                label!(r"(?:account|acct|a/c|kontonummer|kundennummer|numero de cuenta)"),
                r"[A-Za-z0-9][A-Za-z0-9\-]{4,19}(?-u:\b)"
            ),
            reach: Reach::Every(64),
        },
        Pattern {
            name: "customer",
            regex: concat!(
                label!(
                    r"(?:customer|client|member|membership|subscriber|loan|mortgage|policy|insurance)[ _\-]?(?:number|num|no|nr|id|#)"
                ),
                r"[A-Za-z0-9][A-Za-z0-9\-]{4,19}(?-u:\b)"
            ),
            reach: Reach::Every(64),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = labelled::value(candidate, labelled::is_code)?;
    let text = value.value();
    if labelled::digits(text) < 5 || is_other(&value) {
        return None;
    }
    Some(Verdict::new(value.span(), 0.7).because("context:account"))
}

/// A date, the first half of a UUID, or hexadecimal.
fn is_other(value: &Candidate<'_>) -> bool {
    let text = value.value();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    let hexadecimal = letters > 2
        && text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let date = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    hexadecimal || date || boundary::after(value)[0] == Some('-')
}
