//! Licence plates of vehicles: a few capitals and digits, in forms as many as there
//! are states, so only the label before them tells.

use super::{
    Candidate, Detector, Pattern, Reach, Verdict,
    labelled::{self, label},
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "license_plate",
    kind: "LICENSE_PLATE",
    description: "Licence plates of vehicles, in capitals, behind a label such as `license plate`.",
    default_on: true,
    context: &[],
    patterns: &[Pattern {
        name: "labelled",
        regex: concat!(
            label!(
                r"(?:(?:(?:licen[cs]e|number|registration|vehicle)[ _\-]?)?plate|vehicle[ _\-]?registration|kennzeichen|nummernschild|kenteken|matricula|targa|immatriculation)"
            ),
            r"[A-Z0-9]{1,8}(?:[ \-][A-Z0-9]{1,5}){0,2}(?-u:\b)"
        ),
        reach: Reach::Every(64),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let of_plate = |byte: u8| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b' ' | b'-')
    };
    let value = labelled::value(candidate, of_plate)?;
    let text = value.value();
    let count = |of: fn(&u8) -> bool| text.bytes().filter(of).count();
    let (letters, digits) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_digit));
    // Plates of digits alone exist, but `plate 4` is in a book.
    if !(4..=8).contains(&(letters + digits)) || digits == 0 || letters == 0 && digits < 5 {
        return None;
    }
    Some(Verdict::new(value.span(), 0.75).because("context:plate"))
}
