//! Where in a text a walk is worth beginning.
//!
//! In prose a walk begins at every word and dies within a letter or two, and the processor
//! guesses wrong at most words how long the last one was. So blocks of bytes are looked
//! at without a branch: what can begin a token, after what, and with which byte after it.
//! What is left are the few places where the walk survives two bytes.

use regex_automata::{
    Anchored,
    hybrid::dfa::{Cache, DFA},
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

/// What bytes, and pairs of bytes, can begin.
pub(super) struct Starts {
    classes: [u8; 256],
    /// By first byte and the next one's upper three bits: for each of its lower five,
    /// whether a walk survives the pair.
    pairs: Box<[u32; 2048]>,
}

impl Starts {
    /// Tries all pairs.
    pub(super) fn new(walks: &[&DFA], codes: &DFA, signs: &[u8]) -> Result<Self, ScanError> {
        let mut codes = (codes, codes.create_cache());
        let mut caches: Vec<Cache> = walks.iter().map(|walk| walk.create_cache()).collect();
        let mut classes = [0; 256];
        let mut pairs = Box::new([0; 2048]);
        for first in 0..=u8::MAX {
            let class = &mut classes[usize::from(first)];
            if first.is_ascii_alphanumeric() {
                *class |= WORD;
            }
            if first.is_ascii_digit() {
                *class |= DIGIT;
            }
            if signs.contains(&first) {
                *class |= SIGN;
            }
            for next in 0..=u8::MAX {
                // Codes that begin with a letter are met at their first digit.
                if first.is_ascii_digit() && survives(codes.0, &mut codes.1, first, next)? {
                    pairs[place(first, next)] |= 1 << (next & 31);
                }
                for (walk, cache) in walks.iter().zip(&mut caches) {
                    if survives(walk, cache, first, next)? {
                        pairs[place(first, next)] |= 1 << (next & 31);
                    }
                }
            }
        }
        Ok(Self { classes, pairs })
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

    /// Whether a walk survives this byte and the next one.
    pub(super) fn survives(&self, bytes: &[u8], at: usize) -> bool {
        let is_inside = at
            .checked_sub(1)
            .is_some_and(|before| bytes[before].is_ascii_alphanumeric())
            && bytes[at].is_ascii_alphanumeric();
        if is_inside {
            return false;
        }
        bytes
            .get(at + 1)
            .is_none_or(|&next| self.pairs[place(bytes[at], next)] >> (next & 31) & 1 != 0)
    }

    /// By bit, which of the up to [`BLOCK`] bytes from `from` on are signs or begin a token
    /// that a walk survives.
    pub(super) fn in_block(&self, bytes: &[u8], from: usize) -> u64 {
        let mut before = match from.checked_sub(1) {
            Some(at) => self.classes[usize::from(bytes[at])],
            None => 0,
        };
        let mut worth = 0;
        let mut look = |bit: usize, first: u8, survives: u32| {
            let class = self.classes[usize::from(first)];
            let is_inside = before & class & WORD;
            let is_start = (survives & 1) as u8 & !is_inside;
            let is_after_letters = class >> 2 & before & !(before >> 2) & 1;
            worth |= u64::from(is_start | is_after_letters | class >> 1 & 1) << bit;
            before = class;
        };
        if let Some(block) = bytes.get(from..=from + BLOCK) {
            for (bit, pair) in block.windows(2).enumerate() {
                look(
                    bit,
                    pair[0],
                    self.pairs[place(pair[0], pair[1])] >> (pair[1] & 31),
                );
            }
            return worth;
        }
        for (bit, &first) in bytes[from..].iter().take(BLOCK).enumerate() {
            // Nothing is known of what follows the last byte.
            let survives = bytes
                .get(from + bit + 1)
                .map_or(1, |&next| self.pairs[place(first, next)] >> (next & 31));
            look(bit, first, survives);
        }
        worth
    }
}

fn place(first: u8, next: u8) -> usize {
    usize::from(first) << 3 | usize::from(next >> 5)
}

/// Whether a walk over these two bytes is alive, or has matched, after them.
fn survives(walk: &DFA, cache: &mut Cache, first: u8, next: u8) -> Result<bool, ScanError> {
    let config = start::Config::new().anchored(Anchored::Yes);
    let state = walk.start_state(cache, &config).map_err(stopped)?;
    let state = walk.next_state(cache, state, first).map_err(stopped)?;
    if state.is_dead() {
        return Ok(false);
    }
    let state = walk.next_state(cache, state, next).map_err(stopped)?;
    Ok(!state.is_dead())
}
