//! BERT's tokenizer without the machinery that makes the general one slow.
//!
//! The general tokenizer keeps for each character of a text where it came from, makes
//! a string of every piece that it looks up, and runs at a fraction of a million tokens
//! a second: on a GPU, or in front of a static model, it is what limits the whole. This
//! one does what BERT's pipeline does (Devlin et al., arXiv 1810.04805, and its
//! `BasicTokenizer` and `WordpieceTokenizer`) straight from bytes to ids.
//!
//! It is used for the exact pipeline only, and within it for those words alone whose
//! treatment is known: ASCII, and the characters whose treatment the general tokenizer
//! has shown when the model was loaded. A word with anything else in it, or with a
//! special token written out (`[MASK]`), is left to the general tokenizer.
//! White space always ends a word in both, which is why they can take turns.

use tokenizers::{
    ModelWrapper, NormalizerWrapper, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer as _, PreTokenizerWrapper, normalizers::BertNormalizer,
};

use super::pieces::Pieces;

/// What to do with a byte or a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Not known: the general tokenizer must read the word.
    Unknown,
    /// Ends a word and is left out.
    Space,
    /// A word by itself.
    Alone,
    /// Part of a word.
    Letter,
}

/// The treatment of the characters of a range of Unicode.
struct Block {
    first: u32,
    /// For each character its class and what is written in its place.
    characters: Vec<(Class, Box<str>)>,
}

/// Latin with marks, Greek and Cyrillic; general punctuation.
const BLOCKS: [(u32, u32); 2] = [(0x80, 0x52f), (0x2010, 0x206f)];

/// The Chinese characters of Unicode 1.1, each a word by itself. Newer ones are left to
/// the general tokenizer, whose tables say which of them exist.
const CHINESE: std::ops::RangeInclusive<u32> = 0x4e00..=0x9fa5;

/// An uncertain stretch is handed over when it has so many bytes, so that a text that
/// is far over the limit is not gone through whole.
const MAX_HANDED_OVER: usize = 4 << 10;

/// BERT's tokenizer for the words that it is sure of.
pub(super) struct WordPiece {
    /// For each byte its class and, for letters, what is written in its place.
    ascii: [(Class, u8); 256],
    blocks: Vec<Block>,
    /// Pieces that begin a word.
    beginnings: Pieces,
    /// Pieces that continue one, without their prefix.
    continuations: Pieces,
    /// The id of a word that has no pieces.
    unknown: u32,
    /// A word with more characters is unknown.
    max_chars: usize,
    /// The texts of the special tokens, in lower case, and the bytes that they begin with.
    added: Vec<Box<[u8]>>,
}

impl WordPiece {
    /// The same tokenizer as `general`, or none where that is not exactly BERT's.
    pub(super) fn new(general: &tokenizers::Tokenizer) -> Option<Self> {
        let (
            Some(NormalizerWrapper::BertNormalizer(normalizer)),
            Some(PreTokenizerWrapper::BertPreTokenizer(_)),
            ModelWrapper::WordPiece(model),
        ) = (
            general.get_normalizer(),
            general.get_pre_tokenizer(),
            general.get_model(),
        )
        else {
            return None;
        };
        if !normalizer.clean_text || !normalizer.handle_chinese_chars {
            return None;
        }
        let vocabulary = tokenizers::Model::get_vocab(model);
        let prefix = model.continuing_subword_prefix.as_str();
        let entries = || vocabulary.iter().map(|(piece, id)| (piece.as_str(), *id));
        let continuations = entries().filter_map(|(piece, id)| {
            let rest = piece.strip_prefix(prefix)?;
            (!rest.is_empty()).then_some((rest, id))
        });
        // A token that begins with a letter could begin within a word.
        let added = general.get_added_vocabulary().get_added_tokens_decoder();
        let added = added.values().map(|token| {
            let text = token.content.as_bytes();
            let plain = text.is_ascii() && text.iter().all(u8::is_ascii_graphic);
            let marked = text.first().is_some_and(u8::is_ascii_punctuation);
            (plain && marked).then(|| text.to_ascii_lowercase().into_boxed_slice())
        });
        Some(Self {
            ascii: ascii(normalizer.lowercase),
            blocks: BLOCKS
                .iter()
                .map(|(first, last)| Block::new(*first, *last, normalizer))
                .collect::<Option<_>>()?,
            beginnings: Pieces::new(entries())?,
            continuations: Pieces::new(continuations)?,
            unknown: *vocabulary.get(&model.unk_token)?,
            max_chars: model.max_input_chars_per_word,
            added: added.collect::<Option<_>>()?,
        })
    }

