//! One pass over the text for all patterns of all detectors.
//!
//! An ordinary multi-pattern search reports the leftmost match of whichever pattern
//! came first and goes on after it, so a phone number would hide the card number that
//! begins one digit later. And an unanchored automaton over a hundred patterns would be
//! in a state of all their counters at once. Here the text is read for *token starts*:
//! places where a word, a number or a sign begins that some pattern can begin with. From
//! each, one automaton over all patterns, anchored there, walks on for as long as
//! anything can still match, and names every (pattern, end) it meets; in prose it dies
//! within a few letters. Shapes that are known by a sign in their middle, such as
//! an address by its `@`, are read from that sign to both sides ([`around`]), and runs of
//! base64 and hexadecimal are decoded and searched like a text ([`encoded`]).
//! Which of the overlapping candidates wins is decided later, by score
//! ([`crate::resolve`]).
//!
//! **Streams.** The pass goes from left to right, no candidate is longer than
//! [`MAX_CANDIDATE`], and a judge sees [`LOOK_BEHIND`] bytes before and [`LOOK_AHEAD`]
//! after it and no more. So the pass can stop where the text ends for now and go on when
//! more arrives, with the same result ([`Scanner::advance`]).
//!
//! **Cost.** A walk reads at most [`SHORT`] bytes. A pattern with longer matches has an
//! automaton of its own and does not begin inside of what it read last ([`long`]).
//! [`ScanStats`] counts the bytes and the tests
//! hold the sum to a multiple of the text's length, whatever the text.

mod around;
mod encoded;
mod long;
mod runs;
mod starts;

use std::{borrow::Cow, cmp::Reverse, ops::Range};

use regex_automata::{
    Anchored, MatchKind, PatternID,
    hybrid::dfa::{Cache, DFA},
    nfa::thompson,
    util::{pool::Pool, start, syntax},
};

use self::{
    around::{Around, AroundCache},
    long::Long,
    runs::Runs,
    starts::Starts,
};
use crate::{
    detector::{Candidate, ContextIndex, Detector, Pattern, Reach, Surroundings, Verdict},
    normalise::Normalised,
};

/// Bytes of the longest candidate.
pub(crate) const MAX_CANDIDATE: usize = 4096;
/// Bytes of the longest candidate of the automata that patterns share.
pub(crate) const SHORT: usize = 256;
/// Letters that a code begins with at most.
pub(crate) const LETTERS: usize = 8;
/// Bytes of the shortest run that [`Reach::Run`] sees.
pub(crate) const SHORTEST_RUN: usize = runs::SHORTEST;
/// Bytes before a candidate that its judge sees.
pub(crate) const LOOK_BEHIND: usize = 96;
/// Bytes after a candidate that its judge sees.
pub(crate) const LOOK_AHEAD: usize = 64;

/// Memory for the states of one automaton and thread; past it the states are built
/// anew.
const CACHE_BYTES: usize = 16 << 20;

/// What a scan did; for tests and benchmarks, which count work instead of seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanStats {
    /// Bytes of the text, each looked at once for what may begin there.
    pub text_bytes: usize,
    /// Bytes that the walks of the automata read.
    pub walked_bytes: usize,
    /// Candidates that detectors judged.
    pub candidates: usize,
}

impl ScanStats {
    fn add(&mut self, other: Self) {
        self.text_bytes += other.text_bytes;
        self.walked_bytes += other.walked_bytes;
        self.candidates += other.candidates;
    }
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

/// How far a scan has come. Offsets are those of the text that is handed to
/// [`Scanner::advance`]; [`Self::rebase`] follows when its head is cut off.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// The first byte that was not looked at yet.
    next: usize,
    /// By pattern, where its last `Longest` stretch ends.
    stretches: Vec<usize>,
    /// By long pattern, up to where its last walk read.
    long: Vec<usize>,
    /// By pattern around a sign, up to where its last right side was read.
    signs: Vec<usize>,
    /// The search for texts within the text.
    runs: Runs,
    /// How deep within other texts this one is.
    depth: u8,
    /// What it took so far.
    pub(crate) stats: ScanStats,
}

impl Progress {
    /// The text lost its first `bytes`, at most those before [`Scanner::advance`]'s
    /// answer less [`LOOK_BEHIND`].
    pub(crate) fn rebase(&mut self, bytes: usize) {
        self.next -= bytes;
        let marks = self.stretches.iter_mut().chain(&mut self.long);
        for end in marks.chain(&mut self.signs) {
            *end = end.saturating_sub(bytes);
        }
        self.runs.rebase(bytes);
    }
}

