//! Numbers of medical records and patients. Each hospital makes its own, so only the
//! label before a number tells.

use super::{
    Candidate, Detector, Pattern, Reach, Verdict, boundary,
    labelled::{self, label},
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "medical_record_number",
    kind: "MEDICAL_RECORD_NUMBER",
    description: "Medical record and patient numbers behind a label such as `MRN` or `patient id`.",
    default_on: true,
    context: &[],
    patterns: &[
        Pattern {
            name: "labelled",
            regex: concat!(
                label!(
                    r"(?:mrn|medical[ _\-]?records?|med[ _\-]?rec|health[ _\-]?records?|hospital[ _\-]?(?:number|no|id)|(?:patient|chart|emr|ehr)[ _\-]?(?:number|no|id|#))"
                ),
                r"[A-Za-z0-9][A-Za-z0-9\-]{3,17}(?-u:\b)"
            ),
            reach: Reach::Every(64),
        },
        Pattern {
            name: "joined",
            regex: r"(?-u:\b)(?i-u:mrn)-?[0-9]{4,12}(?-u:\b)",
            reach: Reach::Every(16),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = if candidate.pattern == "joined" {
        (!boundary::is_piece_of_longer(candidate)).then_some(*candidate)?
    } else {
        labelled::value(candidate, labelled::is_code)?
    };
    if labelled::digits(value.value()) < 4 || boundary::after(&value)[0] == Some('-') {
        return None;
    }
    Some(Verdict::new(value.span(), 0.85).because("context:medical_record"))
}
