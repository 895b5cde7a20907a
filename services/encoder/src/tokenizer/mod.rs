//! Text to token ids, cut at the model's limit.
//!
//! `tokenizer.json` may carry truncation and padding of its own (the one of
//! all-MiniLM-L6-v2 pads to 128 and cuts there, though the model is used with
//! 256); both are switched off, so that a cut is seen and reported.
//!
//! The `tokenizers` crate reads every model's file and can tokenize every text. For
//! BERT's pipeline, `wordpiece` does most of the work in its place.

mod pieces;
mod wordpiece;

use std::path::Path;

use tokenizers::{ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

use self::wordpiece::WordPiece;
use crate::{
    error::{EncodeError, LoadError, TokenIdError},
    json,
};

/// A text as token ids, special tokens included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokenized {
    ids: Vec<u32>,
    truncated: bool,
}

impl Tokenized {
    /// Ids that are complete, special tokens included. An [`crate::Encoder`] refuses
    /// ids that are not its own.
    pub fn new(ids: Vec<u32>, truncated: bool) -> Self {
        Self { ids, truncated }
    }

    /// The ids, special tokens included.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Whether the text was longer than the model's limit and was cut.
    pub fn truncated(&self) -> bool {
        self.truncated
    }
}

/// The model's tokenizer, between the special tokens that the model expects.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    fast: Option<WordPiece>,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    max_tokens: usize,
    vocabulary: u32,
    /// Bytes to tokenize at a time; none where windows cannot be cut safely.
    window: Option<usize>,
    /// A token that is left out of texts, as static models do with unknown words.
    left_out: Option<u32>,
    /// What a text without tokens has, where it has no special ones either.
    nothing: Option<u32>,
}

impl Tokenizer {
    /// Loads `tokenizer.json`. `vocabulary` is the number of ids that the model
    /// has embeddings for, `max_tokens` counts special tokens.
    ///
    /// # Errors
    ///
    /// [`LoadError`] names what is wrong with the file.
    pub fn load(path: &Path, vocabulary: usize, max_tokens: usize) -> Result<Self, LoadError> {
        let malformed = |detail: String| LoadError::Malformed {
            path: path.to_owned(),
            detail,
        };
        let bytes = json::read(path)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(&bytes)
            .map_err(|error| malformed(error.to_string()))?;
        drop(bytes);
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|error| malformed(error.to_string()))?;

