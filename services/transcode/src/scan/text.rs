//! The inside of a JSON string: where it stops being plain, and its escapes.

use crate::fault::{Fault, Read};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Where the next quote, backslash or control character stands, or the length.
/// Blocks of 32 bytes without one are passed in a loop that compiles to vector
/// code; then eight bytes at a time: `x - 1 & !x & 0x80` marks the zero bytes of
/// `x`, and the lowest mark is exact.
#[inline]
pub(crate) fn next_special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<32>) {
        let special = |byte: u8| (byte == b'"') | (byte == b'\\') | (byte < 0x20);
        if block
            .iter()
            .fold(false, |found, &byte| found | special(byte))
        {
            break;
        }
        at += 32;
    }
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * 0x22);
        let slash = word ^ (ONES * 0x5c);
        let marks = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let marks = marks & HIGHS;
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

pub(super) const CONTROL: &str = "a control character stands in a string; escape it";
pub(super) const UNCLOSED: &str = "a string has no closing quote";

/// Resolves the escapes of `raw`, which starts at byte `at` of the text.
pub(super) fn unescape(raw: &str, at: usize, out: &mut Vec<u8>) -> Read<()> {
    let bytes = raw.as_bytes();
    let mut pos = 0;
    while pos < bytes.len() {
        let next = next_special(bytes, pos);
        out.extend_from_slice(&bytes[pos..next]);
        if next == bytes.len() {
            break;
        }
        // What stands at `next` is a backslash: the scanner refused all else.
        pos = escape(bytes, next, at, out)?;
    }
    Ok(())
}

/// Resolves the escape at `next`; answers where the text goes on. `base` is where
/// `bytes` starts in the whole text.
#[inline]
pub(super) fn escape(bytes: &[u8], next: usize, base: usize, out: &mut Vec<u8>) -> Read<usize> {
    let plain = match bytes.get(next + 1) {
        Some(b'"') => b'"',
        Some(b'\\') => b'\\',
        Some(b'/') => b'/',
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => {
            let (found, size) =
                unicode(bytes, next).map_err(|message| Fault::syntax(base + next, message))?;
            out.extend_from_slice(found.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(next + size);
        }
        Some(_) => return Err(Fault::syntax(base + next, "a string has an unknown escape")),
        None => return Err(Fault::syntax(base + bytes.len(), UNCLOSED)),
    };
    out.push(plain);
    Ok(next + 2)
}

/// The character of the `\uXXXX` (or pair of them) at `at`, and its size.
fn unicode(bytes: &[u8], at: usize) -> Result<(char, usize), &'static str> {
    const HEX: &str = "`\\u` needs four hexadecimal digits";
    const LONE: &str = "half of a surrogate pair stands alone";
    let high = hex4(bytes.get(at + 2..at + 6)).ok_or(HEX)?;
    if !(0xd800..0xe000).contains(&high) {
        return char::from_u32(high).map(|found| (found, 6)).ok_or(LONE);
    }
    if high >= 0xdc00 || bytes.get(at + 6..at + 8) != Some(b"\\u") {
        return Err(LONE);
    }
    let low = hex4(bytes.get(at + 8..at + 12)).ok_or(HEX)?;
    if !(0xdc00..0xe000).contains(&low) {
        return Err(LONE);
    }
    let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    char::from_u32(code).map(|found| (found, 12)).ok_or(LONE)
}

fn hex4(digits: Option<&[u8]>) -> Option<u32> {
    digits?.iter().try_fold(0, |code, &digit| {
        Some(code << 4 | char::from(digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specials_are_found_at_every_offset() {
        for special in [b'"', b'\\', 0, 0x1f] {
            for at in 0..40 {
                let mut bytes = vec![0xe9u8; 40];
                bytes[at] = special;
                assert_eq!(next_special(&bytes, 0), at);
            }
        }
        assert_eq!(next_special(&[0x20; 33], 0), 33);
    }
}
