//! US ZIP codes: five digits, or nine with a dash, behind a label or the two letters
//! of a state.

use super::{
    Candidate, Detector, Pattern, Reach, Verdict, boundary,
    labelled::{self, label},
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "us_zip_code",
    kind: "US_ZIP_CODE",
    description: "US ZIP codes behind a label such as `zip code` or behind a town and a state. \
                  Off by default: by itself it names thousands of people; HIPAA counts it.",
    default_on: false,
    context: &[],
    patterns: &[
        Pattern {
            name: "labelled",
            regex: concat!(
                label!(r"(?:zip|zip[ _\-]?code|postal[ _\-]?code|postcode)"),
                r"[0-9]{5}(?:-[0-9]{4})?(?-u:\b)"
            ),
            reach: Reach::Every(48),
        },
        Pattern {
            name: "state",
            regex: r"(?-u:\b)[A-Z]{2},? {1,2}[0-9]{5}(?:-[0-9]{4})?(?-u:\b)",
            reach: Reach::Every(16),
        },
    ],
    validate,
};

/// States, territories and the posts of the armed forces (USPS Publication 28,
/// appendix B).
const STATES: &[u8] = b"AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN \
MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC PR VI GU AS \
MP AA AE AP";

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = labelled::value(candidate, |byte| byte.is_ascii_digit() || byte == b'-')?;
    if candidate.pattern == "state" {
        let state = &candidate.value().as_bytes()[..2];
        let known = STATES.split(|byte| *byte == b' ').any(|name| name == state);
        // A town stands before the state: `IN 12345` may be a word in capitals.
        let town = matches!(boundary::before(candidate), [Some(' ' | '\n'), Some(c)] if c == ',' || c.is_alphabetic());
        return (known && town).then(|| Verdict::new(value.span(), 0.7).because("context:state"));
    }
    Some(Verdict::new(value.span(), 0.8).because("context:zip"))
}
