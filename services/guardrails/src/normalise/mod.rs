//! The text as a reader sees it, for patterns that know ASCII only.
//!
//! `４１１１`, `٤١١١` and `4\u{200B}111` are the same card number to whoever reads or copies
//! them, and so they are to a detector: characters that stand for ASCII become it, and
//! invisible ones are left out. So is `bob%40example.com` an address. Findings are reported, and redacted, at the offsets of the
//! text as it came ([`Offsets`]).
//!
//! Each character, or `%` with its two digits, is folded by itself, so a text in pieces
//! is folded as a whole one.

mod fold;
mod offsets;
mod percent;

use std::borrow::Cow;

use self::fold::{Fold, fold};
pub(crate) use self::offsets::Offsets;

/// Invisible characters in a row that are left out; a longer row separates. The bound is
/// what keeps a stream's memory finite.
const MAX_INVISIBLE: usize = 64;

/// A text in which what stands for ASCII is ASCII, and where each byte came from.
#[derive(Debug)]
pub(crate) struct Normalised<'t> {
    /// The text to search.
    pub(crate) text: Cow<'t, str>,
    /// Its bytes' places in the text as it came.
    pub(crate) offsets: Offsets,
}

impl<'t> Normalised<'t> {
    /// Costs nothing for ASCII, and a look at each other character where nothing
    /// changes.
    pub(crate) fn new(text: &'t str) -> Self {
        let changes = !text.is_ascii() && text.chars().any(|c| fold(c) != Fold::Same);
        if !changes && !percent::is_in(text) {
            return Self {
                text: Cow::Borrowed(text),
                offsets: Offsets::default(),
            };
        }
        let mut normaliser = Normaliser::default();
        normaliser.push(text);
        normaliser.finish();
        Self {
            text: Cow::Owned(normaliser.text),
            offsets: normaliser.offsets,
        }
    }
}

/// [`Normalised`] for a text that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct Normaliser {
    /// What was pushed and not cut off, folded.
    pub(crate) text: String,
    /// Its bytes' places among the bytes pushed.
    pub(crate) offsets: Offsets,
    /// Bytes pushed.
    pushed: usize,
    /// Invisible characters in a row so far.
    invisible: usize,
    /// A `%` and the digit after it whose end has not arrived; not part of `text` yet.
    percent: percent::Open,
}

impl Normaliser {
    /// Goes on with `piece`.
    pub(crate) fn push(&mut self, piece: &str) {
        if piece.is_ascii() && !piece.contains('%') && self.percent.is_empty() {
            self.text.push_str(piece);
            self.pushed += piece.len();
            if !piece.is_empty() {
                self.invisible = 0;
            }
            return;
        }
        for c in piece.chars() {
            match self.percent.take(c) {
                percent::Step::Opened(before) => self.plain(&before),
                percent::Step::Closed(ascii) => {
                    let from = self.pushed;
                    self.pushed += 3;
                    self.invisible = 0;
                    self.replace(ascii.encode_utf8(&mut [0; 4]), from);
                }
                percent::Step::Plain(before) => {
                    self.plain(&before);
                    self.one(c);
                }
            }
        }
    }

    /// Nothing follows: what was opened stays as it is.
    pub(crate) fn finish(&mut self) {
        let open = std::mem::take(&mut self.percent);
        self.plain(&open);
    }

    fn plain(&mut self, ascii: &percent::Open) {
        if !ascii.is_empty() {
            self.text.push_str(ascii.as_str());
            self.pushed += ascii.as_str().len();
            self.invisible = 0;
        }
    }

    fn one(&mut self, c: char) {
        let from = self.pushed;
        self.pushed += c.len_utf8();
        let folded = fold(c);
        let is_invisible = folded == Fold::Nothing;
        self.invisible = if is_invisible { self.invisible + 1 } else { 0 };
        match folded {
            Fold::Same => self.text.push(c),
            Fold::Nothing if self.invisible <= MAX_INVISIBLE => {
                self.offsets.skip(self.text.len(), self.pushed);
            }
            Fold::Nothing => self.replace(" ", from),
            Fold::Ascii(ascii) => self.replace(ascii.as_str(), from),
        }
    }

