//! The transformer encoder: a folder with a model in, vectors out.
//!
//! A text takes this way: [`Encoder::tokenize`] turns it into token ids, cut at
//! the model's limit; [`Encoder::encode`] hands the ids to a back end, which runs
//! the architecture, pools one vector for each text and scales it to length 1.
//! Nothing is ever padded: texts of any lengths lie end to end in one matrix.
//!
//! A new model family is one file in `architecture/`, a new device one file in
//! `backend/`.

#![forbid(unsafe_code)]

mod architecture;
mod arithmetic;
mod backend;
mod config;
mod encoder;
mod error;
mod json;
mod pooling;
mod ragged;
mod tokenizer;
mod weights;

pub use arithmetic::{Arithmetic, UnknownArithmetic};
pub use encoder::{Encoder, EncoderOptions, ModelInfo};
pub use error::{EncodeError, LoadError, TokenIdError};
pub use pooling::Pooling;
pub use tokenizer::Tokenized;
