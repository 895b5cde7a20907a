//! Patterns with long matches, such as URLs: each has an automaton of its own. One that
//! reads on over hundreds of bytes, past many places where another such match could begin,
//! would be read again from each; alone, a pattern can leave out the places
//! that its last walk went over, and hides nothing of the others.

use regex_automata::{
    Anchored,
    hybrid::dfa::{Cache, DFA},
    util::start,
};

use super::{ScanError, automaton, stopped};
use crate::detector::{Pattern, Reach};

/// A pattern of [`Reach::Longest`] past [`super::SHORT`] bytes.
pub(super) struct Long {
    pub(super) detector: usize,
    pub(super) pattern: &'static Pattern,
    /// The pattern's name as a reason.
    pub(super) reason: String,
    pub(super) walk: DFA,
    most: usize,
    /// By byte, whether a match can begin with it.
    first: [bool; 256],
}

/// What a walk met.
pub(super) struct Read {
    /// The end of the longest match.
    pub(super) end: Option<usize>,
    /// The text ended before the walk was over.
    pub(super) is_open: bool,
    /// Where the walk ended.
    pub(super) reached: usize,
}

impl Long {
    pub(super) fn new(
        detector: usize,
        pattern: &'static Pattern,
        reason: String,
    ) -> Result<Self, ScanError> {
        let Reach::Longest(most) = pattern.reach else {
            return Err(ScanError::Build(format!("{reason} has no length")));
        };
        let walk = automaton(&[pattern.regex], false)?;
        let mut cache = walk.create_cache();
        let config = start::Config::new().anchored(Anchored::Yes);
        let state = walk.start_state(&mut cache, &config).map_err(stopped)?;
        let mut first = [false; 256];
        for byte in 0..=u8::MAX {
            let next = walk.next_state(&mut cache, state, byte).map_err(stopped)?;
            first[usize::from(byte)] = !next.is_dead();
        }
        Ok(Self {
            detector,
            pattern,
            reason,
            walk,
            most,
            first,
        })
    }

    pub(super) fn begins_with(&self, byte: u8) -> bool {
        self.first[usize::from(byte)]
    }

    /// Walks from `at`.
    pub(super) fn read(
        &self,
        cache: &mut Cache,
        bytes: &[u8],
        at: usize,
        is_last: bool,
    ) -> Result<Read, ScanError> {
        let dfa = &self.walk;
        let config = start::Config::new()
            .anchored(Anchored::Yes)
            .look_behind(at.checked_sub(1).map(|before| bytes[before]));
        let mut state = dfa.start_state(cache, &config).map_err(stopped)?;
        let mut read = Read {
            end: None,
            is_open: false,
            reached: at,
        };
        // One more than the longest match: a state says what matched before its byte.
        let limit = at + self.most + 1;
        for &byte in &bytes[at..bytes.len().min(limit)] {
            state = dfa.next_state(cache, state, byte).map_err(stopped)?;
            if state.is_match() {
                read.end = Some(read.reached);
            } else if state.is_dead() {
                return Ok(read);
            }
            read.reached += 1;
        }
        if read.reached == limit {
            return Ok(read);
        }
        if !is_last {
            read.is_open = true;
            return Ok(read);
        }
        state = dfa.next_eoi_state(cache, state).map_err(stopped)?;
        if state.is_match() {
            read.end = Some(read.reached);
        }
        Ok(read)
    }
}
