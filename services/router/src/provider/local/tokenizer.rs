//! The model's tokenizer, built from the GGUF file's own vocabulary.
//!
//! candle can build one too, but it does not know the `smollm` pre-tokenizer and falls
//! back to GPT-2 with a leading space added, which gives other tokens than the model
//! was trained on. `smollm` is: every digit alone, then GPT-2's byte level split
//! without a leading space (as llama.cpp's `LLAMA_VOCAB_PRE_TYPE_SMOLLM`, whose token
//! ids the tests hold).
//!
//! Control tokens such as `<|im_end|>` are left out of the tokenizer on purpose: text
//! that spells one becomes ordinary tokens. Only the chat template may place them.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::{Content, Value};
use tokenizers::{
    Tokenizer,
    models::bpe::{BPE, Vocab},
    pre_tokenizers::{
        PreTokenizerWrapper, byte_level::ByteLevel, digits::Digits, sequence::Sequence,
    },
};

/// `tokenizer.ggml.token_type` of a control token (llama.cpp's `LLAMA_TOKEN_TYPE_CONTROL`).
const CONTROL: i64 = 3;

/// Text to token ids and token ids to bytes.
pub(super) struct ModelTokenizer {
    inner: Tokenizer,
    /// Each token's bytes; empty for a control token.
    bytes: Vec<Box<[u8]>>,
    /// Control tokens by their spelling.
    control: HashMap<String, u32>,
    /// The most bytes that one token stands for.
    longest: usize,
}

impl ModelTokenizer {
    /// The tokenizer in this file's metadata, or what is wrong with that.
    pub(super) fn from_gguf(content: &Content) -> Result<Self, String> {
        let kind = text(content, "tokenizer.ggml.model")?;
        let pre = text(content, "tokenizer.ggml.pre")?;
        if kind != "gpt2" || pre != "smollm" {
            return Err(format!(
                "its tokenizer is `{kind}` with pre-tokenizer `{pre}`, not `gpt2` with `smollm`"
            ));
        }
        let tokens = strings(content, "tokenizer.ggml.tokens")?;
        let control = control_tokens(content, &tokens)?;
        let bytes = token_bytes(&tokens, &control)?;
        Ok(Self {
            inner: byte_pair_encoder(&tokens, &strings(content, "tokenizer.ggml.merges")?)?,
            longest: bytes
                .iter()
                .map(|bytes| bytes.len())
                .max()
                .unwrap_or(1)
                .max(1),
            bytes,
            control,
        })
    }

    /// The tokens of plain text. Nothing in it is special.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, tokenizers::Error> {
        let encoding = self.inner.encode_fast(text, false)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// What a token stands for; nothing for a control token or an unknown id.
    pub(super) fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], |bytes| bytes)
    }

    /// The control tokens by their spelling, such as `<|im_end|>`.
    pub(super) fn control(&self) -> &HashMap<String, u32> {
        &self.control
    }

    /// Whether a token can be no part of a text.
    pub(super) fn is_control(&self, token: u32) -> bool {
        self.bytes(token).is_empty()
    }

    /// The most bytes that one token stands for.
    pub(super) fn longest_token(&self) -> usize {
        self.longest
    }
}

fn byte_pair_encoder(tokens: &[String], merges: &[String]) -> Result<Tokenizer, String> {
    let vocabulary: Vocab = tokens.iter().cloned().zip(0..).collect();
    let merges = merges
        .iter()
        .map(|merge| merge.split_once(' '))
        .map(|pair| pair.map(|(left, right)| (left.to_owned(), right.to_owned())))
        .collect::<Option<Vec<_>>>()
        .ok_or("a merge rule of its tokenizer has no second part")?;
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .build()
        .map_err(|error| format!("its tokenizer is inconsistent: {error}"))?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![
        PreTokenizerWrapper::Digits(Digits::new(true)),
        PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, true)),
    ])));
    Ok(tokenizer)
}

fn control_tokens(content: &Content, tokens: &[String]) -> Result<HashMap<String, u32>, String> {
    let key = "tokenizer.ggml.token_type";
    let kinds = array(content, key)?;
    if kinds.len() != tokens.len() {
        return Err(format!("{key} and the vocabulary differ in length"));
    }
    let is_control = |value: &Value| value.to_i32().is_ok_and(|kind| i64::from(kind) == CONTROL);
    Ok((0..)
        .zip(tokens)
        .zip(kinds)
        .filter(|(_, kind)| is_control(kind))
        .map(|((id, token), _)| (token.clone(), id))
        .collect())
}

fn token_bytes(
    tokens: &[String],
    control: &HashMap<String, u32>,
) -> Result<Vec<Box<[u8]>>, String> {
    let alphabet = byte_alphabet();
    let decode = |token: &String| {
        if control.contains_key(token) {
            return Ok(Box::default());
        }
        token
            .chars()
            .map(|letter| alphabet.get(&letter).copied())
            .collect::<Option<Box<[u8]>>>()
            .ok_or_else(|| format!("token {token:?} is not in GPT-2's byte alphabet"))
    };
    tokens.iter().map(decode).collect()
}

/// GPT-2 writes each byte as one printable character: printable Latin-1 as itself, the
/// other 68 in order as U+0100 and up (`bytes_to_unicode` in its encoder).
fn byte_alphabet() -> HashMap<char, u8> {
    let printable = |byte: &u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let itself = (0..=u8::MAX)
        .filter(printable)
        .map(|byte| (char::from(byte), byte));
    let shifted = ('\u{100}'..).zip((0..=u8::MAX).filter(|byte| !printable(byte)));
    itself.chain(shifted).collect()
}

fn text<'a>(content: &'a Content, key: &str) -> Result<&'a str, String> {
    let value = content.metadata.get(key);
    match value.map(Value::to_string) {
        Some(Ok(text)) => Ok(text),
        _ => Err(format!("it has no text under the metadata key {key}")),
    }
}

fn array<'a>(content: &'a Content, key: &str) -> Result<&'a [Value], String> {
    let value = content.metadata.get(key);
    match value.map(Value::to_vec) {
        Some(Ok(values)) => Ok(values),
        _ => Err(format!("it has no list under the metadata key {key}")),
    }
}

fn strings(content: &Content, key: &str) -> Result<Vec<String>, String> {
    array(content, key)?
        .iter()
        .map(|value| value.to_string().cloned())
        .collect::<Result<_, _>>()
        .map_err(|_| format!("an entry under the metadata key {key} is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_alphabet_writes_every_byte_as_one_letter() {
        let alphabet = byte_alphabet();
        assert_eq!(alphabet.len(), 256);
        assert_eq!(alphabet.get(&'a'), Some(&b'a'));
        assert_eq!(alphabet.get(&'Ġ'), Some(&b' '));
        assert_eq!(alphabet.get(&'Ċ'), Some(&b'\n'));
        assert_eq!(alphabet.get(&'\u{143}'), Some(&0xad));
    }
}
