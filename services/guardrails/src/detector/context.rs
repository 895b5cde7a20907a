//! Words near a candidate that say what it is: `phone` before ten bare digits.
//!
//! The window is a fixed number of bytes, so that asking costs the same however long
//! the text is, and it ends at a blank line: what another paragraph talks about is
//! no evidence. Labels that a redaction wrote (`<PHONE>`) are no evidence either.
//!
//! Many detectors ask about the same number. So the words of all of them are one table,
//! and one look around a number answers for all ([`Surroundings`]).

use std::{
    cell::Cell,
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    ops::Range,
};

/// Bytes looked at before a span: about eight English words.
const BEFORE: usize = 48;
/// Bytes looked at after a span: "... is my mobile number".
const AFTER: usize = 24;
/// Bytes of the longest word of context.
const LONGEST_WORD: usize = 32;

/// A set of detectors, by place in the registry.
pub(crate) type DetectorSet = u128;

/// The words of context of all detectors.
#[derive(Debug)]
pub(crate) struct ContextIndex {
    /// By word: the detectors that it speaks for.
    words: HashMap<&'static [u8], DetectorSet, BuildHasherDefault<WordHash>>,
    /// By length: the first letters there are, to pass over most words unhashed.
    firsts: [u32; LONGEST_WORD + 1],
}

impl ContextIndex {
    /// The index of the lists of words, in the order of the detectors.
    pub(crate) fn new(lists: impl Iterator<Item = &'static [&'static str]>) -> Self {
        let mut index = Self {
            words: HashMap::default(),
            firsts: [0; LONGEST_WORD + 1],
        };
        for (detector, words) in lists.enumerate() {
            for word in words {
                debug_assert!(word.len() <= LONGEST_WORD && detector < 128);
                *index.words.entry(word.as_bytes()).or_default() |= 1 << detector;
                index.firsts[word.len()] |= 1 << first_bit(word.as_bytes()[0]);
            }
        }
        index
    }

    fn of_word(&self, word: &[u8]) -> DetectorSet {
        if word.len() > LONGEST_WORD || self.firsts[word.len()] & 1 << first_bit(word[0]) == 0 {
            return 0;
        }
        let mut lower = [0; LONGEST_WORD];
        let lower = &mut lower[..word.len()];
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        self.words.get(&*lower).copied().unwrap_or_default()
    }
}

/// FNV-1a, eight bytes at a time. Which words are hashed is ours to say, so nobody can make
/// them collide.
#[derive(Default)]
struct WordHash(u64);

impl Hasher for WordHash {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut eight = [0; 8];
            eight[..part.len()].copy_from_slice(part);
            self.0 = (self.0 ^ u64::from_le_bytes(eight)).wrapping_mul(0x0100_0000_01b3);
            self.0 = self.0.rotate_left(23);
        }
    }

    fn write_usize(&mut self, length: usize) {
        self.0 ^= length as u64;
    }
}

/// Letters by their place in the alphabet, all other first bytes together.
fn first_bit(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        letter @ b'a'..=b'z' => u32::from(letter - b'a'),
        _ => 31,
    }
}

/// What the words around the last candidate spoke for. Candidates come by place, and most
/// places are asked about by many detectors, so remembering one is enough.
#[derive(Debug)]
pub(crate) struct Surroundings<'i> {
    index: &'i ContextIndex,
    before: Cell<Option<(usize, DetectorSet)>>,
    after: Cell<Option<(usize, DetectorSet)>>,
}

impl<'i> Surroundings<'i> {
    /// Nothing remembered yet.
    pub(crate) fn new(index: &'i ContextIndex) -> Self {
        Self {
            index,
            before: Cell::new(None),
            after: Cell::new(None),
        }
    }

