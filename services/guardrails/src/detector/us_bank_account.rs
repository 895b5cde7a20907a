//! Account numbers at US banks: 6 to 17 digits that no check digit protects, so the
//! label before them must say what they are.

use super::{
    Candidate, Detector, Pattern, Reach, Verdict,
    labelled::{self, label},
};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "us_bank_account",
    kind: "US_BANK_ACCOUNT",
    description: "Bank account numbers of 6 to 17 digits behind a label such as `checking \
                  account`.",
    default_on: true,
    context: &[],
    patterns: &[Pattern {
        name: "labelled",
        regex: concat!(
            label!(
                r"(?:(?:bank|checking|chequing|savings|deposit|debit)[ _\-]?(?:account|acct|a/c)|dda)"
            ),
            r"[0-9](?:-?[0-9]){5,16}(?-u:\b)"
        ),
        reach: Reach::Every(64),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = labelled::value(candidate, |byte| byte.is_ascii_digit() || byte == b'-')?;
    Some(Verdict::new(value.span(), 0.85).because("context:bank_account"))
}
