//! Australian tax file numbers: eight or nine digits whose weighted sum is a multiple
//! of eleven (Taxation Administration Act 1953; ATO).

use super::{
    Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum,
    labelled::{self, label},
    weigh::Worth,
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "au_tfn",
    kind: "AU_TFN",
    description: "Australian tax file numbers, beside words such as `TFN`; the weighted sum is \
                  verified.",
    default_on: true,
    context: &["tfn", "ato", "taxfile"],
    patterns: &[
        Pattern {
            name: "grouped",
            regex: r"(?-u:\b)[0-9]{3}[ \-][0-9]{3}[ \-][0-9]{2,3}(?-u:\b)",
            reach: Reach::Every(11),
        },
        Pattern {
            name: "bare",
            regex: r"(?-u:\b)[0-9]{8,9}(?-u:\b)",
            reach: Reach::Every(9),
        },
        Pattern {
            name: "labelled",
            regex: concat!(
                label!(r"(?:tax[ _\-]?file)"),
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
    let digits = checksum::Digits::of(value.value())?;
    let weights: &[u8] = match digits.len() {
        9 => &[1, 4, 3, 7, 5, 8, 6, 9, 10],
        8 => &[10, 7, 8, 4, 6, 3, 5, 1],
        _ => return None,
    };
    if !checksum::weighted(&digits, weights).is_multiple_of(11)
        || checksum::is_repeated(&digits)
        || boundary::is_piece_of_longer(&value)
    {
        return None;
    }
    if labelled {
        let verdict = Verdict::new(value.span(), 0.85).because("mod11");
        return Some(verdict.because("context:tfn"));
    }
    Worth::weak(0.85, "context:tfn").verdict(candidate, &["mod11"])
}