struct Caches {
    walk: Cache,
    codes: Cache,
    long: Vec<Cache>,
    runs: Option<Cache>,
    around: Vec<AroundCache>,
    ends: Vec<(PatternID, usize)>,
}

type MakeCaches =
    Box<dyn Fn() -> Caches + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>;

/// The automata of a list of detectors.
pub(crate) struct Scanner {
    detectors: &'static [&'static Detector],
    /// By pattern id of the walk's automaton: the detector's place, the pattern, and
    /// its name as a reason.
    patterns: Vec<(usize, &'static Pattern, String)>,
    walk: DFA,
    /// As `patterns`, for the automaton of codes.
    code_patterns: Vec<(usize, &'static Pattern, String)>,
    codes: DFA,
    long: Vec<Long>,
    /// By first byte, the long patterns that can begin with it.
    long_first: Box<[u64; 256]>,
    arounds: Vec<Around>,
    /// As `patterns`, for the automaton of whole runs.
    run_patterns: Vec<(usize, &'static Pattern, String)>,
    runs: Option<DFA>,
    starts: Starts,
    context: ContextIndex,
    caches: Pool<Caches, MakeCaches>,
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner")
            .field("patterns", &(self.patterns.len() + self.arounds.len()))
            .finish_non_exhaustive()
    }
}

impl Scanner {
    /// Compiles the patterns of all `detectors`.
    pub(crate) fn new(detectors: &'static [&'static Detector]) -> Result<Self, ScanError> {
        let mut patterns = Vec::new();
        let mut arounds = Vec::new();
        let mut code_patterns = Vec::new();
        let mut run_patterns = Vec::new();
        let mut long = Vec::new();
        for (at, detector) in detectors.iter().enumerate() {
            for pattern in detector.patterns {
                let reason = format!("pattern:{}", pattern.name);
                match pattern.reach {
                    Reach::Around { .. } => arounds.push(Around::new(at, pattern, reason)?),
                    Reach::Every(bytes) | Reach::Longest(bytes) if bytes > MAX_CANDIDATE => {
                        return Err(ScanError::Build(format!("{reason} reaches too far")));
                    }
                    Reach::Longest(bytes) if bytes > SHORT => {
                        long.push(Long::new(at, pattern, reason)?);
                    }
                    Reach::Code(_) => code_patterns.push((at, pattern, reason)),
                    Reach::Run(_) => run_patterns.push((at, pattern, reason)),
                    Reach::Every(_) | Reach::Longest(_) => patterns.push((at, pattern, reason)),
                }
            }
        }
        let regexes: Vec<&str> = patterns.iter().map(|(_, it, _)| it.regex).collect();
        let walk = automaton(&regexes, false)?;
        let regexes: Vec<&str> = code_patterns.iter().map(|(_, it, _)| it.regex).collect();
        let codes = automaton(&regexes, false)?;
        let regexes: Vec<&str> = run_patterns.iter().map(|(_, it, _)| it.regex).collect();
        let runs = match regexes.as_slice() {
            [] => None,
            regexes => Some(automaton(regexes, false)?),
        };
        let signs: Vec<u8> = arounds.iter().map(|it| it.sign).collect();
        if long.len() > u64::BITS as usize {
            return Err(ScanError::Build(
                "there are too many long patterns".to_owned(),
            ));
        }
        let mut long_first = Box::new([0; 256]);
        for (byte, mask) in (0..=u8::MAX).zip(long_first.iter_mut()) {
            for (index, pattern) in long.iter().enumerate() {
                *mask |= u64::from(pattern.begins_with(byte)) << index;
            }
        }
        let walks: Vec<&DFA> = long.iter().map(|it| &it.walk).chain([&walk]).collect();
        let starts = Starts::new(&walks, &codes, &signs)?;
        let make: MakeCaches = {
            let (walk, codes) = (walk.clone(), codes.clone());
            let (runs, arounds) = (runs.clone(), arounds.clone());
            let long: Vec<DFA> = long.iter().map(|it| it.walk.clone()).collect();
            Box::new(move || Caches {
                walk: walk.create_cache(),
                codes: codes.create_cache(),
                long: long.iter().map(DFA::create_cache).collect(),
                runs: runs.as_ref().map(DFA::create_cache),
                around: arounds.iter().map(Around::create_cache).collect(),
                ends: Vec::new(),
            })
        };
        Ok(Self {
            detectors,
            patterns,
            walk,
            code_patterns,
            codes,
            long_first,
            long,
            arounds,
            run_patterns,
            runs,
            starts,
            context: ContextIndex::new(detectors.iter().map(|it| it.context)),
            caches: Pool::new(make),
        })
    }

    /// A scan that has not begun.
    pub(crate) fn begin(&self) -> Progress {
        Progress {
            next: 0,
            stretches: vec![0; self.patterns.len()],
            long: vec![0; self.long.len()],
            signs: vec![0; self.arounds.len()],
            runs: Runs::default(),
            depth: 0,
            stats: ScanStats::default(),
        }
    }

    /// Adds every confirmed candidate of the detectors for which `wanted` holds to
    /// `hits`, in no particular order and possibly overlapping, as far as `text` decides
    /// them; where `is_last`, that is all. Answers where the undecided begins: no hit to
    /// come begins before it.
    pub(crate) fn advance(
        &self,
        text: &str,
        is_last: bool,
        wanted: &[bool],
        progress: &mut Progress,
        hits: &mut Vec<Hit>,
    ) -> Result<usize, ScanError> {
        let mut caches = self.caches.get();
        let Caches {
            walk,
            codes,
            long,
            runs,
            around,
            ends,
        } = &mut *caches;
        let bytes = text.as_bytes();
        let begin = progress.next;
        let mut pass = Pass {
            scanner: self,
            text,
            is_last,
            wanted,
            surroundings: Surroundings::new(&self.context),
            progress,
            hits,
        };
        let mut block = begin;
        let mut at = begin;
        'text: while block < bytes.len() {
            let mut worth = self.starts.in_block(bytes, block);
            while worth != 0 {
                at = block + worth.trailing_zeros() as usize;
                worth &= worth - 1;
                if self.starts.is_sign(bytes[at]) && !pass.sign(around, at)? {
                    break 'text;
                }
                if let Some(start) = self.starts.code(bytes, at)
                    && !pass.token(Shared::Codes, codes, ends, start)?
                {
                    break 'text;
                }
                if self.starts.survives(bytes, at)
                    && !(pass.long(long, at)? && pass.token(Shared::Walk, walk, ends, at)?)
                {
                    break 'text;
                }
            }
            block = bytes.len().min(block + starts::BLOCK);
            at = block;
        }
        pass.runs(runs.as_mut())?;
        progress.stats.text_bytes += at - begin;
        progress.next = at;
        if is_last {
            return Ok(at);
        }
        let mut undecided = self
            .starts
            .undecided(bytes, at)
            .min(progress.runs.undecided());
        for (pattern, cache) in self.arounds.iter().zip(around) {
            undecided = undecided.min(pattern.undecided(cache, bytes, at)?);
        }
        Ok(undecided)
    }
}

