//! Numbers of beneficiaries of health plans and insurers, which no common scheme
//! checks: only the label before a number tells.

use super::{
    Candidate, Detector, Pattern, Reach, Verdict, boundary,
    labelled::{self, label},
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "health_plan_number",
    kind: "HEALTH_PLAN_NUMBER",
    description: "Health plan beneficiary numbers behind a label such as `health plan id` or \
                  `Medicaid`.",
    default_on: true,
    context: &[],
    patterns: &[Pattern {
        name: "labelled",
        regex: concat!(
            label!(
                r"(?:health[ _\-]?(?:plan|insurance)(?:[ _\-]?(?:member|beneficiary|policy))?|beneficiary|medicaid|medicare|(?:insurance|subscriber)[ _\-]?(?:member|id)|krankenversichertennummer|versichertennummer)"
            ),
            r"[A-Za-z0-9][A-Za-z0-9\-]{4,18}(?-u:\b)"
        ),
        reach: Reach::Every(64),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = labelled::value(candidate, labelled::is_code)?;
    if labelled::digits(value.value()) < 5 || boundary::after(&value)[0] == Some('-') {
        return None;
    }
    Some(Verdict::new(value.span(), 0.75).because("context:health_plan"))
}