    fn replace(&mut self, ascii: &str, from: usize) {
        self.offsets
            .replace(self.text.len(), ascii.len(), from..self.pushed);
        self.text.push_str(ascii);
    }

    /// Forgets the first `bytes` of the text.
    pub(crate) fn cut(&mut self, bytes: usize) {
        self.text.drain(..bytes);
        self.offsets.cut(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normalised(text: &str) -> String {
        Normalised::new(text).text.into_owned()
    }

    #[test]
    fn what_stands_for_ascii_is_ascii() {
        assert_eq!(normalised("４１１１ ١٢٣ ①② 𝟒𝟏 ＠．"), "4111 123 12 41 @.");
        assert_eq!(normalised("44\u{a0}20\u{2011}79\u{2013}46"), "44 20-79-46");
        assert_eq!(normalised("\u{e0041}\u{e0062}"), "Ab");
    }

    #[test]
    fn what_is_invisible_is_left_out() {
        assert_eq!(normalised("4\u{200b}1\u{ad}1\u{2060}1\u{202e}"), "4111");
        let row = "\u{200b}".repeat(MAX_INVISIBLE + 1);
        assert_eq!(normalised(&format!("4{row}1")), "4 1");
    }

    #[test]
    fn what_a_url_spells_in_hexadecimal_is_spelled_out() {
        assert_eq!(normalised("bob%40example.com"), "bob@example.com");
        assert_eq!(
            normalised("%2B44%2d20 100% 5%20 %zz %4"),
            "+44-20 100% 5%20 %zz %4"
        );
        assert_eq!(normalised("%%41%4"), "%A%4");
    }

    #[test]
    fn other_scripts_and_plain_accents_stay() {
        for text in ["Zoë 语言 Привет café naïve Ωμέγα", "x — y … z · ™"] {
            let kept = normalised(text);
            assert_eq!(kept.replace("TM", "™"), text);
        }
    }

    fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-z0-9 ]{0,5}",
            "[４١\u{200b}①\u{a0}é语\u{e0041}]{0,5}",
            any::<String>(),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn each_span_maps_to_whole_characters_in_order(text in texts()) {
            let normalised = Normalised::new(&text);
            let mut last = 0;
            for (at, c) in normalised.text.char_indices() {
                let span = normalised.offsets.span(at..at + c.len_utf8());
                prop_assert!(last <= span.start && span.start < span.end);
                let original = &text[span.clone()];
                let is_one = original.chars().count() == 1;
                prop_assert!(is_one || original.starts_with('%') && original.len() == 3);
                // One character may fold to several of ASCII.
                last = span.start;
            }
        }

        #[test]
        fn pieces_are_folded_as_a_whole(text in texts(), cuts in prop::collection::vec(0..64usize, 0..6)) {
            let mut normaliser = Normaliser::default();
            let mut from = 0;
            for cut in cuts {
                let to = text.floor_char_boundary((from + cut).min(text.len()));
                normaliser.push(&text[from..to]);
                from = to;
            }
            normaliser.push(&text[from..]);
            normaliser.finish();
            let whole = Normalised::new(&text);
            prop_assert_eq!(&normaliser.text, &whole.text);
            for (at, c) in whole.text.char_indices() {
                let span = at..at + c.len_utf8();
                prop_assert_eq!(normaliser.offsets.span(span.clone()), whole.offsets.span(span));
            }
        }

        #[test]
        fn a_text_that_lost_its_head_maps_as_before(text in texts(), cut in 0..64usize) {
            let mut normaliser = Normaliser::default();
            normaliser.push(&text);
            normaliser.finish();
            let whole = Normalised::new(&text);
            let cut = whole.text.floor_char_boundary(cut.min(whole.text.len()));
            normaliser.cut(cut);
            for (at, c) in normaliser.text.char_indices() {
                let span = at..at + c.len_utf8();
                let before = cut + at..cut + at + c.len_utf8();
                prop_assert_eq!(normaliser.offsets.span(span), whole.offsets.span(before));
            }
        }
    }
}
