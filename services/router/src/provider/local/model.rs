//! The loaded model: weights, tokenizer and chat template of one GGUF file.

use std::{
    fs::File,
    io::{BufReader, ErrorKind},
    path::Path,
};

use candle_core::{Device, Tensor, quantized::gguf_file::Content};
use candle_transformers::models::quantized_llama::{MAX_SEQ_LEN, ModelWeights};

use super::{
    LoadError,
    prompt::{self, PromptError},
    template::ChatTemplate,
    tokenizer::ModelTokenizer,
    weights,
};
use crate::chat::Message;

/// A language model, shared by all answers. Immutable: what an answer changes is in
/// its [`Run`].
pub(super) struct LanguageModel {
    weights: ModelWeights,
    tokenizer: ModelTokenizer,
    template: ChatTemplate,
    context: usize,
    end: u32,
}

/// One answer's own state: a key-value cache over shared weights.
pub(super) struct Run {
    weights: ModelWeights,
    position: usize,
}

impl LanguageModel {
    /// Reads a GGUF file. Takes a good part of a second; call it off the runtime.
    pub(super) fn load(path: &Path) -> Result<Self, LoadError> {
        let damaged = |detail: String| LoadError::Damaged {
            path: path.to_owned(),
            detail,
        };
        let unsupported = |detail: String| LoadError::Unsupported {
            path: path.to_owned(),
            detail,
        };
        let file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => LoadError::Missing {
                path: path.to_owned(),
            },
            _ => LoadError::Unreadable {
                path: path.to_owned(),
                detail: error.to_string(),
            },
        })?;
        let mut file = BufReader::with_capacity(1 << 20, file);
        let content = Content::read(&mut file).map_err(|error| damaged(error.to_string()))?;

        let metadata_text = |key: &str| {
            let value = content.metadata.get(key);
            value.and_then(|value| value.to_string().ok().cloned())
        };
        let metadata_u32 = |key: &str| {
            let value = content.metadata.get(key);
            value.and_then(|value| value.to_u32().ok())
        };
        let architecture = metadata_text("general.architecture").unwrap_or_default();
        if architecture != "llama" {
            return Err(unsupported(format!("its architecture is `{architecture}`")));
        }
        let template = metadata_text("tokenizer.chat_template")
            .ok_or_else(|| unsupported("it has no chat template".to_owned()))?;
        let end = metadata_u32("tokenizer.ggml.eos_token_id")
            .ok_or_else(|| unsupported("it names no end-of-sequence token".to_owned()))?;
        let trained = metadata_u32("llama.context_length")
            .and_then(|length| usize::try_from(length).ok())
            .ok_or_else(|| unsupported("it names no context length".to_owned()))?;
        let tokenizer = ModelTokenizer::from_gguf(&content).map_err(unsupported)?;
        let weights =
            weights::load(content, &mut file).map_err(|error| damaged(error.to_string()))?;
        Ok(Self {
            weights,
            tokenizer,
            template: ChatTemplate::new(template),
            context: trained.min(MAX_SEQ_LEN),
            end,
        })
    }

    /// Tokens that prompt and answer may take together, at most `wanted`.
    pub(super) fn context_limit(&self, wanted: usize) -> usize {
        self.context.min(wanted)
    }

    /// The prompt's token ids, fewer than `context`.
    pub(super) fn encode(
        &self,
        messages: &[Message],
        context: usize,
    ) -> Result<Vec<u32>, PromptError> {
        prompt::encode(messages, &self.template, &self.tokenizer, context)
    }

    /// The bytes of a generated token, or `None` where it ends the answer: the
    /// end-of-sequence token, or another control token, none of which has a place
    /// inside an assistant's turn.
    pub(super) fn text_of(&self, token: u32) -> Option<&[u8]> {
        let ends = token == self.end || self.tokenizer.is_control(token);
        (!ends).then(|| self.tokenizer.bytes(token))
    }

    /// A fresh run. Cheap: the weights are shared, and the cache starts empty.
    pub(super) fn run(&self) -> Run {
        Run {
            weights: self.weights.clone(),
            position: 0,
        }
    }
}

impl Run {
    /// Reads `tokens` and gives the scores of what follows, `[vocabulary]`.
    pub(super) fn read(&mut self, tokens: &[u32]) -> candle_core::Result<Vec<f32>> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let scores = self.weights.forward(&input, self.position)?;
        self.position += tokens.len();
        scores.squeeze(0)?.to_vec1()
    }
}

#[cfg(test)]
mod tests;
