//! One pass over the text for all patterns of all detectors.
//!
//! An ordinary multi-pattern search reports the leftmost match of whichever pattern
//! came first and goes on after it, so a phone number would hide the card number that
//! begins one digit later. Here a lazy DFA with *all-matches* semantics reads the text
//! once and names every (pattern, end) there is; for each end, a second DFA over the
//! reversed patterns reads back to the starts. Which overlapping candidate wins is
//! decided later, by score ([`crate::resolve`]).
//!
//! **Cost.** The forward pass reads each byte once. Reading back is bounded per
//! pattern by its [`Reach`]: `Every(n)` reads at most `n` bytes for each end;
//! `Longest` reads each stretch once, because it goes through the ends from the last to
//! the first and skips those inside a stretch already read. So the work is at most
//! `(1 + L + sum of n) * bytes`, `L` the number of `Longest` patterns, whatever the
//! text. [`ScanStats`] counts it and the tests hold it to that.

use std::borrow::Cow;

use regex_automata::{
    Anchored, Input, MatchKind, PatternID,
    hybrid::dfa::{Cache, DFA},
    nfa::thompson,
    util::{pool::Pool, syntax},
};

use crate::detector::{Candidate, Detector, Pattern, Reach, Verdict};

/// Memory for the states of one automaton and thread; past it the states are built
/// anew. Prose needs a few hundred kB, noise made of the patterns' own letters 18 MB.
const CACHE_BYTES: usize = 40 << 20;

/// What a scan did; for tests and benchmarks, which count work instead of seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanStats {
    /// Bytes that the forward pass read: the length of the text.
    pub forward_bytes: usize,
    /// Bytes that were read back from the ends of matches to their starts.
    pub reverse_bytes: usize,
    /// Candidates that detectors judged.
    pub candidates: usize,
}

/// A candidate that its detector confirmed.
#[derive(Debug)]
pub(crate) struct Hit {
    /// The detector's place in the list that the scanner was built from.
    pub(crate) detector: usize,
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
    /// 0 to 1.
    pub(crate) score: f64,
    /// The pattern, then the checks that passed.
    pub(crate) reasons: Vec<Cow<'static, str>>,
}

/// A fault of the patterns, never of the text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    /// A pattern does not compile; found when the engine is built.
    #[error("a detector's pattern does not compile: {0}")]
    Build(String),
    /// The automaton refused to go on, which its configuration rules out.
    #[error("the automaton stopped: {0}")]
    Search(String),
}

type Caches = (Cache, Cache);
type MakeCaches =
    Box<dyn Fn() -> Caches + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>;

/// The automata of a list of detectors.
pub(crate) struct Scanner {
    detectors: &'static [&'static Detector],
    /// By pattern id: the detector's place and the pattern.
    patterns: Vec<(usize, &'static Pattern)>,
    forward: DFA,
    reverse: DFA,
    caches: Pool<Caches, MakeCaches>,
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner")
            .field("patterns", &self.patterns.len())
            .finish_non_exhaustive()
    }
}

impl Scanner {
    /// Compiles the patterns of all `detectors` into one pair of automata.
    pub(crate) fn new(detectors: &'static [&'static Detector]) -> Result<Self, ScanError> {
        let patterns: Vec<(usize, &Pattern)> = detectors
            .iter()
            .enumerate()
            .flat_map(|(at, detector)| detector.patterns.iter().map(move |pattern| (at, pattern)))
            .collect();
        let regexes: Vec<&str> = patterns.iter().map(|(_, pattern)| pattern.regex).collect();
        let forward = automaton(&regexes, false)?;
        let reverse = automaton(&regexes, true)?;
        let make: MakeCaches = {
            let (forward, reverse) = (forward.clone(), reverse.clone());
            Box::new(move || (forward.create_cache(), reverse.create_cache()))
        };
        Ok(Self {
            detectors,
            patterns,
            forward,
            reverse,
            caches: Pool::new(make),
        })
    }

    /// Every confirmed candidate of the detectors for which `wanted` holds, in no
    /// particular order and possibly overlapping.
    pub(crate) fn scan(
        &self,
        text: &str,
        wanted: &[bool],
    ) -> Result<(Vec<Hit>, ScanStats), ScanError> {
        let mut caches = self.caches.get();
        let (forward_cache, reverse_cache) = &mut *caches;
        let mut back = ReadBack {
            scanner: self,
            text,
            cache: reverse_cache,
            ends: vec![Vec::new(); self.patterns.len()],
            hits: Vec::new(),
            stats: ScanStats {
                forward_bytes: text.len(),
                ..ScanStats::default()
            },
        };
        self.each_end(text, forward_cache, |pattern, end| {
            if wanted[self.patterns[pattern.as_usize()].0] {
                back.end_found(pattern, end)
            } else {
                Ok(())
            }
        })?;
        back.longest()?;
        Ok((back.hits, back.stats))
    }

    /// Calls `found` with every (pattern, end) of the text, in order of ends.
    fn each_end(
        &self,
        text: &str,
        cache: &mut Cache,
        mut found: impl FnMut(PatternID, usize) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        let dfa = &self.forward;
        let input = Input::new(text);
        let mut state = dfa.start_state_forward(cache, &input).map_err(stopped)?;
        // A DFA state says what matched *before* the byte that led to it.
        for (at, &byte) in text.as_bytes().iter().enumerate() {
            state = dfa.next_state(cache, state, byte).map_err(stopped)?;
            if state.is_tagged() && state.is_match() {
                for index in 0..dfa.match_len(cache, state) {
                    found(dfa.match_pattern(cache, state, index), at)?;
                }
            }
        }
        state = dfa.next_eoi_state(cache, state).map_err(stopped)?;
        if state.is_match() {
            for index in 0..dfa.match_len(cache, state) {
                found(dfa.match_pattern(cache, state, index), text.len())?;
            }
        }
        Ok(())
    }
}

