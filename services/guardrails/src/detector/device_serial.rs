//! Serial numbers of devices: whatever the maker prints, so only the label before it
//! tells.

use super::{
    Candidate, Detector, Pattern, Reach, Verdict, boundary,
    labelled::{self, label},
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "device_serial",
    kind: "DEVICE_SERIAL",
    description: "Serial numbers and identifiers of devices behind a label such as `serial \
                  number` or `device id`. Off by default: most devices are nobody's; HIPAA \
                  counts those of a patient.",
    default_on: false,
    context: &[],
    patterns: &[Pattern {
        name: "labelled",
        regex: concat!(
            label!(
                r"(?:serial|s/n|device[ _\-]?(?:serial|id|identifier)|seriennummer|implant[ _\-]?(?:serial|id))"
            ),
            r"[A-Za-z0-9][A-Za-z0-9\-]{5,23}(?-u:\b)"
        ),
        reach: Reach::Every(64),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = labelled::value(candidate, labelled::is_code)?;
    if labelled::digits(value.value()) < 3 || boundary::after(&value)[0] == Some('-') {
        return None;
    }
    Some(Verdict::new(value.span(), 0.75).because("context:device"))
}
