//! Our own engine as a worker.

use std::{num::NonZeroUsize, path::Path, sync::atomic::AtomicBool};

use signalbox_encoder::{Encoder, EncoderOptions, Tokenized};

use crate::worker::{Engine, Result};

pub(crate) struct Signalbox(Encoder);

impl Signalbox {
    pub(crate) fn load(model: &Path, threads: NonZeroUsize, mode: &str) -> Result<Self> {
        let options = EncoderOptions {
            threads,
            arithmetic: mode.parse()?,
            ..EncoderOptions::default()
        };
        Ok(Self(Encoder::load_with(model, options)?))
    }
}

impl Engine for Signalbox {
    type Text = Tokenized;

    fn tokenize(&self, text: &str) -> Result<Tokenized> {
        Ok(self.0.tokenize(text)?)
    }

    fn accept(&self, ids: &[u32]) -> Result<Tokenized> {
        // The encoder puts the special tokens on itself.
        let content = ids.get(1..ids.len().saturating_sub(1));
        match content {
            Some(content) if !content.is_empty() => Ok(self.0.accept_ids(content)?),
            _ => self.tokenize(""),
        }
    }

    fn ids<'a>(&self, text: &'a Tokenized) -> &'a [u32] {
        text.ids()
    }

    fn encode(&self, batch: &[Tokenized]) -> Result<Vec<Vec<f32>>> {
        Ok(self.0.encode(batch, &AtomicBool::new(false))?)
    }
}
