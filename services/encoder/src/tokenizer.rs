//! Text to token ids, cut at the model's limit.
//!
//! `tokenizer.json` may carry truncation and padding of its own (the one of
//! all-MiniLM-L6-v2 pads to 128 and cuts there, though the model is used with
//! 256); both are switched off, so that a cut is seen and reported.

use std::path::Path;

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
pub(crate) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    max_tokens: usize,
    vocabulary: u32,
}

impl Tokenizer {
    /// Loads `tokenizer.json`. `vocabulary` is the number of ids that the model
    /// has embeddings for, `max_tokens` counts special tokens.
    pub(crate) fn load(
        path: &Path,
        vocabulary: usize,
        max_tokens: usize,
    ) -> Result<Self, LoadError> {
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
        Ok(Self {
            inner,
            prefix,
            suffix,
            max_tokens,
            vocabulary: u32::try_from(vocabulary).unwrap_or(u32::MAX),
        })
    }

    /// Tokenizes a text. Time is bounded for texts with ASCII words: what lies
    /// beyond the limit is not read.
    pub(crate) fn tokenize(&self, text: &str) -> Result<Tokenized, EncodeError> {
        let room = self.room();
        let mut content: Vec<u32> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() && content.len() <= room {
            let (window, after) = rest.split_at(window_end(rest, self.max_tokens * WINDOW_BYTES));
            let encoding = self
                .inner
                .encode_fast(window, false)
                .map_err(|error| EncodeError::Tokenizer(error.to_string()))?;
            content.extend_from_slice(encoding.get_ids());
            rest = after;
        }
        Ok(self.finish(&content))
    }

    /// Takes content ids that a caller brought, special tokens not included.
    pub(crate) fn accept(&self, ids: &[u32]) -> Result<Tokenized, TokenIdError> {
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

    fn finish(&self, content: &[u32]) -> Tokenized {
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

/// Where the first window of `text` ends: at the first place from `least` on where
/// an ASCII letter or digit follows ASCII white space, or at the text's end. No
/// token reaches across such a place and no normalisation looks across it, so the
/// windows' tokens are the text's.
fn window_end(text: &str, least: usize) -> usize {
    let bytes = text.as_bytes();
    (least.max(1)..bytes.len())
        .find(|&i| bytes[i - 1].is_ascii_whitespace() && bytes[i].is_ascii_alphanumeric())
        .unwrap_or(bytes.len())
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
    use super::window_end;

    #[test]
    fn a_window_ends_only_where_a_word_begins() {
        assert_eq!(window_end("one two three", 2), 4);
        assert_eq!(window_end("one two three", 4), 4);
        assert_eq!(window_end("one two three", 5), 8);
        assert_eq!(window_end("one", 5), 3);
        assert_eq!(window_end("", 5), 0);
    }

    #[test]
    fn a_combining_mark_stays_with_the_space_before_it() {
        let text = "ab \u{301}cd ef";
        assert_eq!(&text[window_end(text, 1)..], "ef");
    }
}
