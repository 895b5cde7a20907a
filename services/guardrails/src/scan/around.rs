//! Patterns that are known by a sign in their middle: an address by its `@`. Walking from
//! every word in the hope of an `@` would read all prose twice; reading from the sign
//! to both sides reads next to nothing.

use regex_automata::{
    Anchored, Input,
    hybrid::dfa::{Cache, DFA},
};

use super::{ScanError, automaton, stopped};
use crate::detector::{Pattern, Pending, Reach};

/// Most patterns of this kind; a scan keeps their spans on its stack.
pub(super) const MOST: usize = 8;

/// A pattern of [`Reach::Around`].
#[derive(Clone)]
pub(super) struct Around {
    pub(super) detector: usize,
    pub(super) pattern: &'static Pattern,
    /// The pattern's name as a reason.
    pub(super) reason: String,
    pub(super) sign: u8,
    pending: Pending,
    most_left: usize,
    most_right: usize,
    /// What stands before the sign, read backwards from it.
    left: DFA,
    /// The sign and what stands after it.
    right: DFA,
}

/// The states of an [`Around`]'s automata.
pub(super) struct AroundCache {
    left: Cache,
    right: Cache,
}

/// What stands around a sign.
#[derive(Clone, Copy)]
pub(super) struct Read {
    /// The longest match to both sides.
    pub(super) span: Option<(usize, usize)>,
    /// The text ended before the right side was over.
    pub(super) is_open: bool,
    /// Where the right side was over, matched or not.
    pub(super) reached: usize,
    /// Bytes read.
    pub(super) walked: usize,
}

impl Around {
    pub(super) fn new(
        detector: usize,
        pattern: &'static Pattern,
        reason: String,
    ) -> Result<Self, ScanError> {
        let Reach::Around {
            sign,
            left,
            pending,
            most_left,
            most_right,
        } = pattern.reach
        else {
            return Err(ScanError::Build(format!("{reason} has no sign")));
        };
        Ok(Self {
            detector,
            pattern,
            reason,
            sign,
            pending,
            most_left,
            most_right,
            left: automaton(&[left], true)?,
            right: automaton(&[pattern.regex], false)?,
        })
    }

    pub(super) fn create_cache(&self) -> AroundCache {
        AroundCache {
            left: self.left.create_cache(),
            right: self.right.create_cache(),
        }
    }

    /// Reads to both sides of the sign at `at`.
    pub(super) fn read(
        &self,
        cache: &mut AroundCache,
        bytes: &[u8],
        at: usize,
        is_last: bool,
    ) -> Result<Read, ScanError> {
        let (start, mut walked) = self.leftmost(cache, bytes, at)?;
        let mut read = Read {
            span: None,
            is_open: false,
            reached: at,
            walked,
        };
        let Some(start) = start else {
            return Ok(read);
        };
        let high = bytes.len().min(at + self.most_right);
        let input = Input::new(bytes).range(at..high).anchored(Anchored::Yes);
        let dfa = &self.right;
        let mut state = dfa
            .start_state_forward(&mut cache.right, &input)
            .map_err(stopped)?;
        let mut end = None;
        let mut reached = at;
        let mut is_over = false;
        while reached < high {
            state = dfa
                .next_state(&mut cache.right, state, bytes[reached])
                .map_err(stopped)?;
            if state.is_match() {
                end = Some(reached);
            } else if state.is_dead() {
                is_over = true;
                break;
            }
            reached += 1;
        }
        walked += reached - at;
        if !is_over {
            if reached == bytes.len() && !is_last && reached < at + self.most_right {
                read.is_open = true;
            }
            state = match bytes.get(reached) {
                Some(&byte) => dfa.next_state(&mut cache.right, state, byte),
                None => dfa.next_eoi_state(&mut cache.right, state),
            }
            .map_err(stopped)?;
            if state.is_match() {
                end = Some(reached);
            }
        }
        read.walked = walked;
        read.reached = reached;
        read.span = end.map(|end| (start, end));
        Ok(read)
    }

    /// Where the longest left side that ends at `at` begins, and the bytes read for it.
    fn leftmost(
        &self,
        cache: &mut AroundCache,
        bytes: &[u8],
        at: usize,
    ) -> Result<(Option<usize>, usize), ScanError> {
        let low = at.saturating_sub(self.most_left);
        let input = Input::new(bytes).range(low..at).anchored(Anchored::Yes);
        let dfa = &self.left;
        let mut state = dfa
            .start_state_reverse(&mut cache.left, &input)
            .map_err(stopped)?;
        let mut first = None;
        for place in (low..at).rev() {
            state = dfa
                .next_state(&mut cache.left, state, bytes[place])
                .map_err(stopped)?;
            if state.is_match() {
                first = Some(place + 1);
            } else if state.is_dead() {
                return Ok((first, at - place));
            }
        }
        state = match low.checked_sub(1) {
            Some(before) => dfa.next_state(&mut cache.left, state, bytes[before]),
            None => dfa.next_eoi_state(&mut cache.left, state),
        }
        .map_err(stopped)?;
        if state.is_match() {
            first = Some(low);
        }
        Ok((first, at - low))
    }

    /// Where a left side may have begun whose sign is at `at` or yet to come.
    pub(super) fn undecided(
        &self,
        cache: &mut AroundCache,
        bytes: &[u8],
        at: usize,
    ) -> Result<usize, ScanError> {
        let low = at.saturating_sub(self.most_left);
        Ok(match self.pending {
            Pending::Match => self.leftmost(cache, bytes, at)?.0.unwrap_or(at),
            // An opened quote may be anything until it is closed.
            Pending::Quote(quote) => {
                let open = bytes[low..at].iter().position(|byte| *byte == quote);
                open.map_or(at, |place| low + place)
            }
        })
    }
}