    /// Appends the ids of `text` to `ids` until they are more than `enough`.
    /// `general` does the same for a stretch of the text that this tokenizer leaves to it.
    pub(super) fn tokenize<E>(
        &self,
        text: &str,
        enough: usize,
        ids: &mut Vec<u32>,
        mut general: impl FnMut(&str, &mut Vec<u32>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut word = Word::default();
        let mut at = 0;
        // Where the stretch begins that is to be handed over.
        let mut uncertain = None;
        while at < text.len() && ids.len() <= enough {
            let (end, certain) = self.next_space(text, at);
            if certain {
                if let Some(start) = uncertain.take() {
                    general(&text[start..at], ids)?;
                }
                self.stretch(&text[at..end], enough, &mut word, ids);
            } else {
                let start = *uncertain.get_or_insert(at);
                if end - start >= MAX_HANDED_OVER {
                    general(&text[start..end], ids)?;
                    uncertain = None;
                }
            }
            // The space, if there is one; a stretch that is handed over has it in front.
            at = end;
            while text.as_bytes().get(at).is_some_and(|byte| is_space(*byte)) {
                at += 1;
            }
        }
        match uncertain {
            Some(start) if ids.len() <= enough => general(&text[start..], ids),
            _ => Ok(()),
        }
    }

    /// Where the stretch from `start` to the next white space ends, and whether all in
    /// it is known.
    fn next_space(&self, text: &str, start: usize) -> (usize, bool) {
        let bytes = text.as_bytes();
        let (mut at, mut certain) = (start, true);
        // Marks that are removed can make a special token of what is none as written.
        let (mut wide, mut begun) = (false, false);
        while let Some(byte) = bytes.get(at) {
            match self.ascii[usize::from(*byte)].0 {
                Class::Letter => at += 1,
                Class::Alone => {
                    begun = begun || self.added.iter().any(|token| token[0] == *byte);
                    certain = certain && !(begun && self.is_added(&bytes[at..]));
                    at += 1;
                }
                Class::Space => break,
                Class::Unknown if byte.is_ascii() => {
                    certain = false;
                    at += 1;
                }
                Class::Unknown => {
                    let Some(character) = text[at..].chars().next() else {
                        break;
                    };
                    wide = true;
                    certain = certain && self.wide(character).0 != Class::Unknown;
                    at += character.len_utf8();
                }
            }
        }
        (at, certain && !(wide && begun))
    }

    /// Whether a special token is written out at the beginning of `bytes`. A tokenizer
    /// may look for it in the text as it is or in lower case; both count.
    fn is_added(&self, bytes: &[u8]) -> bool {
        self.added.iter().any(|token| {
            let found = bytes.get(..token.len());
            found.is_some_and(|found| found.eq_ignore_ascii_case(token))
        })
    }

    /// Tokenizes a stretch in which all is known.
    fn stretch(&self, text: &str, enough: usize, word: &mut Word, ids: &mut Vec<u32>) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let (class, lower) = self.ascii[usize::from(*byte)];
            if class == Class::Letter {
                word.push(lower, self.max_chars);
                at += 1;
                continue;
            }
            if class == Class::Alone {
                self.finish(word, ids);
                word.push(*byte, self.max_chars);
                self.finish(word, ids);
                at += 1;
            } else {
                let Some(character) = text[at..].chars().next() else {
                    break;
                };
                self.wide_character(character, word, ids);
                at += character.len_utf8();
            }
            if ids.len() > enough {
                return;
            }
        }
        self.finish(word, ids);
    }

    fn wide_character(&self, character: char, word: &mut Word, ids: &mut Vec<u32>) {
        let mut buffer = [0; 4];
        let (class, written) = self.wide(character);
        let written = match written {
            Some(written) => written,
            None => character.encode_utf8(&mut buffer),
        };
        match class {
            Class::Letter => word.push_str(written, self.max_chars),
            Class::Alone => {
                self.finish(word, ids);
                word.push_str(written, self.max_chars);
                self.finish(word, ids);
            }
            Class::Space | Class::Unknown => self.finish(word, ids),
        }
    }

    /// A character beyond ASCII: its class and, where it does not stay what it is, what
    /// is written in its place.
    fn wide(&self, character: char) -> (Class, Option<&str>) {
        let code = u32::from(character);
        if CHINESE.contains(&code) {
            return (Class::Alone, None);
        }
        let found = self.blocks.iter().find_map(|block| {
            let index = usize::try_from(code.checked_sub(block.first)?).ok()?;
            block.characters.get(index)
        });
        match found {
            Some((class, written)) => (*class, Some(written)),
            None => (Class::Unknown, None),
        }
    }

    /// Appends the ids of a word's pieces, the longest first, and empties it.
    fn finish(&self, word: &mut Word, ids: &mut Vec<u32>) {
        if word.bytes.is_empty() {
            return;
        }
        let before = ids.len();
        let mut rest = word.bytes.as_slice();
        let mut pieces = &self.beginnings;
        let too_long = word.chars > self.max_chars;
        while !too_long && !rest.is_empty() {
            let Some((id, length)) = pieces.longest(rest) else {
                break;
            };
            ids.push(id);
            rest = &rest[length..];
            pieces = &self.continuations;
        }
        if too_long || !rest.is_empty() {
            ids.truncate(before);
            ids.push(self.unknown);
        }
        word.bytes.clear();
        word.chars = 0;
    }
}

