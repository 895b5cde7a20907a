//! A loaded model: the one type that the services use.

use std::{num::NonZeroUsize, path::Path, sync::atomic::AtomicBool, thread};

use crate::{
    architecture,
    arithmetic::Arithmetic,
    backend::{Backend, Cpu},
    config::ModelConfig,
    error::{EncodeError, LoadError, TokenIdError},
    pooling::Pooling,
    tokenizer::{Tokenized, Tokenizer},
};

/// How to run a model. The defaults fit a machine that the encoder has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderOptions {
    /// Threads that compute at the same time, shared by all calls of
    /// [`Encoder::encode`]; a call's own thread is one of them.
    pub threads: NonZeroUsize,
    /// Tokens in work at a time on each thread; at about 8 KB a token for
    /// all-MiniLM-L6-v2 this bounds the memory. A single longer text still fits.
    pub group_tokens: NonZeroUsize,
    /// The numbers that the linear layers multiply.
    pub arithmetic: Arithmetic,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self {
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            group_tokens: NonZeroUsize::MIN.saturating_add(255),
            arithmetic: Arithmetic::default(),
        }
    }
}

/// What a model takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Length of its vectors.
    pub dimensions: usize,
    /// Longest input in tokens, special tokens included; the rest is cut.
    pub max_tokens: usize,
    /// How token vectors become one.
    pub pooling: Pooling,
}

/// A model, its tokenizer and the device that it runs on.
pub struct Encoder {
    info: ModelInfo,
    vocabulary: usize,
    tokenizer: Tokenizer,
    backend: Box<dyn Backend>,
}

impl Encoder {
    /// Loads the model in `dir` with default options. The folder holds
    /// `model.safetensors`, `tokenizer.json`, `config.json` and
    /// `sentence_bert_config.json`; the pooling is the mean unless
    /// `1_Pooling/config.json` or `pooling.json` says otherwise.
    ///
    /// # Errors
    ///
    /// [`LoadError`] names the file at fault and what to do about it.
    pub fn load(dir: &Path) -> Result<Self, LoadError> {
        Self::load_with(dir, EncoderOptions::default())
    }

    /// As [`Encoder::load`], with options.
    ///
    /// # Errors
    ///
    /// [`LoadError`] names the file at fault and what to do about it.
    pub fn load_with(dir: &Path, options: EncoderOptions) -> Result<Self, LoadError> {
        let config = ModelConfig::load(dir)?;
        let path = dir.join("tokenizer.json");
        let tokenizer = Tokenizer::load(&path, config.vocabulary, config.max_tokens)?;
        let backend = Cpu::new(
            architecture::load(dir, &config, options.arithmetic)?,
            config.pooling,
            options.threads,
            options.group_tokens,
        )?;
        Ok(Self {
            info: ModelInfo {
                dimensions: config.hidden,
                max_tokens: config.max_tokens,
                pooling: config.pooling,
            },
            vocabulary: config.vocabulary,
            tokenizer,
            backend: Box::new(backend),
        })
    }

    /// What the model takes and gives.
    pub fn info(&self) -> ModelInfo {
        self.info
    }

    /// Turns a text into token ids, special tokens included, cut at the model's
    /// limit. An empty text is its special tokens alone.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Tokenizer`] if the tokenizer refuses the text; the tokenizers
    /// of BERT models take any.
    pub fn tokenize(&self, text: &str) -> Result<Tokenized, EncodeError> {
        self.tokenizer.tokenize(text)
    }

    /// Takes ids of the model's own vocabulary in place of a text, special tokens
    /// not included: adds those, cuts at the model's limit.
    ///
    /// # Errors
    ///
    /// [`TokenIdError`] if there is no id, or one outside the vocabulary.
    pub fn accept_ids(&self, ids: &[u32]) -> Result<Tokenized, TokenIdError> {
        self.tokenizer.accept(ids)
    }

    /// Computes one vector `[dimensions]` of length 1 for each text, in order.
    /// Blocks for as long as that takes; set `cancel` from another thread to stop it
    /// within a layer's time. Calls at the same time share the encoder's threads.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Cancelled`] once `cancel` is set;
    /// [`EncodeError::ForeignSequence`] for ids that are not of this encoder.
    pub fn encode(
        &self,
        texts: &[Tokenized],
        cancel: &AtomicBool,
    ) -> Result<Vec<Vec<f32>>, EncodeError> {
        let fits = |ids: &[u32]| {
            (1..=self.info.max_tokens).contains(&ids.len())
                && ids.iter().all(|id| (*id as usize) < self.vocabulary)
        };
        match texts.iter().position(|text| !fits(text.ids())) {
            Some(index) => Err(EncodeError::ForeignSequence { index }),
            None => self.backend.encode(texts, cancel),
        }
    }
}
