//! Other people's regular expressions, in time linear in the text.
//!
//! A pattern may be anything that the syntax allows, so nothing about it is known in
//! advance. All patterns are one lazy DFA that reads the text once and names every place
//! where one of them ends; from each end a second DFA over the reversed pattern reads back
//! to where it began, [`MAX_MATCH_BYTES`] at most. So the work is at most `1 + 256 *
//! patterns` steps for each byte, whatever the patterns and whatever the text; a pattern
//! that matches rarely costs one.

use regex_automata::{
    Anchored, Input, MatchKind, PatternID,
    hybrid::dfa::{Cache, DFA},
    nfa::thompson::{Compiler, Config, NFA, WhichCaptures},
    util::pool::Pool,
};
use regex_syntax::{
    ParserBuilder,
    hir::{Hir, HirKind, Look},
};

/// Longest match of a custom pattern, in bytes.
pub(crate) const MAX_MATCH_BYTES: usize = 256;
/// Memory for the states of one automaton and thread.
const CACHE_BYTES: usize = 2 << 20;
/// Brackets in brackets.
const MAX_NESTING: u32 = 32;

/// A match: which pattern, and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) pattern: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

type Caches = (Cache, Cache);
type MakeCaches =
    Box<dyn Fn() -> Caches + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>;

/// Compiled patterns.
pub(super) struct Automaton {
    forward: DFA,
    reverse: DFA,
    caches: Pool<Caches, MakeCaches>,
    patterns: usize,
}

impl std::fmt::Debug for Automaton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Automaton")
            .field("patterns", &self.patterns)
            .finish_non_exhaustive()
    }
}

/// Reads a pattern.
///
/// # Errors
///
/// What is wrong with it, for people.
pub(super) fn parse(pattern: &str) -> Result<Hir, String> {
    let hir = ParserBuilder::new()
        .nest_limit(MAX_NESTING)
        .build()
        .parse(pattern)
        .map_err(|error| match error {
            regex_syntax::Error::Parse(error) => format!("is no pattern: {}", error.kind()),
            regex_syntax::Error::Translate(error) => format!("is no pattern: {}", error.kind()),
            _ => "is no pattern".to_owned(),
        })?;
    let shortest = hir.properties().minimum_len();
    match shortest {
        Some(0) => Err("matches the empty text; let it match at least one character".to_owned()),
        Some(bytes) if bytes <= MAX_MATCH_BYTES => Ok(ascii_words(hir)),
        None => Err("can never match".to_owned()),
        Some(bytes) => Err(format!(
            "matches only texts of {bytes} bytes and more; a match has at most {MAX_MATCH_BYTES}"
        )),
    }
}

/// The DFA knows word boundaries of ASCII alone.
fn ascii_words(hir: Hir) -> Hir {
    match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(class),
        HirKind::Look(look) => Hir::look(match look {
            Look::WordUnicode => Look::WordAscii,
            Look::WordUnicodeNegate => Look::WordAsciiNegate,
            Look::WordStartUnicode => Look::WordStartAscii,
            Look::WordEndUnicode => Look::WordEndAscii,
            Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
            Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
            other => other,
        }),
        HirKind::Repetition(mut repetition) => {
            repetition.sub = Box::new(ascii_words(*repetition.sub));
            Hir::repetition(repetition)
        }
        HirKind::Capture(capture) => ascii_words(*capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.into_iter().map(ascii_words).collect()),
        HirKind::Alternation(parts) => {
            Hir::alternation(parts.into_iter().map(ascii_words).collect())
        }
    }
}

impl Automaton {
    /// Compiles patterns that [`parse`] has read, in at most `limit` bytes for each
    /// direction.
    ///
    /// # Errors
    ///
    /// What is wrong with them, for people.
    pub(super) fn new(patterns: &[Hir], limit: usize) -> Result<Self, String> {
        let forward = dfa(nfa(patterns, false, limit)?, false)?;
        let reverse = dfa(nfa(patterns, true, limit)?, true)?;
        let make: MakeCaches = {
            let (forward, reverse) = (forward.clone(), reverse.clone());
            Box::new(move || (forward.create_cache(), reverse.create_cache()))
        };
        Ok(Self {
            forward,
            reverse,
            caches: Pool::new(make),
            patterns: patterns.len(),
        })
    }