/// The word that is being read.
#[derive(Default)]
struct Word {
    bytes: Vec<u8>,
    chars: usize,
}

impl Word {
    /// Adds an ASCII character; nothing is kept of a word that is too long.
    fn push(&mut self, byte: u8, max_chars: usize) {
        if self.chars <= max_chars {
            self.bytes.push(byte);
            self.chars += 1;
        }
    }

    fn push_str(&mut self, text: &str, max_chars: usize) {
        if self.chars <= max_chars {
            self.bytes.extend_from_slice(text.as_bytes());
            self.chars += text.chars().count();
        }
    }
}

/// White space that no normalisation removes; form feed and its like are removed.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn ascii(lowercase: bool) -> [(Class, u8); 256] {
    let mut table = [(Class::Unknown, 0); 256];
    for (byte, entry) in (0_u8..128).zip(&mut table) {
        *entry = match byte {
            _ if is_space(byte) => (Class::Space, b' '),
            _ if byte.is_ascii_punctuation() => (Class::Alone, byte),
            _ if byte.is_ascii_uppercase() && lowercase => {
                (Class::Letter, byte.to_ascii_lowercase())
            }
            _ if byte.is_ascii_alphanumeric() => (Class::Letter, byte),
            _ => (Class::Unknown, byte),
        };
    }
    table
}

impl Block {
    /// Learns each character's treatment from the general tokenizer.
    fn new(first: u32, last: u32, normalizer: &BertNormalizer) -> Option<Self> {
        let characters = (first..=last).map(|code| {
            let shown = char::from_u32(code).and_then(|c| learn(c, normalizer));
            shown.unwrap_or((Class::Unknown, "".into()))
        });
        Some(Self {
            first,
            characters: characters.collect(),
        })
    }
}

/// What becomes of a character between two letters. Characters are normalised one by
/// one: decomposition (Unicode Standard Annex 15) reorders marks only, of which those
/// that move are removed.
fn learn(character: char, normalizer: &BertNormalizer) -> Option<(Class, Box<str>)> {
    use tokenizers::Normalizer as _;

    let mut text = PreTokenizedString::from(format!("a{character}a"));
    text.normalize(|part| normalizer.normalize(part)).ok()?;
    let bert = tokenizers::pre_tokenizers::bert::BertPreTokenizer;
    bert.pre_tokenize(&mut text).ok()?;
    let splits = text.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
    let words: Vec<&str> = splits.iter().map(|(word, _, _)| *word).collect();
    match words.as_slice() {
        [word] => {
            let inner = word.strip_prefix('a')?.strip_suffix('a')?;
            Some((Class::Letter, inner.into()))
        }
        ["a", "a"] => Some((Class::Space, "".into())),
        // One that becomes ASCII could begin a special token.
        ["a", alone, "a"] if !alone.is_ascii() => Some((Class::Alone, (*alone).into())),
        _ => None,
    }
}
