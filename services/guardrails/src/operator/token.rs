//! Encrypted values as they stand in running text: `<TYPE:enc:KEY:BODY>`.
//!
//! The body is base32 (RFC 4648, lower case, without padding) behind an `x`: one word
//! without hyphens or dots, so no detector finds a number, a host or an address in it.

use super::OperatorError;
use crate::keys::{TenantKeys, Use, is_key_id};

/// Longest value that is encrypted, in bytes.
const MAX_VALUE_BYTES: usize = 4 << 10;
/// No token is longer: the value, 28 bytes of nonce and tag, in base32, and the frame.
const MAX_TOKEN_BYTES: usize = 8 << 10;
const MAX_KIND_BYTES: usize = 64;
const MARK: &str = ":enc:";

/// A token that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    /// Its bytes in the text.
    pub(crate) length: usize,
    kind: &'t str,
    key: &'t str,
    body: &'t str,
}

/// What stands at the beginning of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read<'t> {
    /// A token.
    Token(Token<'t>),
    /// No token, whatever follows.
    Nothing,
    /// Perhaps a token: it depends on what follows.
    Partial,
}

impl<'t> Token<'t> {
    /// Encrypts a value.
    pub(crate) fn write(
        kind: &str,
        value: &str,
        keys: &TenantKeys,
    ) -> Result<String, OperatorError> {
        if value.len() > MAX_VALUE_BYTES {
            return Err(OperatorError::TooLong {
                kind: kind.to_owned(),
                size: value.len(),
                limit: MAX_VALUE_BYTES,
            });
        }
        let key = keys.active();
        let cipher = keys
            .cipher(key, Use::Token)
            .ok_or(crate::keys::KeyError::NoRandomness)?;
        let sealed = cipher.seal(value.as_bytes(), &associated(keys.tenant(), kind))?;
        let mut text = format!("<{kind}{MARK}{key}:x");
        base32(&sealed, &mut text);
        text.push('>');
        Ok(text)
    }

    /// Reads the token at the beginning of `text`.
    pub(crate) fn read(text: &'t str) -> Read<'t> {
        let bytes = text.as_bytes();
        if bytes.first() != Some(&b'<') {
            return Read::Nothing;
        }
        // Part by part, so that what cannot become a token is known at its first byte.
        let mut at = 1;
        let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let kind = run(bytes, &mut at, MAX_KIND_BYTES, upper);
        let mark = at..(at + MARK.len()).min(bytes.len());
        if kind.is_empty() && at < bytes.len() || !MARK.as_bytes().starts_with(&bytes[mark.clone()])
        {
            return Read::Nothing;
        }
        if mark.len() < MARK.len() {
            return Read::Partial;
        }
        at = mark.end;
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let key = run(bytes, &mut at, 16, lower);
        match bytes.get(at..at + 2) {
            Some(b":x") if is_key_id(&text[key.clone()]) => {}
            Some(_) => return Read::Nothing,
            None if matches!(bytes.get(at), None | Some(b':')) => return Read::Partial,
            None => return Read::Nothing,
        }
        at += 2;
        let body = run(bytes, &mut at, MAX_TOKEN_BYTES, |byte| {
            byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte)
        });
        match bytes.get(at) {
            Some(b'>') if at < MAX_TOKEN_BYTES => Read::Token(Self {
                length: at + 1,
                kind: &text[kind],
                key: &text[key],
                body: &text[body],
            }),
            None if at < MAX_TOKEN_BYTES => Read::Partial,
            _ => Read::Nothing,
        }
    }

    /// The value, where the token is this tenant's and whole.
    pub(crate) fn open(&self, keys: &TenantKeys) -> Option<String> {
        let sealed = from_base32(self.body)?;
        let cipher = keys.cipher(self.key, Use::Token)?;
        let plain = cipher.open(&sealed, &associated(keys.tenant(), self.kind))?;
        Some(std::str::from_utf8(&plain).ok()?.to_owned())
    }
}

/// Type and tenant; types have no NUL.
fn associated(tenant: &str, kind: &str) -> Vec<u8> {
    [kind.as_bytes(), &[0], tenant.as_bytes()].concat()
}

/// Up to `most` bytes for which `fits` holds.
fn run(
    bytes: &[u8],
    at: &mut usize,
    most: usize,
    fits: impl Fn(u8) -> bool,
) -> std::ops::Range<usize> {
    let from = *at;
    let count = bytes[from..]
        .iter()
        .take(most)
        .take_while(|byte| fits(**byte))
        .count();
    *at += count;
    from..*at
}

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

fn base32(bytes: &[u8], out: &mut String) {
    let (mut held, mut bits) = (0_u32, 0);
    for &byte in bytes {
        held = (held << 8 | u32::from(byte)) & 0xFFF;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(ALPHABET[(held >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        out.push(char::from(ALPHABET[(held << (5 - bits)) as usize & 31]));
    }
}

/// `None` for what [`base32`] does not write.
fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut held, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'a'..=b'z' => letter - b'a',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        held = (held << 5 | u32::from(value)) & 0xFFF;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xFF) as u8);
        }
    }
    let rest = held & ((1 << bits) - 1);
    (bits < 5 && rest == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;
    use crate::keys::tests::keys;

    fn open(text: &str, tenant: &str) -> Option<String> {
        match Token::read(text) {
            Read::Token(token) => token.open(&keys(tenant)),
            Read::Nothing | Read::Partial => None,
        }
    }

    proptest! {
        #[test]
        fn base32_and_back_is_the_same(bytes in any::<Vec<u8>>()) {
            let mut text = String::new();
            base32(&bytes, &mut text);
            prop_assert_eq!(from_base32(&text).unwrap(), bytes);
        }

        #[test]
        fn encrypting_and_decrypting_is_the_same(value in any::<String>(), after in any::<String>()) {
            let token = Token::write("EMAIL", &value, &keys("a")).unwrap();
            prop_assert!(token.len() <= MAX_TOKEN_BYTES);
            let opened = open(&format!("{token}{after}"), "a");
            prop_assert_eq!(opened.as_deref(), Some(value.as_str()));
            prop_assert_eq!(open(&token, "b"), None);
            prop_assert_eq!(open(&token.replace("EMAIL", "PHONE"), "a"), None);
        }

        #[test]
        fn every_beginning_of_a_token_may_become_one(value in any::<String>()) {
            let token = Token::write("EMAIL", &value, &keys("a")).unwrap();
            for length in 1..token.len() {
                prop_assert_eq!(Token::read(&token[..length]), Read::Partial, "{}", length);
            }
        }

        #[test]
        fn what_cannot_become_a_token_stays_none(text in "<[A-Z:enckx1>]{0,20}", more in "[A-Z:enckx1a>]{0,20}") {
            if Token::read(&text) == Read::Nothing {
                let longer = format!("{text}{more}");
                prop_assert_eq!(Token::read(&longer), Read::Nothing);
            }
        }
    }

    #[test]
    fn the_longest_value_fits_a_token_and_a_longer_one_is_refused() {
        let longest = "v".repeat(MAX_VALUE_BYTES);
        let kind = "K".repeat(MAX_KIND_BYTES);
        let token = Token::write(&kind, &longest, &keys("a")).unwrap();
        assert!(token.len() <= MAX_TOKEN_BYTES, "{}", token.len());
        assert_eq!(open(&token, "a").unwrap(), longest);
        let refused = Token::write("K", &"v".repeat(MAX_VALUE_BYTES + 1), &keys("a"));
        assert!(matches!(refused, Err(OperatorError::TooLong { .. })));
    }
}
