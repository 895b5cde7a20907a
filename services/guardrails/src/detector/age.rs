//! Ages over 89, which 45 CFR 164.514(b)(2)(i)(C) counts among the identifiers: so few
//! people reach them that the number names them.

use super::{
    Candidate, Detector, Pattern, Reach, Verdict, boundary,
    labelled::{self, label},
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "age_over_eighty_nine",
    kind: "AGE_OVER_EIGHTY_NINE",
    description: "Ages from 90 to 129 years, behind `age` or `aged` or before `years old`. Off by \
                  default: it identifies only beside other facts; HIPAA counts it.",
    default_on: false,
    context: &[],
    patterns: &[
        Pattern {
            name: "years_old",
            regex: concat!(
                r"(?-u:\b)(?:9[0-9]|1[0-2][0-9])",
                r"(?i-u:[ \-](?:years?|yrs?)\.?[ \-](?:old|of age)|[ \-]?(?:yo|y/o)|[ \-]jahre alt|[ \-]ans)(?-u:\b)"
            ),
            reach: Reach::Every(20),
        },
        Pattern {
            name: "labelled",
            regex: concat!(
                label!(r"(?:aged?|at the age of|alter)"),
                r"(?:9[0-9]|1[0-2][0-9])(?-u:\b)"
            ),
            reach: Reach::Every(48),
        },
    ],
    validate,
};

/// Units in which an age is none of a person's years.
const OTHER_UNITS: [&str; 7] = [
    " day", " week", " month", " hour", " minute", " second", "%",
];

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    if candidate.pattern == "labelled" {
        let value = labelled::value(candidate, |byte| byte.is_ascii_digit())?;
        let rest = &candidate.text[candidate.end..];
        if OTHER_UNITS.iter().any(|unit| rest.starts_with(unit)) {
            return None;
        }
        return Some(Verdict::new(value.span(), 0.8).because("context:age"));
    }
    let years = candidate
        .value()
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    // `1990 years old` is no age; nor is `$95 years old`.
    if boundary::is_piece_of_longer(candidate) {
        return None;
    }
    let span = candidate.start..candidate.start + years;
    Some(Verdict::new(span, 0.85).because("context:age"))
}
