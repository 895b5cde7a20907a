//! Italian fiscal codes: letters of surname and name, date and place of birth, and a
//! check letter (D.M. 23 December 1976). Where two people would share one, digits
//! become letters (omocodia).

use super::{Candidate, Detector, Pattern, Reach, Verdict, boundary, weigh::Worth};

/// The detector.
pub(super) static DETECTOR: Detector = Detector {
    name: "it_fiscal_code",
    kind: "IT_FISCAL_CODE",
    description: "Italian fiscal codes (codice fiscale); day, month letter and check letter \
                  are verified.",
    default_on: true,
    context: &["codice", "fiscale", "cf", "fiscal"],
    patterns: &[Pattern {
        name: "fiscal_code",
        regex: r"(?-u:\b)[A-Za-z]{6}[0-9LMNP-Vlmnp-v]{2}[ABCDEHLMPRSTabcdehlmprst][0-9LMNP-Vlmnp-v]{2}[A-Za-z][0-9LMNP-Vlmnp-v]{3}[A-Za-z](?-u:\b)",
        reach: Reach::Code(16),
    }],
    validate,
};

/// What a digit, or the letter in its place from A on, counts in an odd place.
#[rustfmt::skip]
const ODD: [u32; 26] = [
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
    23,
];

fn validate(candidate: &Candidate<'_>) -> Option<Verdict> {
    let value = candidate.value().as_bytes();
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    // Omocodia turns few digits into letters; a long word has none at all.
    if digits < 3 || boundary::is_piece_of_longer(candidate) {
        return None;
    }
    let (check, head) = value.split_last()?;
    let places = head.iter().enumerate();
    let sum: u32 = places.map(|(place, byte)| place_value(place, *byte)).sum();
    if check.to_ascii_uppercase() != b'A' + (sum % 26) as u8 {
        return None;
    }
    Worth::strong(0.92, 0.98, "context:fiscal_code").verdict(candidate, &["mod26"])
}

fn place_value(place: usize, byte: u8) -> u32 {
    let letter = match byte.to_ascii_uppercase() {
        digit @ b'0'..=b'9' => digit - b'0',
        letter => letter.saturating_sub(b'A'),
    };
    // The first place is an odd one.
    if place.is_multiple_of(2) {
        ODD[usize::from(letter.min(25))]
    } else {
        u32::from(letter)
    }
}
