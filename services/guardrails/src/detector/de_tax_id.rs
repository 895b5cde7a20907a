//! German tax identification numbers (Identifikationsnummer, section 139b AO): eleven
//! digits, of the first ten one occurs two or three times, and the last checks the
//! others by ISO/IEC 7064 MOD 11,10 (BZSt, Pruefziffernberechnung).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "de_tax_id",
    kind: "DE_TAX_ID",
    description: "German tax identification numbers (Steuer-ID), beside words such as `Steuer- \
                  ID` or `IdNr`; repetitions and check digit are verified.",
    default_on: true,
    context: &[
        "steuer",
        "steuerid",
        "idnr",
        "identifikationsnummer",
        "steueridentifikationsnummer",
        "steuernummer",
        "finanzamt",
        "tin",
        "tax",
    ],
    patterns: &[Pattern {
        name: "tax_id",
        regex: r"(?-u:\b)[1-9][0-9](?:[0-9]{9}| [0-9]{3} [0-9]{3} [0-9]{3})(?-u:\b)",
        reach: Reach::Every(14),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let digits: [u8; 11] = checksum::Digits::exactly(candidate.value())?;
    if !checksum::mod_11_10(&digits)
        || !repeats_one_digit(&digits[..10])
        || boundary::is_piece_of_longer(candidate)
    {
        return None;
    }
    Worth::weak(0.9, "context:tax_id").verdict(candidate, &["mod11_10"])
}

/// Whether exactly one digit occurs twice or three times, and every other at most
/// once.
fn repeats_one_digit(digits: &[u8]) -> bool {
    let mut counts = [0_u8; 10];
    for digit in digits {
        counts[usize::from(*digit)] += 1;
    }
    let repeated = || counts.iter().filter(|count| **count > 1);
    repeated().count() == 1 && repeated().all(|count| *count <= 3)
}