    /// The detectors for which a word near `span` of `text` speaks; `offset` is where
    /// `text` begins within the whole, by which places are remembered.
    pub(super) fn speak_for(&self, text: &str, span: Range<usize>, offset: usize) -> DetectorSet {
        let (before, after) = windows(text, &span);
        let look = |memory: &Cell<Option<(usize, DetectorSet)>>, place, window| match memory.get() {
            Some((known, set)) if known == place => set,
            _ => {
                let mut set = 0;
                let bytes = text.as_bytes();
                each_word(bytes, window, |word| {
                    let of_word = self.index.of_word(&bytes[word.clone()]);
                    if of_word != 0 && !in_label(bytes, word) {
                        set |= of_word;
                    }
                    false
                });
                memory.set(Some((place, set)));
                set
            }
        };
        look(&self.before, offset + span.start, before)
            | look(&self.after, offset + span.end, after)
    }
}

/// Whether one of `words` (lower-case ASCII) stands near `span`, as a whole word;
/// `_` and digits end a word, so `phone_number` holds `phone`.
pub(super) fn word_near(text: &str, span: Range<usize>, words: &[&str]) -> bool {
    let (before, after) = windows(text, &span);
    let bytes = text.as_bytes();
    let is_one = |word: Range<usize>| {
        words
            .iter()
            .any(|known| bytes[word.clone()].eq_ignore_ascii_case(known.as_bytes()))
            && !in_label(bytes, word)
    };
    each_word(bytes, before, is_one) || each_word(bytes, after, is_one)
}

/// The bytes before and after `span` that are near it.
fn windows(text: &str, span: &Range<usize>) -> (Range<usize>, Range<usize>) {
    let bytes = text.as_bytes();
    let low = span.start.saturating_sub(BEFORE);
    let high = bytes.len().min(span.end + AFTER);
    let before = &bytes[low..span.start];
    let after = &bytes[span.end..high];
    let low = low + paragraph_breaks(before).next_back().unwrap_or(0);
    let high = span.end + paragraph_breaks(after).next().unwrap_or(after.len());
    (low..span.start, span.end..high)
}

/// Where in `window` a blank line begins.
fn paragraph_breaks(window: &[u8]) -> impl DoubleEndedIterator<Item = usize> {
    (0..window.len()).filter(|&at| {
        window[at] == b'\n' && matches!(&window[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..])
    })
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || !byte.is_ascii()
}

/// Whether `is_one` holds for one of the words in the window.
fn each_word(
    bytes: &[u8],
    window: Range<usize>,
    mut is_one: impl FnMut(Range<usize>) -> bool,
) -> bool {
    let mut at = window.start;
    // A word cut by the window's edge is another word.
    if at > 0 && is_letter(bytes[at - 1]) {
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
        let whole = !bytes.get(at).is_some_and(|&byte| is_letter(byte));
        if whole && is_one(word) {
            return true;
        }
    }
    false
}

fn leading_letters(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| is_letter(**byte)).count()
}

/// Whether the word is part of a label: `<`, upper-case letters and `_`, `>`.
fn in_label(bytes: &[u8], word: Range<usize>) -> bool {
    // No label is longer than this; the bound keeps the look-up constant.
    const LONGEST: usize = 32;
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

    const WORDS: &[&str] = &["phone", "call"];

    fn near(text: &str, needle: &str) -> bool {
        let index = ContextIndex::new([&[] as &[&str], WORDS].into_iter());
        text.find(needle).is_some_and(|at| {
            let span = at..at + needle.len();
            let set = Surroundings::new(&index).speak_for(text, span.clone(), 0);
            assert_eq!(set & !2, 0);
            assert_eq!(set != 0, word_near(text, span, WORDS));
            set != 0
        })
    }

    #[test]
    fn a_whole_word_on_either_side_counts() {
        assert!(near("Phone: 123", "123"));
        assert!(near("my phone_number is 123", "123"));
        assert!(near("123 is my phone", "123"));
        assert!(!near("123 in the phonebook", "123"));
        assert!(!near("telephones 123", "123"));
        assert!(!near("éphone 123", "123"));
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