/// An automaton that patterns share.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shared {
    /// Patterns that may begin as words do.
    Walk,
    /// Patterns of [`Reach::Code`].
    Codes,
}

/// One call of [`Scanner::advance`].
struct Pass<'s, 't> {
    scanner: &'s Scanner,
    text: &'t str,
    is_last: bool,
    wanted: &'s [bool],
    surroundings: Surroundings<'s>,
    progress: &'s mut Progress,
    hits: &'s mut Vec<Hit>,
}

impl Pass<'_, '_> {
    /// Whether the judge of a candidate that ends at `end` would see no more if the text
    /// went on.
    fn is_in_sight(&self, end: usize) -> bool {
        self.is_last || end + LOOK_AHEAD <= self.text.len()
    }

    /// Walks from the token start at `at`; says whether the text decides its candidates.
    fn token(
        &mut self,
        shared: Shared,
        cache: &mut Cache,
        ends: &mut Vec<(PatternID, usize)>,
        at: usize,
    ) -> Result<bool, ScanError> {
        ends.clear();
        let scanner = self.scanner;
        let (dfa, patterns) = match shared {
            Shared::Walk => (&scanner.walk, &scanner.patterns),
            Shared::Codes => (&scanner.codes, &scanner.code_patterns),
        };
        if !self.walk(dfa, cache, ends, at)? {
            return Ok(false);
        }
        let Some(&(_, last)) = ends.last() else {
            return Ok(true);
        };
        if !self.is_in_sight(last) {
            return Ok(false);
        }
        // `Longest` patterns want their last end only, so the later come first; of equal
        // ends the first pattern does.
        ends.sort_by_key(|&(id, end)| (Reverse(end), id));
        for &(id, end) in ends.iter() {
            let (detector, pattern, reason) = &patterns[id.as_usize()];
            if !self.wanted[*detector] {
                continue;
            }
            match pattern.reach {
                Reach::Every(most) | Reach::Code(most) if end - at <= most => {}
                Reach::Longest(most) if end - at <= most => {
                    let stretch = &mut self.progress.stretches[id.as_usize()];
                    if at < *stretch {
                        continue;
                    }
                    *stretch = end;
                }
                _ => continue,
            }
            self.judge(*detector, pattern, reason, at, end);
        }
        Ok(true)
    }

