//! Putting originals back, in a whole text or in one that arrives in pieces.
//!
//! Both go through [`Restorer::walk`], which decides at each place of the text whether a
//! surrogate or a token begins there; a stream goes on only where the decision cannot
//! change any more. So what a stream emits is what the whole text would have given, and
//! it holds back no more than the longest surrogate and a letter, or a token that is not
//! closed yet.
//!
//! A surrogate counts where it stands alone: `Anna` is not put back inside `Annabel`.

use std::{collections::HashMap, sync::Arc};

use zeroize::Zeroizing;

use super::seal::Entry;
use crate::{
    keys::TenantKeys,
    operator::{Read, Token},
};

/// Most bytes of a character.
const CHARACTER: usize = 4;

/// Knows the surrogates of a session.
pub struct Restorer {
    originals: HashMap<String, Zeroizing<String>>,
    /// Lengths of surrogates, longest first.
    lengths: Vec<usize>,
    /// Bytes with which something to put back may begin.
    starts: [bool; 256],
    keys: Option<TenantKeys>,
}

impl std::fmt::Debug for Restorer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restorer")
            .field("surrogates", &self.originals.len())
            .finish_non_exhaustive()
    }
}

/// A stretch of a text.
enum Part<'t> {
    /// As it stands.
    Text(&'t str),
    /// What a surrogate of the vault stands for.
    Original(&'t str),
    /// What a token held.
    Opened(String),
}

impl Restorer {
    /// Knows these entries and, with keys, the tokens of their tenant.
    pub(crate) fn new(entries: &[Entry], keys: Option<&TenantKeys>) -> Self {
        let mut starts = [false; 256];
        starts[usize::from(b'<')] = keys.is_some();
        let mut lengths = Vec::new();
        let mut originals = HashMap::with_capacity(entries.len());
        for entry in entries {
            let Some(first) = entry.surrogate.bytes().next() else {
                continue;
            };
            starts[usize::from(first)] = true;
            lengths.push(entry.surrogate.len());
            originals.insert(entry.surrogate.clone(), entry.original.clone());
        }
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        Self {
            originals,
            lengths,
            starts,
            keys: keys.cloned(),
        }
    }

    /// The text with originals in place of surrogates and tokens, and how many were put
    /// back.
    pub fn restore(&self, text: &str) -> (String, u64) {
        let mut restored = String::with_capacity(text.len());
        let mut count = 0;
        self.walk(text, &mut None, true, |part| {
            count += u64::from(!matches!(part, Part::Text(_)));
            restored.push_str(part.shown());
        });
        (restored, count)
    }

    /// Where in a text surrogates stand, alone or not, none overlapping another.
    pub(crate) fn surrogates_in(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let begins = self.starts[usize::from(text.as_bytes()[at])];
            let rest = text.get(at..).filter(|_| begins);
            let length = rest.and_then(|rest| {
                let mut lengths = self.lengths.iter().copied();
                lengths.find(|&length| {
                    rest.get(..length)
                        .is_some_and(|part| self.originals.contains_key(part))
                })
            });
            if let Some(length) = length {
                found.push(at..at + length);
            }
            at += length.unwrap_or(1);
        }
        found
    }

    fn hold(&self) -> usize {
        self.lengths
            .first()
            .map_or(0, |longest| longest + CHARACTER)
    }

    /// Calls `part` with the parts of `text` in order, up to where the decision depends on
    /// what follows; to the end when `last`. Returns how many bytes that is. `before` is
    /// the character before the text, and afterwards the last one of what was read.
    fn walk<'t>(
        &'t self,
        text: &'t str,
        before: &mut Option<char>,
        last: bool,
        mut part: impl FnMut(Part<'t>),
    ) -> usize {
        let bytes = text.as_bytes();
        let (mut from, mut at) = (0, 0);
        let plain = |from: usize, to: usize, part: &mut dyn FnMut(Part<'t>)| {
            if from < to {
                part(Part::Text(&text[from..to]));
            }
        };
        while at < bytes.len() {
            if !self.starts[usize::from(bytes[at])] {
                at += 1;
                continue;
            }
            // Only a character's first byte can be one that something begins with, unless
            // two characters share it.
            if !text.is_char_boundary(at) {
                at += 1;
                continue;
            }
            let rest = &text[at..];
            match self.token(rest) {
                Some(Ok((value, length))) => {
                    plain(from, at, &mut part);
                    part(Part::Opened(value));
                    at += length;
                    from = at;
                    continue;
                }
                Some(Err(())) if !last => break,
                _ => {}
            }
            if !last && rest.len() < self.hold() {
                break;
            }
            let previous = text[..at].chars().next_back().or(*before);
            match self.surrogate(rest, previous) {
                Some((surrogate, original)) => {
                    plain(from, at, &mut part);
                    part(Part::Original(original));
                    at += surrogate.len();
                    from = at;
                }
                None => at += 1,
            }
        }
        // A character that is not whole yet cannot be: pieces are strings.
        while !text.is_char_boundary(at) {
            at += 1;
        }
        plain(from, at, &mut part);
        if let Some(char) = text[..at].chars().next_back() {
            *before = Some(char);
        }
        at
    }

    /// The token at the beginning of `rest`; `Err` where it may become one.
    fn token(&self, rest: &str) -> Option<Result<(String, usize), ()>> {
        let keys = self.keys.as_ref()?;
        match Token::read(rest) {
            Read::Token(token) => Some(Ok((token.open(keys)?, token.length))),
            Read::Partial => Some(Err(())),
            Read::Nothing => None,
        }
    }

    /// The longest surrogate at the beginning of `rest` that stands alone.
    fn surrogate<'t>(
        &'t self,
        rest: &'t str,
        previous: Option<char>,
    ) -> Option<(&'t str, &'t str)> {
        let word = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
        if word(previous) && word(rest.chars().next()) {
            return None;
        }
        self.lengths.iter().find_map(|&length| {
            let surrogate = rest.get(..length)?;
            let original = self.originals.get(surrogate)?;
            let goes_on = word(rest[length..].chars().next());
            let alone = !goes_on || !word(surrogate.chars().next_back());
            alone.then_some((surrogate, original.as_str()))
        })
    }
}

