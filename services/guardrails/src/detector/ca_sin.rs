//! Canadian social insurance numbers: nine digits with a Luhn check digit (Employment
//! and Social Development Canada).

use super::{
    Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum,
    labelled::{self, label},
    weigh::Worth,
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "ca_sin",
    kind: "CA_SIN",
    description: "Canadian social insurance numbers, beside words such as `SIN`; the Luhn \
                  check digit is verified.",
    default_on: true,
    context: &["sin", "sins", "nas"],
    patterns: &[
        Pattern {
            name: "grouped",
            regex: r"(?-u:\b)[0-9]{3}[ \-][0-9]{3}[ \-][0-9]{3}(?-u:\b)",
            reach: Reach::Every(11),
        },
        Pattern {
            name: "bare",
            regex: r"(?-u:\b)[0-9]{9}(?-u:\b)",
            reach: Reach::Every(9),
        },
        Pattern {
            name: "labelled",
            regex: concat!(
                label!(r"(?:social[ _\-]?insurance|assurance[ _\-]?sociale)"),
                r"[0-9]{3}[ \-]?[0-9]{3}[ \-]?[0-9]{2,3}(?-u:\b)"
            ),
            reach: Reach::Every(64),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let labelled = candidate.pattern == "labelled";
    let value = if labelled {
        labelled::value(candidate, |byte| {
            byte.is_ascii_digit() || b" -".contains(&byte)
        })?
    } else {
        *candidate
    };
    let digits: [u8; 9] = checksum::Digits::exactly(value.value())?;
    // No number begins with 8; those with 0 are made up, and used in examples.
    if digits[0] == 8
        || !checksum::luhn(&digits)
        || checksum::is_repeated(&digits)
        || boundary::is_piece_of_longer(&value)
    {
        return None;
    }
    if labelled {
        let verdict = Verdict::new(value.span(), 0.85).because("luhn");
        return Some(verdict.because("context:sin"));
    }
    Worth::weak(0.85, "context:sin").verdict(candidate, &["luhn"])
}