        let size = inner.get_vocab_size(true);
        if size > vocabulary {
            return Err(LoadError::Unsupported {
                path: path.to_owned(),
                key: "model.vocab",
                value: format!("{size} tokens"),
                supported: format!("at most `vocab_size` of config.json, {vocabulary}"),
            });
        }
        let (prefix, suffix) = special_tokens(&inner)
            .ok_or_else(|| malformed("it does not keep a text between special tokens".into()))?;
        if prefix.len() + suffix.len() >= max_tokens {
            let detail = format!("its special tokens leave no room within {max_tokens} tokens");
            return Err(malformed(detail));
        }
        let bert = matches!(
            inner.get_pre_tokenizer(),
            Some(PreTokenizerWrapper::BertPreTokenizer(_))
        );
        Ok(Self {
            window: bert.then_some(max_tokens * WINDOW_BYTES),
            fast: WordPiece::new(&inner),
            inner,
            prefix,
            suffix,
            max_tokens,
            vocabulary: u32::try_from(vocabulary).unwrap_or(u32::MAX),
            left_out: None,
            nothing: None,
        })
    }

    /// The same tokenizer for a static model: no special tokens, unknown words are left
    /// out, and a text without tokens has the one id beyond the vocabulary.
    #[must_use]
    pub(crate) fn for_table(self) -> Self {
        let unknown = match self.inner.get_model() {
            ModelWrapper::WordPiece(model) => Some(model.unk_token.clone()),
            ModelWrapper::WordLevel(model) => Some(model.unk_token.clone()),
            _ => None,
        };
        Self {
            left_out: unknown.and_then(|token| self.inner.token_to_id(&token)),
            nothing: Some(self.vocabulary),
            prefix: Vec::new(),
            suffix: Vec::new(),
            ..self
        }
    }

    /// Whether texts are written in lower case anyway.
    pub(crate) fn lowercases(&self) -> bool {
        matches!(self.inner.get_normalizer(),
            Some(NormalizerWrapper::BertNormalizer(normalizer)) if normalizer.lowercase)
    }

    /// The same tokenizer by the `tokenizers` crate alone, which the fast path is held
    /// to and measured against.
    #[must_use]
    pub fn by_crate_alone(self) -> Self {
        Self { fast: None, ..self }
    }

    /// Whether the fast path takes part.
    pub fn is_fast(&self) -> bool {
        self.fast.is_some()
    }

    /// Tokenizes a text, special tokens included, cut at the model's limit. What lies
    /// beyond the limit is not read.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Tokenizer`] if the tokenizer refuses the text.
    pub fn tokenize(&self, text: &str) -> Result<Tokenized, EncodeError> {
        // English has about 4 bytes to a token.
        let likely = (text.len() / 4).min(self.room()) + 2;
        let mut content: Vec<u32> = Vec::with_capacity(likely);
        let general = |part: &str, content: &mut Vec<u32>| self.in_windows(part, content);
        match &self.fast {
            Some(fast) => fast.tokenize(text, self.enough(), &mut content, general)?,
            None => general(text, &mut content)?,
        }
        if let Some(left_out) = self.left_out {
            content.retain(|id| *id != left_out);
        }
        Ok(self.finish(&content))
    }

    /// Appends the ids of a text, as many as the limit needs, window by window: the
    /// crate takes more than 100 bytes of memory for each byte of text.
    fn in_windows(&self, text: &str, content: &mut Vec<u32>) -> Result<(), EncodeError> {
        let enough = self.enough();
        let mut rest = text;
        while !rest.is_empty() && content.len() <= enough {
            let mut window = rest;
            if let Some(bytes) = self.window {
                (window, rest) = rest.split_at(window_end(rest, bytes));
                window = &window[..window.floor_char_boundary(MAX_WINDOW_BYTES)];
            } else {
                rest = "";
            }
            let encoding = self
                .inner
                .encode_fast(window, false)
                .map_err(|error| EncodeError::Tokenizer(error.to_string()))?;
            content.extend_from_slice(encoding.get_ids());
        }
        Ok(())
    }

    /// Takes content ids that a caller brought, special tokens not included.
    ///
    /// # Errors
    ///
    /// [`TokenIdError`] if there is no id, or one outside the vocabulary.
    pub fn accept(&self, ids: &[u32]) -> Result<Tokenized, TokenIdError> {
        if ids.is_empty() {
            return Err(TokenIdError::Empty);
        }
        if let Some(position) = ids.iter().position(|id| *id >= self.vocabulary) {
            return Err(TokenIdError::OutOfRange {
                position,
                id: ids[position],
                last: self.vocabulary - 1,
            });
        }
        Ok(self.finish(ids))
    }

    fn room(&self) -> usize {
        self.max_tokens - self.prefix.len() - self.suffix.len()
    }

    /// With more ids than this, a text is read far enough. Where some are left out, it is
    /// read up to four times as far for others to take their place.
    fn enough(&self) -> usize {
        self.room() * if self.left_out.is_some() { 4 } else { 1 }
    }

    fn finish(&self, content: &[u32]) -> Tokenized {
        if let (Some(nothing), []) = (self.nothing, content) {
            return Tokenized {
                ids: vec![nothing],
                truncated: false,
            };
        }
        let kept = &content[..content.len().min(self.room())];
        Tokenized {
            ids: [&self.prefix, kept, &self.suffix].concat(),
            truncated: kept.len() < content.len(),
        }
    }
}

/// Bytes of text per token of the limit that are tokenized at a time. English has
/// about 4 bytes to a token, so one window almost always passes the limit.
const WINDOW_BYTES: usize = 16;

/// A window with no place to cut is read this far. BERT makes one unknown token of
/// a word with over 100 characters, so what is left out of it changes nothing.
const MAX_WINDOW_BYTES: usize = 32 << 10;

