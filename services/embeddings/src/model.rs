//! Who computes vectors: one trait, so that another engine, or a test's, takes the
//! encoder's place.

use std::sync::atomic::{AtomicBool, Ordering};

use signalbox_encoder::{EncodeError, Encoder, Tokenized};

use crate::request::{EmbedError, Embedded, Inputs};

/// What a model takes and gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCard {
    /// The name in requests.
    pub name: String,
    /// Length of its vectors.
    pub dimensions: u32,
    /// Longest input in tokens, special tokens included.
    pub max_input_tokens: u32,
    /// How token vectors become one: `mean` or `cls`.
    pub pooling: String,
    /// SPDX identifier of the weights' licence.
    pub license: String,
}

/// Something that turns inputs into vectors.
pub trait Model: Send + Sync {
    /// Embeds the inputs, in order; called on a thread that may block. Returns
    /// [`EmbedError::Cancelled`] soon after `cancel` is set.
    ///
    /// # Errors
    ///
    /// [`EmbedError`], naming the input at fault where one is.
    fn embed(&self, inputs: &Inputs, cancel: &AtomicBool) -> Result<Vec<Embedded>, EmbedError>;
}

impl Model for Encoder {
    fn embed(&self, inputs: &Inputs, cancel: &AtomicBool) -> Result<Vec<Embedded>, EmbedError> {
        let tokenized = tokenize(self, inputs, cancel)?;
        let vectors = self.encode(&tokenized, cancel).map_err(failure)?;
        Ok(vectors
            .into_iter()
            .zip(&tokenized)
            .map(|(vector, text)| Embedded {
                vector,
                tokens: u32::try_from(text.ids().len()).unwrap_or(u32::MAX),
                truncated: text.truncated(),
            })
            .collect())
    }
}

fn tokenize(
    encoder: &Encoder,
    inputs: &Inputs,
    cancel: &AtomicBool,
) -> Result<Vec<Tokenized>, EmbedError> {
    let check = || match cancel.load(Ordering::Relaxed) {
        true => Err(EmbedError::Cancelled),
        false => Ok(()),
    };
    match inputs {
        Inputs::Texts(texts) => texts
            .iter()
            .map(|text| check().and_then(|()| encoder.tokenize(text).map_err(failure)))
            .collect(),
        Inputs::TokenIds(all) => all
            .iter()
            .enumerate()
            .map(|(index, ids)| {
                let field = || format!("{}[{index}]", inputs.field());
                encoder
                    .accept_ids(ids)
                    .map_err(|error| EmbedError::invalid(field(), error.to_string()))
            })
            .collect(),
    }
}

fn failure(error: EncodeError) -> EmbedError {
    match error {
        EncodeError::Cancelled => EmbedError::Cancelled,
        other => EmbedError::Failed(other.to_string()),
    }
}