    /// The matches of each pattern: those that begin first, of these the longest, none of
    /// one pattern overlapping another of it.
    ///
    /// # Errors
    ///
    /// A fault of the automaton, which its configuration rules out.
    pub(super) fn find(&self, text: &str) -> Result<Vec<Match>, String> {
        Ok(self.find_counting(text)?.0)
    }

    /// [`Self::find`], and how many bytes were read back.
    fn find_counting(&self, text: &str) -> Result<(Vec<Match>, usize), String> {
        let mut read_back = 0;
        let mut caches = self.caches.get();
        let (forward_cache, reverse_cache) = &mut *caches;
        let mut by_pattern: Vec<Vec<Match>> = vec![Vec::new(); self.patterns];
        let mut found = |pattern: PatternID, end: usize| -> Result<(), String> {
            if let Some(start) = self.start_of(text, pattern, end, reverse_cache, &mut read_back)? {
                let matches = &mut by_pattern[pattern.as_usize()];
                while matches.last().is_some_and(|last| last.start >= start) {
                    matches.pop();
                }
                if matches.last().is_none_or(|last| last.end <= start) {
                    matches.push(Match {
                        pattern: pattern.as_usize(),
                        start,
                        end,
                    });
                }
            }
            Ok(())
        };
        let dfa = &self.forward;
        let mut state = dfa
            .start_state_forward(forward_cache, &Input::new(text))
            .map_err(stopped)?;
        // A DFA state says what matched *before* the byte that led to it.
        for (at, &byte) in text.as_bytes().iter().enumerate() {
            state = dfa
                .next_state(forward_cache, state, byte)
                .map_err(stopped)?;
            if state.is_tagged() && state.is_match() {
                for index in 0..dfa.match_len(forward_cache, state) {
                    found(dfa.match_pattern(forward_cache, state, index), at)?;
                }
            }
        }
        state = dfa.next_eoi_state(forward_cache, state).map_err(stopped)?;
        if state.is_match() {
            for index in 0..dfa.match_len(forward_cache, state) {
                found(dfa.match_pattern(forward_cache, state, index), text.len())?;
            }
        }
        Ok((by_pattern.into_iter().flatten().collect(), read_back))
    }

    /// The first place where a match of `pattern` begins that ends at `end`.
    fn start_of(
        &self,
        text: &str,
        pattern: PatternID,
        end: usize,
        cache: &mut Cache,
        read_back: &mut usize,
    ) -> Result<Option<usize>, String> {
        let dfa = &self.reverse;
        let bytes = text.as_bytes();
        let low = end.saturating_sub(MAX_MATCH_BYTES);
        let input = Input::new(bytes)
            .range(low..end)
            .anchored(Anchored::Pattern(pattern));
        let mut first = None;
        let mut state = dfa.start_state_reverse(cache, &input).map_err(stopped)?;
        for at in (low..end).rev() {
            state = dfa.next_state(cache, state, bytes[at]).map_err(stopped)?;
            *read_back += 1;
            if state.is_tagged() {
                if state.is_match() {
                    first = Some(at + 1);
                } else if state.is_dead() {
                    return Ok(first);
                }
            }
        }
        state = match low.checked_sub(1) {
            Some(before) => dfa.next_state(cache, state, bytes[before]),
            None => dfa.next_eoi_state(cache, state),
        }
        .map_err(stopped)?;
        Ok(if state.is_match() { Some(low) } else { first })
    }
}

fn nfa(patterns: &[Hir], reverse: bool, limit: usize) -> Result<NFA, String> {
    let config = Config::new()
        .reverse(reverse)
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(limit));
    Compiler::new()
        .configure(config)
        .build_many_from_hir(patterns)
        .map_err(|error| match error.size_limit() {
            Some(limit) => format!(
                "is too large: compiled it would take over {limit} bytes; lower its counts or \
                 use smaller classes, such as [0-9] for \\d"
            ),
            None => format!("is no pattern: {error}"),
        })
}

