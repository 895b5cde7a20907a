//! US driver licence numbers. Each state has a form of its own, and together they are
//! nearly any code of letters and digits, so the label before it must say what it is
//! (forms: AAMVA, D20 Data Dictionary).

use super::{
    Candidate, Detector, Pattern, Reach, Verdict, boundary,
    labelled::{self, label},
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "us_driver_license",
    kind: "US_DRIVER_LICENSE",
    description: "Driver licence numbers in the forms of the US states, behind a label such as \
                  `driver's license` or `DL#`.",
    default_on: true,
    context: &[],
    patterns: &[Pattern {
        name: "labelled",
        regex: concat!(
            label!(
                r#"(?:driver(?:'?s)?[ _\-]?(?:licen[cs]e|permit)|driving[ _\-]?licen[cs]e|dln?["']?[ ]?[#:=]|licen[cs]e[ _\-]?(?:number|no|#))"#
            ),
            r"[A-Za-z0-9][A-Za-z0-9\-]{4,18}(?-u:\b)"
        ),
        reach: Reach::Every(64),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = labelled::value(candidate, labelled::is_code)?;
    if boundary::after(&value)[0] == Some('-') {
        return None;
    }
    let form = state_form(value.value())?;
    Some(
        Verdict::new(value.span(), 0.8)
            .because(form)
            .because("context:driver_license"),
    )
}

/// Which kind of form a state could have issued it in.
fn state_form(value: &str) -> Option<&'static str> {
    let bytes = value.as_bytes();
    let letters = bytes
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    let digits = labelled::digits(value);
    let leading = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    match (letters, digits) {
        // Most states: seven to twelve digits; New York writes nine.
        (0, 7..=12) => Some("licence:digits"),
        // California, Florida, Illinois, Michigan, Minnesota, New Jersey, ...
        (1, 4..=14) if leading == 1 => Some("licence:letter_digits"),
        // Idaho, Vermont (a letter at the end), Colorado, Wyoming, Ohio, ...
        (1..=3, 3..=10) if leading <= 2 => Some("licence:letters_digits"),
        // Washington from 2018: WDL and nine more.
        (4..=10, 2..=8) if value.len() == 12 && bytes.starts_with(b"WDL") => {
            Some("licence:washington")
        }
        _ => None,
    }
}
