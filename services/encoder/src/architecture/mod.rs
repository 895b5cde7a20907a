//! Model families: one trait, one file each.

use std::path::Path;

use signalbox_kernels::Activations;

use crate::{
    arithmetic::Arithmetic,
    config::ModelConfig,
    error::{EncodeError, LoadError},
    ragged::Ragged,
};

mod bert;

/// The forward pass of a model family on the CPU.
pub(crate) trait Architecture: Send + Sync {
    /// Length of a token's vector.
    fn hidden(&self) -> usize;

    /// Computes the last layer's token vectors of a group, `[tokens, hidden]`
    /// row-major, at the front of `scratch.hidden`. Asks `keep_on` before each layer and
    /// stops with [`EncodeError::Cancelled`] once it says no.
    fn forward(
        &self,
        group: &Ragged,
        scratch: &mut Scratch,
        keep_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), EncodeError>;
}

/// Buffers that a worker keeps from group to group. They grow to the largest group
/// and then stay.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Token vectors, `[tokens, hidden]`.
    pub(crate) hidden: Vec<f32>,
    /// Whatever a layer computes in between.
    pub(crate) activations: Activations,
}

/// Loads the weights in `dir`. The configuration's family was checked when it was
/// read; it is `bert`, the one so far.
pub(crate) fn load(
    dir: &Path,
    config: &ModelConfig,
    arithmetic: Arithmetic,
) -> Result<Box<dyn Architecture>, LoadError> {
    let path = dir.join("model.safetensors");
    Ok(Box::new(bert::Bert::load(&path, config, arithmetic)?))
}