    /// Walks the long patterns that can begin at `at`; says whether the text decides
    /// them.
    fn long(&mut self, caches: &mut [Cache], at: usize) -> Result<bool, ScanError> {
        let scanner = self.scanner;
        let bytes = self.text.as_bytes();
        let mut can_begin = scanner.long_first[usize::from(bytes[at])];
        while can_begin != 0 {
            let index = can_begin.trailing_zeros() as usize;
            can_begin &= can_begin - 1;
            let pattern = &scanner.long[index];
            if at < self.progress.long[index] {
                continue;
            }
            let read = pattern.read(&mut caches[index], bytes, at, self.is_last)?;
            self.progress.stats.walked_bytes += read.reached - at;
            if read.is_open || read.end.is_some_and(|end| !self.is_in_sight(end)) {
                return Ok(false);
            }
            self.progress.long[index] = read.reached.max(at + 1);
            if let Some(end) = read.end
                && self.wanted[pattern.detector]
            {
                let reason = &pattern.reason;
                self.judge(pattern.detector, pattern.pattern, reason, at, end);
            }
        }
        Ok(true)
    }

    /// Collects every (pattern, end) of a match that begins at `at`, by ends; says whether
    /// the walk was over before the text was.
    fn walk(
        &mut self,
        dfa: &DFA,
        cache: &mut Cache,
        ends: &mut Vec<(PatternID, usize)>,
        at: usize,
    ) -> Result<bool, ScanError> {
        let bytes = self.text.as_bytes();
        // One more than the longest match: a DFA state says what matched *before* the
        // byte that led to it.
        let limit = at + SHORT + 1;
        let config = start::Config::new()
            .anchored(Anchored::Yes)
            .look_behind(at.checked_sub(1).map(|before| bytes[before]));
        let mut state = dfa.start_state(cache, &config).map_err(stopped)?;
        let mut reached = at;
        for &byte in &bytes[at..bytes.len().min(limit)] {
            state = dfa.next_state(cache, state, byte).map_err(stopped)?;
            if state.is_tagged() {
                if state.is_match() {
                    for index in 0..dfa.match_len(cache, state) {
                        ends.push((dfa.match_pattern(cache, state, index), reached));
                    }
                } else if state.is_dead() {
                    self.progress.stats.walked_bytes += reached - at;
                    return Ok(true);
                }
            }
            reached += 1;
        }
        self.progress.stats.walked_bytes += reached - at;
        if reached == limit {
            return Ok(true);
        }
        if !self.is_last {
            return Ok(false);
        }
        state = dfa.next_eoi_state(cache, state).map_err(stopped)?;
        if state.is_match() {
            for index in 0..dfa.match_len(cache, state) {
                ends.push((dfa.match_pattern(cache, state, index), reached));
            }
        }
        Ok(true)
    }

    /// Reads to both sides of the sign at `at`; says whether the text decides it.
    fn sign(&mut self, caches: &mut [AroundCache], at: usize) -> Result<bool, ScanError> {
        let scanner = self.scanner;
        let bytes = self.text.as_bytes();
        let mut found = [None; around::MOST];
        for (index, (pattern, cache)) in scanner.arounds.iter().zip(caches).enumerate() {
            if pattern.sign != bytes[at] || at < self.progress.signs[index] {
                continue;
            }
            let read = pattern.read(cache, bytes, at, self.is_last)?;
            self.progress.stats.walked_bytes += read.walked;
            if read.is_open || read.span.is_some_and(|(_, end)| !self.is_in_sight(end)) {
                return Ok(false);
            }
            found[index] = Some(read);
        }
        for (index, (pattern, read)) in scanner.arounds.iter().zip(found).enumerate() {
            let Some(read) = read else {
                continue;
            };
            self.progress.signs[index] = read.reached;
            if let Some((start, end)) = read.span
                && self.wanted[pattern.detector]
            {
                let reason = &pattern.reason;
                self.judge(pattern.detector, pattern.pattern, reason, start, end);
            }
        }
        Ok(true)
    }

