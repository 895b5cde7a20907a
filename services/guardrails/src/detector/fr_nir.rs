//! French social security numbers (numero d'inscription au repertoire): sex, year,
//! month, place and order of birth, and a key of two digits modulo 97 (INSEE; Corsican
//! places count as 19 and 18).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, checksum, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "fr_nir",
    kind: "FR_NIR",
    description: "French social security numbers (NIR), bare or in their usual groups; month \
                  and key are verified.",
    default_on: true,
    context: &["nir", "insee", "secu", "securite", "sociale", "vitale"],
    patterns: &[Pattern {
        name: "nir",
        regex: r"(?-u:\b)[1-478] ?[0-9]{2} ?[0-9]{2} ?[0-9][0-9ABab] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}(?-u:\b)",
        reach: Reach::Every(21),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let mut bytes = [0_u8; 15];
    let mut length = 0;
    for byte in candidate.value().bytes().filter(|byte| *byte != b' ') {
        *bytes.get_mut(length)? = byte.to_ascii_uppercase();
        length += 1;
    }
    // Corsica: 2A counts as 19 and 2B as 18.
    match &bytes[5..7] {
        b"2A" => bytes[5..7].copy_from_slice(b"19"),
        b"2B" => bytes[5..7].copy_from_slice(b"18"),
        _ => {}
    }
    if length != 15 || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = bytes.map(|byte| byte - b'0');
    let month = checksum::number(&digits[3..5]);
    // 20 to 42 and 50 to 99 stand for months that are not known.
    let key = 97 - checksum::number(&digits[..13]) % 97;
    if month == 0
        || (13..20).contains(&month)
        || key != checksum::number(&digits[13..])
        || boundary::is_piece_of_longer(candidate)
    {
        return None;
    }
    Worth::strong(0.85, 0.97, "context:nir").verdict(candidate, &["mod97"])
}
