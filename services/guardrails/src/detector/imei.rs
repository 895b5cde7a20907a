//! Identities of mobile devices: fifteen digits with a Luhn check digit (3GPP TS
//! 23.003, section 6).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "imei",
    kind: "IMEI",
    description: "Identities of mobile phones (IMEI), beside words such as `IMEI`; the Luhn \
                  check digit is verified.",
    default_on: true,
    context: &["imei", "device", "handset"],
    patterns: &[
        Pattern {
            name: "grouped",
            regex: r"(?-u:\b)[0-9]{2}[ \-][0-9]{6}[ \-][0-9]{6}[ \-][0-9](?-u:\b)",
            reach: Reach::Every(18),
        },
        Pattern {
            name: "bare",
            regex: r"(?-u:\b)[0-9]{15}(?-u:\b)",
            reach: Reach::Every(15),
        },
    ],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits: [u8; 15] = checksum::Digits::exactly(candidate.value())?;
    if !checksum::luhn(&digits)
        || checksum::is_repeated(&digits)
        || boundary::is_piece_of_longer(candidate)
    {
        return None;
    }
    Worth::weak(0.96, "context:imei").verdict(candidate, &["luhn"])
}
