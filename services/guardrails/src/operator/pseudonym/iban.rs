//! Account numbers of the same country and shape whose check digits hold (ISO 13616, mod
//! 97). The bank code is drawn too, so that the account is at no bank.

use super::Seed;

pub(super) fn surrogate(value: &str, seed: &Seed<'_, '_>) -> Option<String> {
    let compact: String = value
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|char| char.to_ascii_uppercase())
        .collect();
    let country = compact.get(..2)?;
    if compact.len() < 15 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut draw = seed.draw("iban", &compact);
    let account: String = compact[4..]
        .chars()
        .map(|char| match char {
            '0'..='9' => char::from(b'0' + draw.digit()),
            _ => char::from(b'A' + draw.below(26) as u8),
        })
        .collect();
    let check = 98 - mod_97(&format!("{account}{country}00"));
    let made = format!("{country}{check:02}{account}");
    let mut made = made.chars();
    let written = value.chars().map(|char| match char {
        _ if !char.is_ascii_alphanumeric() => char,
        'a'..='z' => made.next().unwrap_or(char).to_ascii_lowercase(),
        _ => made.next().unwrap_or(char),
    });
    Some(written.collect())
}

/// Letters count as 10 to 35.
fn mod_97(text: &str) -> u32 {
    text.chars()
        .filter_map(|char| char.to_digit(36))
        .fold(0, |sum, value| {
            let shift = if value > 9 { 100 } else { 10 };
            (sum * shift + value) % 97
        })
}
