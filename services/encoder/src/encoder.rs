//! A loaded model: the one type that the services use.

use std::{num::NonZeroUsize, path::Path, sync::atomic::AtomicBool, thread, time::Duration};

use crate::{
    architecture,
    arithmetic::Arithmetic,
    backend::{Backend, Cpu},
    config::{Family, ModelConfig},
    error::{EncodeError, LoadError, TokenIdError},
    pooling::Pooling,
    prompt::{InputType, Prompts},
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Length of its vectors.
    pub dimensions: usize,
    /// Longest input in tokens, special tokens included; the rest is cut.
    pub max_tokens: usize,
    /// How token vectors become one.
    pub pooling: Pooling,
    /// Whether the model's own last step scales vectors to length 1. The encoder does so
    /// in any case: a cosine is the same, and callers rely on it.
    pub normalised: bool,
    /// What goes in front of a text.
    pub prompts: Prompts,
    /// Shorter lengths that vectors may be cut to and scaled again (matryoshka, arXiv
    /// 2205.13147), in falling order; none where the model was not trained for it.
    pub matryoshka_dimensions: Vec<usize>,
}

/// What [`Encoder::encode_here`] came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    /// One vector `[dimensions]` of length 1 for each text, in order.
    pub vectors: Vec<Vec<f32>>,
    /// The part of the time that pooling took.
    pub pooling: Duration,
}

/// A model, its tokenizer and the device that it runs on.
pub struct Encoder {
    info: ModelInfo,
    vocabulary: usize,
    lowercase: bool,
    tokenizer: Tokenizer,
    backend: Box<dyn Backend>,
}

impl Encoder {
    /// Loads the model in `dir` with default options. The folder holds
    /// `model.safetensors`, `tokenizer.json`, `config.json` and
    /// `sentence_bert_config.json`; the pooling is the mean unless
    /// `1_Pooling/config.json` or `pooling.json` says otherwise. `modules.json`,
    /// `config_sentence_transformers.json` (prompts) and `signalbox.json` are read where
    /// they are there. A static model needs the first two only.
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
        let mut tokenizer = Tokenizer::load(&path, config.vocabulary, config.max_tokens)?;
        let mut vocabulary = config.vocabulary;
        if config.family == Family::Static {
            tokenizer = tokenizer.for_table();
            vocabulary += 1;
        }
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
                normalised: config.normalised,
                prompts: config.prompts,
                matryoshka_dimensions: config.matryoshka,
            },
            vocabulary,
            lowercase: config.lowercase && !tokenizer.lowercases(),
            tokenizer,
            backend: Box::new(backend),
        })
    }

    /// What the model takes and gives.
    pub fn info(&self) -> ModelInfo {
        self.info.clone()
    }

    /// Turns a text into token ids, special tokens included, cut at the model's
    /// limit. An empty text is its special tokens alone.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Tokenizer`] if the tokenizer refuses the text; the tokenizers
    /// of BERT models take any.
    pub fn tokenize(&self, text: &str) -> Result<Tokenized, EncodeError> {
        self.tokenize_with(text, InputType::Unspecified)
    }

    /// As [`Encoder::tokenize`], with what the model wants in front of a query or a
    /// document. The prompt's tokens count and are part of the mean.
    ///
    /// # Errors
    ///
    /// As [`Encoder::tokenize`].
    pub fn tokenize_with(
        &self,
        text: &str,
        input_type: InputType,
    ) -> Result<Tokenized, EncodeError> {
        let text = self.info.prompts.apply(text, input_type);
        match self.lowercase {
            true => self.tokenizer.tokenize(&text.to_lowercase()),
            false => self.tokenizer.tokenize(&text),
        }
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
        self.check(texts)?;
        self.backend.encode(texts, cancel)
    }

    /// As [`Encoder::encode`], but on the calling thread alone and beside whatever other
    /// threads compute: for a caller that shares out threads itself.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`].
    pub fn encode_here(
        &self,
        texts: &[Tokenized],
        cancel: &AtomicBool,
    ) -> Result<Encoded, EncodeError> {
        self.check(texts)?;
        self.backend.encode_here(texts, cancel)
    }

    fn check(&self, texts: &[Tokenized]) -> Result<(), EncodeError> {
        let fits = |ids: &[u32]| {
            (1..=self.info.max_tokens).contains(&ids.len())
                && ids.iter().all(|id| (*id as usize) < self.vocabulary)
        };
        match texts.iter().position(|text| !fits(text.ids())) {
            Some(index) => Err(EncodeError::ForeignSequence { index }),
            None => Ok(()),
        }
    }
}
