//! Who computes vectors: one trait, so that another engine, or a test's, takes the
//! encoder's place.

use std::sync::{Arc, atomic::AtomicBool};

pub use signalbox_encoder::Encoded;
use signalbox_encoder::{EncodeError, Encoder, InputType, TokenIdError, Tokenized};

use crate::{remote::Remote, request::EmbedError};

/// What a model takes and gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCard {
    /// The name in requests.
    pub name: String,
    /// Which weights these are; vectors of two revisions are not compared.
    pub revision: String,
    /// Length of its vectors.
    pub dimensions: u32,
    /// The shorter lengths it was trained for, ascending (matryoshka, arXiv
    /// 2205.13147); empty where it cannot be shortened.
    pub matryoshka: Vec<u32>,
    /// Longest input in tokens, special tokens included.
    pub max_input_tokens: u32,
    /// How token vectors become one: `mean`, `cls`, `last` or `max`; empty where that is
    /// a provider's own matter.
    pub pooling: String,
    /// SPDX identifier of the weights' licence.
    pub license: String,
}

/// Something that turns texts into tokens and tokens into vectors.
///
/// The two are apart so that texts are tokenised off the threads that compute, and so
/// that one batch can hold sequences of many requests.
pub trait Model: Send + Sync {
    /// Turns a text into token ids, with what the model wants in front of such a text,
    /// cut at the model's limit; called on a thread that may block.
    ///
    /// # Errors
    ///
    /// [`EmbedError::Failed`] if the tokenizer refuses the text.
    fn tokenize(&self, text: &str, input_type: InputType) -> Result<Tokenized, EmbedError>;

    /// Takes ids of the model's own vocabulary in place of a text.
    ///
    /// # Errors
    ///
    /// [`TokenIdError`] says what is wrong with them.
    fn accept_ids(&self, ids: &[u32]) -> Result<Tokenized, TokenIdError>;

    /// Computes one vector of length 1 for each sequence, in order, on the calling
    /// thread alone. Returns [`EmbedError::Cancelled`] soon after `cancel` is set.
    ///
    /// # Errors
    ///
    /// [`EmbedError`] if the batch cannot be computed.
    fn encode(&self, batch: &[Tokenized], cancel: &AtomicBool) -> Result<Encoded, EmbedError>;
}

/// Where a model is computed.
#[derive(Clone)]
pub enum Backend {
    /// On this process's threads.
    Local(Arc<dyn Model>),
    /// By a provider, over the network.
    Remote(Arc<Remote>),
}

impl From<Arc<dyn Model>> for Backend {
    fn from(model: Arc<dyn Model>) -> Self {
        Self::Local(model)
    }
}

impl From<Remote> for Backend {
    fn from(remote: Remote) -> Self {
        Self::Remote(Arc::new(remote))
    }
}

impl Model for Encoder {
    fn tokenize(&self, text: &str, input_type: InputType) -> Result<Tokenized, EmbedError> {
        self.tokenize_with(text, input_type).map_err(failure)
    }

    fn accept_ids(&self, ids: &[u32]) -> Result<Tokenized, TokenIdError> {
        self.accept_ids(ids)
    }

    fn encode(&self, batch: &[Tokenized], cancel: &AtomicBool) -> Result<Encoded, EmbedError> {
        self.encode_here(batch, cancel).map_err(failure)
    }
}

fn failure(error: EncodeError) -> EmbedError {
    match error {
        EncodeError::Cancelled => EmbedError::Cancelled,
        other => EmbedError::Failed(other.to_string()),
    }
}