/// The half of a scan that goes from ends to starts.
struct ReadBack<'s, 't> {
    scanner: &'s Scanner,
    text: &'t str,
    cache: &'s mut Cache,
    /// By pattern id: ends of `Longest` patterns, ascending, each the last of a run
    /// of consecutive ones.
    ends: Vec<Vec<usize>>,
    hits: Vec<Hit>,
    stats: ScanStats,
}

impl ReadBack<'_, '_> {
    fn end_found(&mut self, pattern: PatternID, end: usize) -> Result<(), ScanError> {
        match self.scanner.patterns[pattern.as_usize()].1.reach {
            Reach::Every(most) => {
                let low = end.saturating_sub(most);
                let mut starts = Vec::new();
                self.each_start(pattern, low, end, |start| starts.push(start))?;
                for start in starts {
                    self.judge(pattern, start, end);
                }
            }
            Reach::Longest => {
                let ends = &mut self.ends[pattern.as_usize()];
                match ends.last_mut() {
                    Some(last) if *last + 1 == end => *last = end,
                    _ => ends.push(end),
                }
            }
        }
        Ok(())
    }

    /// Reads the stretches of the `Longest` patterns, last to first.
    fn longest(&mut self) -> Result<(), ScanError> {
        for index in 0..self.ends.len() {
            let pattern = PatternID::new_unchecked(index);
            let mut free = self.text.len();
            for end in std::mem::take(&mut self.ends[index]).into_iter().rev() {
                if end > free {
                    continue;
                }
                let mut first = None;
                self.each_start(pattern, 0, end, |start| first = Some(start))?;
                if let Some(start) = first {
                    free = start;
                    self.judge(pattern, start, end);
                }
            }
        }
        Ok(())
    }

    /// Calls `found` with every start, from right to left, of a match of `pattern`
    /// in `low..end` that ends at `end`.
    fn each_start(
        &mut self,
        pattern: PatternID,
        low: usize,
        end: usize,
        mut found: impl FnMut(usize),
    ) -> Result<(), ScanError> {
        let dfa = &self.scanner.reverse;
        let bytes = self.text.as_bytes();
        let input = Input::new(bytes)
            .range(low..end)
            .anchored(Anchored::Pattern(pattern));
        let mut state = dfa
            .start_state_reverse(self.cache, &input)
            .map_err(stopped)?;
        for at in (low..end).rev() {
            state = dfa
                .next_state(self.cache, state, bytes[at])
                .map_err(stopped)?;
            self.stats.reverse_bytes += 1;
            if state.is_tagged() {
                if state.is_match() {
                    found(at + 1);
                } else if state.is_dead() {
                    return Ok(());
                }
            }
        }
        state = match low.checked_sub(1) {
            Some(before) => dfa.next_state(self.cache, state, bytes[before]),
            None => dfa.next_eoi_state(self.cache, state),
        }
        .map_err(stopped)?;
        if state.is_match() {
            found(low);
        }
        Ok(())
    }

    fn judge(&mut self, pattern: PatternID, start: usize, end: usize) {
        let (detector, pattern) = self.scanner.patterns[pattern.as_usize()];
        self.stats.candidates += 1;
        let candidate = Candidate {
            text: self.text,
            start,
            end,
            pattern: pattern.name,
            context: self.scanner.detectors[detector].context,
        };
        let Some(verdict) = (self.scanner.detectors[detector].validate)(&candidate) else {
            return;
        };
        let Verdict {
            span,
            score,
            reasons,
        } = verdict;
        debug_assert!(start <= span.start && span.end <= end && span.start < span.end);
        debug_assert!((0.0..=1.0).contains(&score));
        let named = Cow::Owned(format!("pattern:{}", pattern.name));
        self.hits.push(Hit {
            detector,
            start: span.start,
            end: span.end,
            score,
            reasons: std::iter::once(named).chain(reasons).collect(),
        });
    }
}

fn automaton(regexes: &[&str], reversed: bool) -> Result<DFA, ScanError> {
    DFA::builder()
        .configure(
            DFA::config()
                .match_kind(MatchKind::All)
                .starts_for_each_pattern(reversed)
                .cache_capacity(CACHE_BYTES)
                .skip_cache_capacity_check(true),
        )
        .syntax(syntax::Config::new().unicode(true).utf8(true))
        .thompson(thompson::Config::new().reverse(reversed))
        .build_many(regexes)
        .map_err(|error| ScanError::Build(error.to_string()))
}

fn stopped(error: impl std::fmt::Display) -> ScanError {
    ScanError::Search(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::detector::registry;

    #[test]
    fn noise_of_the_patterns_own_letters_fits_the_memory_twice() {
        let scanner = Scanner::new(registry::ALL).unwrap();
        let all = vec![true; registry::ALL.len()];
        let mut seed = 1_u64;
        let mut text = String::new();
        let alphabet: Vec<char> = "0123456789 0123456789-.:+()@ax\"\\éю".chars().collect();
        for _ in 0..200_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push(alphabet[(seed >> 33) as usize % alphabet.len()]);
        }
        scanner.scan(&text, &all).unwrap();
        let caches = scanner.caches.get();
        let used = caches.0.memory_usage() + caches.1.memory_usage();
        assert!(used < CACHE_BYTES / 2, "{used} bytes");
        assert_eq!((caches.0.clear_count(), caches.1.clear_count()), (0, 0));
    }
}