impl Part<'_> {
    fn shown(&self) -> &str {
        match self {
            Part::Text(text) => text,
            Part::Original(original) => original,
            Part::Opened(value) => value,
        }
    }
}

/// Puts originals back into a text that arrives in pieces.
#[derive(Debug)]
pub struct RestoreStream {
    restorer: Arc<Restorer>,
    held: String,
    before: Option<char>,
}

impl RestoreStream {
    /// Begins a text.
    pub fn new(restorer: Arc<Restorer>) -> Self {
        Self {
            restorer,
            held: String::new(),
            before: None,
        }
    }

    /// Takes the next piece and gives what is decided.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        self.emit(false)
    }

    /// Gives the rest.
    pub fn finish(mut self) -> String {
        self.emit(true)
    }

    fn emit(&mut self, last: bool) -> String {
        let mut out = String::new();
        let read = self
            .restorer
            .walk(&self.held, &mut self.before, last, |part| {
                out.push_str(part.shown());
            });
        self.held.drain(..read);
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;
    use crate::keys::tests::keys;

    fn entry(surrogate: &str, original: &str) -> Entry {
        Entry {
            kind: "X".into(),
            surrogate: surrogate.into(),
            original: Zeroizing::new(original.into()),
        }
    }

    fn restorer() -> Restorer {
        let entries = [
            entry("Anna", "Ada"),
            entry("Anna Berg", "Ada Lovelace"),
            entry("aXaXa", "1"),
            entry("<X:p1>", "2"),
            entry("é", "3"),
        ];
        Restorer::new(&entries, Some(&keys("a")))
    }

    #[test]
    fn the_longest_surrogate_that_stands_alone_is_put_back() {
        let restored = |text: &str| restorer().restore(text).0;
        assert_eq!(
            restored("Anna Berg, Anna's, Annabel"),
            "Ada Lovelace, Ada's, Annabel"
        );
        assert_eq!(restored("Anna Bergs <X:p1>x"), "Ada Bergs 2x");
        assert_eq!(restored("xAnna 5é é"), "xAnna 5é 3");
        assert_eq!(restorer().restore("Anna and Anna").1, 2);
    }

    #[test]
    fn a_stream_holds_back_no_more_than_the_longest_surrogate_and_a_letter() {
        let mut stream = RestoreStream::new(Arc::new(restorer()));
        for _ in 0..100 {
            stream.push("A <X aXé");
            assert!(stream.held.len() <= 9 + CHARACTER, "{:?}", stream.held);
        }
    }

    fn texts() -> impl Strategy<Value = String> {
        let token = Token::write("EMAIL", "ada@example.com", &keys("a")).unwrap();
        let foreign = Token::write("EMAIL", "x", &keys("b")).unwrap();
        let piece = prop_oneof![
            4 => prop::sample::select(vec![
                "Anna".to_owned(), "Anna Berg".into(), "aXa".into(), "aXaXa".into(),
                "<X:p1>".into(), "é".into(), token, foreign, "<EMAIL:enc:".into(), "<".into(),
            ]),
            2 => "[ A<aXé>:n]{1,3}",
            1 => any::<String>(),
        ];
        prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_stream_gives_what_the_whole_text_gives(
            text in texts(),
            cuts in prop::collection::vec(1usize..12, 1..40),
        ) {
            let restorer = Arc::new(restorer());
            let whole = restorer.restore(&text).0;
            let mut stream = RestoreStream::new(restorer);
            let mut given = String::new();
            let mut chars = text.chars();
            for cut in cuts {
                let piece: String = chars.by_ref().take(cut).collect();
                given.push_str(&stream.push(&piece));
            }
            given.push_str(&stream.push(chars.as_str()));
            given.push_str(&stream.finish());
            prop_assert_eq!(given, whole);
        }
    }
}