    /// Judges long runs of letters and digits, and decodes those of base64 and
    /// hexadecimal and searches what they hold. The surest finding inside of a run stands
    /// for the run.
    fn runs(&mut self, mut cache: Option<&mut Cache>) -> Result<(), ScanError> {
        while let Some((run, padded)) = self.progress.runs.next(self.text.as_bytes(), self.is_last)
        {
            if let (Some(dfa), Some(cache)) = (&self.scanner.runs, cache.as_deref_mut()) {
                let mut start = run.start;
                for word in self.text[run.clone()].split(|c: char| !c.is_ascii_alphanumeric()) {
                    let end = start + word.len();
                    if word.len() >= SHORTEST_RUN {
                        self.whole_run(dfa, cache, start..end)?;
                    }
                    start = end + 1;
                }
            }
            if self.progress.depth == encoded::MAX_DEPTH {
                continue;
            }
            let run = run.start..padded;
            let Some((text, encoding)) = encoded::decode(&self.text[run.clone()]) else {
                continue;
            };
            let seen = Normalised::new(&text);
            let mut within = self.scanner.begin();
            within.depth = self.progress.depth + 1;
            let mut hits = Vec::new();
            self.scanner
                .advance(&seen.text, true, self.wanted, &mut within, &mut hits)?;
            self.progress.stats.add(within.stats);
            let surest = hits
                .into_iter()
                .reduce(|best, hit| if hit.score > best.score { hit } else { best });
            if let Some(mut hit) = surest {
                hit.reasons.push(Cow::Borrowed(encoding));
                self.hits.push(Hit {
                    start: run.start,
                    end: run.end,
                    ..hit
                });
            }
        }
        Ok(())
    }

    /// Judges a run that a pattern matches from end to end.
    fn whole_run(
        &mut self,
        dfa: &DFA,
        cache: &mut Cache,
        run: Range<usize>,
    ) -> Result<(), ScanError> {
        let config = start::Config::new().anchored(Anchored::Yes);
        let mut state = dfa.start_state(cache, &config).map_err(stopped)?;
        for byte in self.text[run.clone()].bytes() {
            state = dfa.next_state(cache, state, byte).map_err(stopped)?;
            self.progress.stats.walked_bytes += 1;
            if state.is_dead() {
                return Ok(());
            }
        }
        state = dfa.next_eoi_state(cache, state).map_err(stopped)?;
        if state.is_match() {
            for index in 0..dfa.match_len(cache, state) {
                let id = dfa.match_pattern(cache, state, index);
                let (detector, pattern, reason) = &self.scanner.run_patterns[id.as_usize()];
                let is_short = matches!(pattern.reach, Reach::Run(most) if run.len() <= most);
                if is_short && self.wanted[*detector] {
                    self.judge(*detector, pattern, reason, run.start, run.end);
                }
            }
        }
        Ok(())
    }

    fn judge(
        &mut self,
        detector: usize,
        pattern: &'static Pattern,
        reason: &str,
        start: usize,
        end: usize,
    ) {
        self.progress.stats.candidates += 1;
        let low = start.saturating_sub(LOOK_BEHIND);
        let low = self.text.floor_char_boundary(low);
        let high = self.text.floor_char_boundary(end + LOOK_AHEAD);
        let candidate = Candidate {
            text: &self.text[low..high],
            start: start - low,
            end: end - low,
            pattern: pattern.name,
            detector,
            offset: low,
            surroundings: &self.surroundings,
        };
        let Some(verdict) = (self.scanner.detectors[detector].validate)(&candidate) else {
            return;
        };
        let Verdict {
            span,
            score,
            reasons,
        } = verdict;
        let span = span.start + low..span.end + low;
        debug_assert!(start <= span.start && span.end <= end && span.start < span.end);
        debug_assert!((0.0..=1.0).contains(&score));
        let named = Cow::Owned(reason.to_owned());
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
        let mut hits = Vec::new();
        let mut progress = scanner.begin();
        let end = scanner.advance(&text, true, &all, &mut progress, &mut hits);
        assert_eq!(end.unwrap(), text.len());
        let caches = scanner.caches.get();
        let used = caches.walk.memory_usage();
        assert!(used < CACHE_BYTES / 2, "{used} bytes");
        assert_eq!(caches.walk.clear_count(), 0);
    }
}
