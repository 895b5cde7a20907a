//! Where in a text a walk is worth beginning.
//!
//! In prose a walk begins at every word and dies within a letter or two, and the processor
//! guesses wrong at most words how long the last one was. So blocks of bytes are looked
//! at without a branch: what can begin a token, after what, and with which bytes after it.
//! What is left are the few places where a walk survives three bytes.

use std::collections::HashMap;

use regex_automata::{
    Anchored,
    hybrid::{
        LazyStateID,
        dfa::{Cache, DFA},
    },
    util::start,
};

use super::{LETTERS, ScanError, stopped};

/// Bytes that are looked at together.
pub(super) const BLOCK: usize = 64;

/// Letters and digits: what a token consists of. `_` joins tokens: `db_password`.
const WORD: u8 = 1;
/// The sign in the middle of a pattern.
const SIGN: u8 = 2;
const DIGIT: u8 = 4;

/// What bytes, and what three bytes in a row, can begin.
pub(super) struct Starts {
    classes: [u8; 256],
    /// By byte: its kind, of 64.
    kinds: [u8; 256],
    /// By kinds of the first and second byte: for each kind of the third, whether a walk
    /// survives such bytes.
    threes: Box<[u64; 4096]>,
}

/// Each letter, digits together, and the signs that stand in many patterns apart from those
/// that do not.
fn kind(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => byte - b'a',
        b'A'..=b'Z' => 26 + byte - b'A',
        b'0'..=b'9' => 52,
        b' ' => 53,
        b'-' => 54,
        b'.' => 55,
        b':' => 56,
        b'+' => 57,
        b'(' => 58,
        b'_' => 59,
        0x21..=0x7e => 60,
        _ => 61,
    }
}

impl Starts {
    /// Tries all threes. The automata of `walks` begin at any token start, that of `codes`
    /// at those with a digit; codes that begin with a letter are met at their first digit.
    pub(super) fn new(walks: &[&DFA], codes: &DFA, signs: &[u8]) -> Result<Self, ScanError> {
        let mut starts = Self {
            classes: [0; 256],
            kinds: std::array::from_fn(|byte| kind(byte as u8)),
            threes: Box::new([0; 4096]),
        };
        for byte in 0..=u8::MAX {
            let class = &mut starts.classes[usize::from(byte)];
            if byte.is_ascii_alphanumeric() {
                *class |= WORD;
            }
            if byte.is_ascii_digit() {
                *class |= DIGIT;
            }
            if signs.contains(&byte) {
                *class |= SIGN;
            }
        }
        for walk in walks {
            starts.add(walk, |_| true)?;
        }
        starts.add(codes, |byte| byte.is_ascii_digit())?;
        Ok(starts)
    }

    /// Adds what this automaton survives, from first bytes that it `may` begin with.
    fn add(&mut self, walk: &DFA, may: impl Fn(u8) -> bool) -> Result<(), ScanError> {
        let mut cache = walk.create_cache();
        let mut thirds = HashMap::new();
        let config = start::Config::new().anchored(Anchored::Yes);
        let begin = walk.start_state(&mut cache, &config).map_err(stopped)?;
        for first in (0..=u8::MAX).filter(|byte| may(*byte)) {
            let once = walk.next_state(&mut cache, begin, first).map_err(stopped)?;
            if once.is_dead() {
                continue;
            }
            for second in 0..=u8::MAX {
                let twice = walk.next_state(&mut cache, once, second).map_err(stopped)?;
                if !twice.is_dead() {
                    self.threes[row(kind(first), kind(second))] |=
                        third(walk, &mut cache, &mut thirds, twice)?;
                }
            }
        }
        Ok(())
    }

    /// Whether this byte is a sign in the middle of a pattern.
    pub(super) fn is_sign(&self, byte: u8) -> bool {
        self.classes[usize::from(byte)] & SIGN != 0
    }

    /// Where a code begins whose first digit is at `at`.
    pub(super) fn code(&self, bytes: &[u8], at: usize) -> Option<usize> {
        if !bytes[at].is_ascii_digit() {
            return None;
        }
        let low = at.saturating_sub(LETTERS + 1);
        let head = &bytes[low..at];
        let letters = head.iter().rev();
        let letters = letters
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        let start = at - letters;
        let is_whole = start
            .checked_sub(1)
            .is_none_or(|before| !bytes[before].is_ascii_alphanumeric());
        (is_whole && letters <= LETTERS).then_some(start)
    }

    /// Where a code may have begun whose first digit is at `at` or yet to come.
    pub(super) fn undecided(&self, bytes: &[u8], at: usize) -> usize {
        let head = &bytes[at.saturating_sub(LETTERS)..at];
        let letters = head.iter().rev();
        at - letters
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count()
    }

    /// Whether a token begins at `at` that a walk survives.
    pub(super) fn survives(&self, bytes: &[u8], at: usize) -> bool {
        let is_inside = at
            .checked_sub(1)
            .is_some_and(|before| bytes[before].is_ascii_alphanumeric())
            && bytes[at].is_ascii_alphanumeric();
        !is_inside && self.three(&bytes[at..]) & 1 != 0
    }

    /// By bit, which of the up to [`BLOCK`] bytes from `from` on are signs, begin a token
    /// that a walk survives, or are the first digit after letters.
    pub(super) fn in_block(&self, bytes: &[u8], from: usize) -> u64 {
        let mut before = match from.checked_sub(1) {
            Some(at) => self.classes[usize::from(bytes[at])],
            None => 0,
        };
        let mut worth = 0;
        let mut look = |bit: usize, first: u8, survives: u64| {
            let class = self.classes[usize::from(first)];
            let is_inside = before & class & WORD;
            let is_start = (survives & 1) as u8 & !is_inside;
            let is_after_letters = class >> 2 & before & !(before >> 2) & 1;
            worth |= u64::from(is_start | is_after_letters | class >> 1 & 1) << bit;
            before = class;
        };
        if let Some(block) = bytes.get(from..from + BLOCK + 2) {
            for (bit, three) in block.windows(3).enumerate() {
                look(bit, three[0], self.three(three));
            }
            return worth;
        }
        for (bit, &first) in bytes[from..].iter().take(BLOCK).enumerate() {
            look(bit, first, self.three(&bytes[from + bit..]));
        }
        worth
    }

    /// In the lowest bit, whether a walk survives the first three of these bytes. Nothing
    /// is known of fewer.
    fn three(&self, bytes: &[u8]) -> u64 {
        let &[first, second, third, ..] = bytes else {
            return 1;
        };
        let kind = |byte: u8| self.kinds[usize::from(byte)];
        self.threes[row(kind(first), kind(second))] >> kind(third)
    }
}

fn row(first: u8, second: u8) -> usize {
    usize::from(first) << 6 | usize::from(second)
}

/// By bit, the kinds of bytes that the walk survives in this state.
fn third(
    walk: &DFA,
    cache: &mut Cache,
    known: &mut HashMap<LazyStateID, u64>,
    state: LazyStateID,
) -> Result<u64, ScanError> {
    if let Some(&kinds) = known.get(&state) {
        return Ok(kinds);
    }
    let mut kinds = 0;
    for byte in 0..=u8::MAX {
        let next = walk.next_state(cache, state, byte).map_err(stopped)?;
        if !next.is_dead() {
            kinds |= 1 << kind(byte);
        }
    }
    known.insert(state, kinds);
    Ok(kinds)
}
