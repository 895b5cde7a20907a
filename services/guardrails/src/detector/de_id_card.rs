//! Numbers of German identity cards and passports: a letter of the issuing authority,
//! eight places and a check digit weighted 7-3-1 as in ICAO 9303 (BMI, Musterausweis).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "de_id_card",
    kind: "DE_ID_CARD",
    description: "Numbers of German identity cards (Personalausweis) and passports, beside \
                  words such as `Ausweis`; the check digit is verified where it is written.",
    default_on: true,
    context: &[
        "personalausweis",
        "ausweis",
        "ausweisnummer",
        "personalausweisnummer",
        "pa",
        "reisepass",
        "passnummer",
        "identity",
    ],
    patterns: &[Pattern {
        name: "id_card",
        regex: r"(?-u:\b)[CFGHJKLMNPRTVWXYcfghjklmnprtvwxy][0-9CFGHJKLMNPRTVWXYZcfghjklmnprtvwxyz]{8}[0-9]?(?-u:\b)",
        reach: Reach::Code(10),
    }],
    validate,
};

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value().as_bytes();
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    // Words are made of the same letters.
    if digits < 3 || boundary::is_piece_of_longer(candidate) {
        return None;
    }
    let Some((check, head)) = value.split_last().filter(|(_, head)| head.len() == 9) else {
        return Worth::weak(0.75, "context:id_card").verdict(candidate, &[]);
    };
    let places = head.iter().zip([7, 3, 1].into_iter().cycle());
    let sum: u32 = places
        .map(|(byte, weight)| place_value(*byte) * weight)
        .sum();
    if sum % 10 != u32::from(check - b'0') {
        return None;
    }
    Worth::weak(0.9, "context:id_card").verdict(candidate, &["mod10_731"])
}

/// ICAO 9303 part 3, section 4.9: letters count 10 to 35.
fn place_value(byte: u8) -> u32 {
    match byte.to_ascii_uppercase() {
        digit @ b'0'..=b'9' => u32::from(digit - b'0'),
        letter => u32::from(letter.saturating_sub(b'A')) + 10,
    }
}
