//! Words near a candidate that say what it is: `phone` before ten bare digits.
//!
//! The window is a fixed number of bytes, so that asking costs the same however long
//! the text is, and it ends at a blank line: what another paragraph talks about is
//! no evidence. Labels that a redaction wrote (`<PHONE>`) are no evidence either.

use std::ops::Range;

/// Bytes looked at before a span: about eight English words.
const BEFORE: usize = 48;
/// Bytes looked at after a span: "... is my mobile number".
const AFTER: usize = 24;

/// Whether one of `words` (lower-case ASCII) stands near `span`, as a whole word;
/// `_` and digits end a word, so `phone_number` holds `phone`.
pub(super) fn word_near(text: &str, span: Range<usize>, words: &[&str]) -> bool {
    let bytes = text.as_bytes();
    let low = span.start.saturating_sub(BEFORE);
    let high = bytes.len().min(span.end + AFTER);
    let before = &bytes[low..span.start];
    let after = &bytes[span.end..high];
    let low = low + paragraph_breaks(before).last().unwrap_or(0);
    let high = span.end + paragraph_breaks(after).next().unwrap_or(after.len());
    holds(bytes, low..span.start, words) || holds(bytes, span.end..high, words)
}

/// Where in `window` a blank line begins.
fn paragraph_breaks(window: &[u8]) -> impl Iterator<Item = usize> {
    (0..window.len()).filter(|&at| {
        let rest = &window[at..];
        rest.starts_with(b"\n\n") || rest.starts_with(b"\n\r\n")
    })
}

fn holds(bytes: &[u8], window: Range<usize>, words: &[&str]) -> bool {
    let mut at = window.start;
    // A word cut by the window's edge is another word.
    if at > 0 && bytes[at - 1].is_ascii_alphabetic() {
        at += leading_letters(&bytes[at..window.end]);
    }
    while at < window.end {
        let length = leading_letters(&bytes[at..window.end]);
        if length == 0 {
            at += 1;
            continue;
        }
        let word = at..at + length;
        at = word.end;
        let whole = !bytes.get(at).is_some_and(u8::is_ascii_alphabetic);
        if whole
            && words
                .iter()
                .any(|known| bytes[word.clone()].eq_ignore_ascii_case(known.as_bytes()))
            && !in_label(bytes, word)
        {
            return true;
        }
    }
    false
}

fn leading_letters(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count()
}

/// Whether the word is part of a label: `<`, upper-case letters and `_`, `>`.
fn in_label(bytes: &[u8], word: Range<usize>) -> bool {
    // No label is longer than this; the bound keeps the look-up constant.
    const LONGEST: usize = 64;
    let of_label = |byte: &&u8| byte.is_ascii_uppercase() || **byte == b'_';
    let left = bytes[..word.start].iter().rev().take(LONGEST);
    let left = left.take_while(of_label).count();
    let right = bytes[word.end..].iter().take(LONGEST);
    let right = right.take_while(of_label).count();
    word.start > left
        && bytes[word.start - left - 1] == b'<'
        && bytes.get(word.end + right) == Some(&b'>')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(text: &str, needle: &str) -> bool {
        text.find(needle)
            .is_some_and(|at| word_near(text, at..at + needle.len(), &["phone", "call"]))
    }

    #[test]
    fn a_whole_word_on_either_side_counts() {
        assert!(near("Phone: 123", "123"));
        assert!(near("my phone_number is 123", "123"));
        assert!(near("123 is my phone", "123"));
        assert!(!near("123 in the phonebook", "123"));
        assert!(!near("telephones 123", "123"));
    }

    #[test]
    fn another_paragraph_a_far_word_or_a_label_does_not_count() {
        assert!(!near("call\n\n123", "123"));
        assert!(!near("call\r\n\r\n123", "123"));
        assert!(!near("123\n\ncall", "123"));
        assert!(!near(&format!("call{}123", " ".repeat(60)), "123"));
        assert!(!near("<PHONE> 123", "123"));
        assert!(!near("<US_PHONE> 123", "123"));
        assert!(near("<PHONE> call 123", "123"));
    }

    #[test]
    fn a_window_that_cuts_a_character_or_a_word_is_harmless() {
        for pad in 40..56 {
            assert!(!near(&format!("recall{}123", "é".repeat(pad / 2)), "123"));
            assert!(!near(&format!("123{}recall", "语".repeat(pad / 3)), "123"));
        }
    }
}
