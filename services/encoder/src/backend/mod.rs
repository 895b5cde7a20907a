//! Where the arithmetic runs: one trait, one file for each kind of device.

use std::sync::atomic::AtomicBool;

use crate::{error::EncodeError, tokenizer::Tokenized};

mod cpu;
mod job;
mod turns;

pub(crate) use cpu::Cpu;

/// Runs a loaded model on some device.
pub(crate) trait Backend: Send + Sync {
    /// Computes one vector `[hidden]` of length 1 for each text, in order. Every
    /// text has a token, fits the model and is within its vocabulary. Stops soon
    /// after `cancel` is set.
    fn encode(
        &self,
        texts: &[Tokenized],
        cancel: &AtomicBool,
    ) -> Result<Vec<Vec<f32>>, EncodeError>;
}