fn dfa(nfa: NFA, reverse: bool) -> Result<DFA, String> {
    DFA::builder()
        .configure(
            DFA::config()
                .match_kind(MatchKind::All)
                .starts_for_each_pattern(reverse)
                .cache_capacity(CACHE_BYTES)
                .skip_cache_capacity_check(true),
        )
        .build_from_nfa(nfa)
        .map_err(|error| format!("is no pattern: {error}"))
}

fn stopped(error: impl std::fmt::Display) -> String {
    format!("the automaton stopped: {error}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn found<'t>(patterns: &[&str], text: &'t str) -> Vec<(usize, &'t str)> {
        let parsed: Vec<Hir> = patterns.iter().map(|it| parse(it).unwrap()).collect();
        let automaton = Automaton::new(&parsed, 1 << 20).unwrap();
        let found = automaton.find(text).unwrap();
        found
            .iter()
            .map(|it| (it.pattern, &text[it.start..it.end]))
            .collect()
    }

    #[test]
    fn each_pattern_finds_its_leftmost_longest_matches() {
        assert_eq!(found(&["[0-9]+"], "12 345"), [(0, "12"), (0, "345")]);
        assert_eq!(found(&["[0-9]{2}"], "12345"), [(0, "12"), (0, "34")]);
        assert_eq!(found(&["a|ab|abc"], "xabcx"), [(0, "abc")]);
        assert_eq!(found(&["ab", "bc"], "abc"), [(0, "ab"), (1, "bc")]);
        assert_eq!(
            found(&[r"\bEMP-[0-9]{3}\b"], "EMP-123 XEMP-123"),
            [(0, "EMP-123")]
        );
        assert_eq!(found(&["^a", "a$"], "aba"), [(0, "a"), (1, "a")]);
        assert_eq!(found(&["é+"], "aéé語é"), [(0, "éé"), (0, "é")]);
    }

    #[test]
    fn a_match_has_at_most_256_bytes() {
        let text = "a".repeat(600);
        assert!(
            found(&["a+"], &text)
                .iter()
                .all(|(_, part)| part.len() <= 256)
        );
        let apart = format!("x{}y", "a".repeat(300));
        assert!(found(&["xa+y"], &apart).is_empty());
    }

    #[test]
    fn the_work_is_linear_in_the_text_whatever_the_pattern() {
        let hostile = [
            "(a|aa)+",
            "a.*b",
            "(a*)*b|a",
            "b[a-z]*|a",
            "(x+x+)+y|x",
            ".{1,40}a",
        ];
        for pattern in hostile {
            let automaton = Automaton::new(&[parse(pattern).unwrap()], 1 << 20).unwrap();
            for unit in ["a", "ab", "x", "ba", "aaaaaaab\n"] {
                let work = |bytes: usize| {
                    let text = unit.repeat(bytes / unit.len());
                    automaton.find_counting(&text).unwrap().1
                };
                let (once, twice) = (work(20_000), work(40_000));
                assert!(twice <= MAX_MATCH_BYTES * 40_000, "{pattern} {unit}");
                assert!(
                    twice <= 2 * once + 70_000,
                    "{pattern} {unit}: {once} {twice}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (pattern, why) in [
            ("(a", "unclosed group"),
            ("(?=a)", "look-around"),
            (r"(a)\1", "backreferences"),
            ("a*", "empty"),
            ("a{300}", "256"),
            (
                "(((((((((((((((((((((((((((((((((((a)))))))))))))))))))))))))))))))))))",
                "nest",
            ),
            (r"(?-u:\xFF)", "UTF-8"),
        ] {
            let error = parse(pattern).unwrap_err();
            assert!(
                error.to_lowercase().contains(&why.to_lowercase()),
                "{pattern}: {error}"
            );
        }
        let huge = parse(r"(\p{L}{1,50}){1,50}").unwrap();
        assert!(
            Automaton::new(&[huge], 512 << 10)
                .unwrap_err()
                .contains("too large")
        );
    }
}