/// Where the first window of `text` ends: at the first safe place from `least` bytes
/// on, or at the text's end.
fn window_end(text: &str, least: usize) -> usize {
    let start = text.floor_char_boundary(least);
    let mut before = text[..start].chars().next_back();
    for (offset, after) in text[start..].char_indices() {
        if before.is_some_and(|before| is_safe_cut(before, after)) {
            return start + offset;
        }
        before = Some(after);
    }
    text.len()
}

/// Whether BERT's tokenizer gives the same tokens for a text and for its two parts
/// around this place: no token reaches across it, no normalisation looks across it,
/// and no special token written out in the text (`[MASK]`) has such a place inside.
fn is_safe_cut(before: char, after: char) -> bool {
    // Form feed and its like are removed, not read as white space.
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let is_own_token = matches!(after,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' // Chinese characters
        | '\u{3001}' | '\u{3002}' | '\u{ff01}' | '\u{ff0c}' | '\u{ff1f}'); // 、。！，？
    let ends = is_space(before) || (before.is_ascii_punctuation() && before != '[');
    is_space(after) || is_own_token || (ends && after.is_ascii())
}

/// The ids that the tokenizer puts before and after a text.
fn special_tokens(tokenizer: &tokenizers::Tokenizer) -> Option<(Vec<u32>, Vec<u32>)> {
    let bare = tokenizer.encode_fast("a", false).ok()?;
    let full = tokenizer.encode_fast("a", true).ok()?;
    let (bare, full) = (bare.get_ids(), full.get_ids());
    if bare.is_empty() {
        return None;
    }
    let start = full.windows(bare.len()).position(|part| part == bare)?;
    let (prefix, rest) = full.split_at(start);
    Some((prefix.to_vec(), rest[bare.len()..].to_vec()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A small BERT tokenizer; `{window}` bytes are read at a time.
    fn tokenizer(window: Option<usize>) -> Tokenizer {
        let words = "[UNK] [CLS] [SEP] [MASK] a b ab ##a ##b ##ab ! [ ] mask \u{4e2d} \u{3002} e";
        let vocab: serde_json::Value = words.split(' ').enumerate().map(|(i, w)| (w, i)).collect();
        let special = |id: u32, content: &str| {
            json!({"id": id, "content": content, "special": true, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false})
        };
        let json = json!({
            "version": "1.0", "truncation": null, "padding": null, "decoder": null,
            "added_tokens": [special(1, "[CLS]"), special(2, "[SEP]"), special(3, "[MASK]")],
            "normalizer": {"type": "BertNormalizer", "clean_text": true,
                "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": vocab,
                "continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
        });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokenizer.json");
        fs::write(&path, json.to_string()).unwrap();
        Tokenizer {
            window,
            ..Tokenizer::load(&path, 17, 1000).unwrap()
        }
    }

    proptest! {
        #[test]
        fn windows_of_any_size_give_the_tokens_of_the_whole_text(
            parts in prop::collection::vec(
                prop_oneof![
                    Just("[MASK]".to_owned()),
                    "[ab!\\[\\] \t\n\x0c\x00\u{85}\u{4e2d}\u{3002}e\u{301}\u{e9}\u{200b}]{1,6}",
                    "\\PC{1,3}",
                ],
                0..20,
            ),
            window in 1usize..9,
        ) {
            let text = parts.concat();
            let whole = tokenizer(None).tokenize(&text).unwrap();
            prop_assert_eq!(tokenizer(Some(window)).tokenize(&text).unwrap(), whole);
        }
    }

    #[test]
    fn a_word_longer_than_any_window_is_one_unknown_token() {
        let text = format!("a {} b", "\u{1f600}".repeat(MAX_WINDOW_BYTES));
        let found = tokenizer(Some(8)).tokenize(&text).unwrap();
        assert_eq!(found.ids(), [1, 4, 0, 5, 2]);
    }

    #[test]
    fn a_cut_never_falls_within_a_special_token_or_before_a_combining_mark() {
        assert_eq!(window_end("[MASK]", 1), 6);
        assert_eq!(window_end("a \u{301}b c", 2), 5);
        assert_eq!(window_end("one two", 1), 3);
        assert_eq!(window_end("", 5), 0);
    }
}
