//! Model families: one trait, one file each.

use std::{path::Path, sync::atomic::AtomicBool};

use crate::{
    config::ModelConfig,
    error::{EncodeError, LoadError},
    ragged::Ragged,
};

mod bert;

/// The forward pass of a model family on the CPU.
pub(crate) trait Architecture: Send + Sync {
    /// Length of a token's vector.
    fn hidden(&self) -> usize;

    /// Computes the last layer's token vectors of a group, `[rows, hidden]`
    /// row-major, at the front of `scratch.hidden`. Stops between layers once
    /// `cancel` is set.
    fn forward(
        &self,
        group: &Ragged<'_>,
        scratch: &mut Scratch,
        cancel: &AtomicBool,
    ) -> Result<(), EncodeError>;
}

/// Buffers that a worker keeps from group to group.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Token vectors, `[rows, hidden]`.
    pub(crate) hidden: Vec<f32>,
    /// Whatever a layer computes in between.
    pub(crate) work: Vec<f32>,
    /// Attention scores of one head of one sequence, `[tokens, tokens]`.
    pub(crate) scores: Vec<f32>,
}

/// Loads the weights in `dir`. The configuration's family was checked when it was
/// read; it is `bert`, the one so far.
pub(crate) fn load(dir: &Path, config: &ModelConfig) -> Result<Box<dyn Architecture>, LoadError> {
    Ok(Box::new(bert::Bert::load(
        &dir.join("model.safetensors"),
        config,
    )?))
}
