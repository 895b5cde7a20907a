//! Texts within the text: runs of base64 or hexadecimal that decode to text are
//! searched too, and what is found there is reported as the whole run.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Encodings within encodings that are followed.
pub(super) const MAX_DEPTH: u8 = 2;

/// Padding or none, and whatever bits are left over.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The text that `run` encodes, if it does, and the name of the encoding as a reason.
pub(super) fn decode(run: &str) -> Option<(String, &'static str)> {
    if run.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let text = hex::decode(run).ok().and_then(readable);
        if let Some(text) = text {
            return Some((text, "encoded:hex"));
        }
    }
    let is_url_safe = run.bytes().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = if is_url_safe { URL_SAFE } else { STANDARD };
    let text = engine.decode(run).ok().and_then(readable)?;
    Some((text, "encoded:base64"))
}

/// `bytes` as text, unless they are something else: random bytes are hardly ever UTF-8
/// without control characters.
fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars().all(is_text).then_some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn text_is_decoded_and_other_bytes_are_not() {
        let (text, reason) = decode("bXkgY2FyZCBpcyA0MTExIDExMTE=").unwrap();
        assert_eq!(
            (text.as_str(), reason),
            ("my card is 4111 1111", "encoded:base64")
        );
        let (text, reason) = decode("626f62406578616d706c652e636f6d").unwrap();
        assert_eq!((text.as_str(), reason), ("bob@example.com", "encoded:hex"));
        assert_eq!(decode("da39a3ee5e6b4b0d3255bfef95601890afd80709"), None);
        assert_eq!(decode("thisIsTheLongNameOfSomeMethod"), None);
        assert_eq!(decode("src/main/java/org/example/Main"), None);
    }
}
