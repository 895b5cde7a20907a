//! BERT (Devlin et al., arXiv 1810.04805): absolute positions, attention in both
//! directions, normalisation after each residual.

use std::path::Path;

use signalbox_kernels::{Cpu, Embeddings, Heads, LayerWeights, LinearWeights, Norm, Stack};

use super::{Architecture, Scratch};
use crate::{
    arithmetic::Arithmetic,
    config::ModelConfig,
    error::{EncodeError, LoadError},
    ragged::Ragged,
    weights::Weights,
};

/// A BERT encoder's weights.
pub(super) struct Bert {
    cpu: Cpu,
    hidden: usize,
    /// `[vocabulary, hidden]`.
    words: Vec<f32>,
    /// `[max_tokens, hidden]`, the first segment's embedding already added: there
    /// is never a second segment.
    positions: Vec<f32>,
    norm: LayerNorm,
    layers: Stack,
}

struct LayerNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    eps: f32,
}

impl Bert {
    /// Loads the weights; those of the pooler, which sentence embeddings do not
    /// use, are left in the file. Layers are read and packed one by one, so that one
    /// layer at a time is in memory twice.
    pub(super) fn load(
        path: &Path,
        config: &ModelConfig,
        arithmetic: Arithmetic,
    ) -> Result<Self, LoadError> {
        const WORDS: &str = "embeddings.word_embeddings.weight";
        let hidden = config.hidden;
        let weights = &mut Weights::open(path, &["", "bert."], WORDS)?;

        let segments = weights.matrix(
            "embeddings.token_type_embeddings.weight",
            config.token_types,
            hidden,
        )?;
        let mut positions = weights.matrix(
            "embeddings.position_embeddings.weight",
            config.positions,
            hidden,
        )?;
        positions.truncate(config.max_tokens * hidden);
        for row in positions.chunks_exact_mut(hidden) {
            for (value, segment) in row.iter_mut().zip(&segments) {
                *value += segment;
            }
        }
        let heads = Heads {
            count: config.heads,
            width: hidden / config.heads,
        };
        let cpu = Cpu::detect();
        let mut layers = Stack::new(cpu, arithmetic.mode(), heads, config.intermediate);
        for index in 0..config.layers {
            push_layer(&mut layers, weights, index, config)?;
        }
        Ok(Self {
            cpu,
            hidden,
            words: weights.matrix(WORDS, config.vocabulary, hidden)?,
            positions,
            norm: LayerNorm::load(weights, "embeddings.LayerNorm", config)?,
            layers,
        })
    }
}

impl Architecture for Bert {
    fn hidden(&self) -> usize {
        self.hidden
    }

    fn forward(
        &self,
        group: &Ragged,
        scratch: &mut Scratch,
        keep_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), EncodeError> {
        let values = group.tokens() * self.hidden;
        if scratch.hidden.len() < values {
            scratch.hidden.resize(values, 0.0);
        }
        let hidden = &mut scratch.hidden[..values];
        let tables = Embeddings {
            words: &self.words,
            positions: &self.positions,
            width: self.hidden,
        };
        let norm = self.norm.as_kernel();
        for (rows, ids) in group.sequences() {
            let rows = &mut hidden[rows.start * self.hidden..rows.end * self.hidden];
            self.cpu.embed(&tables, &norm, ids, 0, rows)?;
        }
        let (lengths, activations) = (group.lengths(), &mut scratch.activations);
        let layers = &self.layers;
        if layers.run(hidden, lengths, None, activations, keep_on)? {
            Ok(())
        } else {
            Err(EncodeError::Cancelled)
        }
    }
}

/// A linear layer as it lies in the file.
struct Linear {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    fn load(
        weights: &mut Weights,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            weight: weights.matrix(&format!("{name}.weight"), outputs, inputs)?,
            bias: weights.vector(&format!("{name}.bias"), outputs)?,
        })
    }

    fn as_kernel(&self) -> LinearWeights<'_> {
        LinearWeights {
            weight: &self.weight,
            bias: &self.bias,
        }
    }
}

impl LayerNorm {
    fn load(weights: &mut Weights, name: &str, config: &ModelConfig) -> Result<Self, LoadError> {
        Ok(Self {
            scale: weights.vector(&format!("{name}.weight"), config.hidden)?,
            shift: weights.vector(&format!("{name}.bias"), config.hidden)?,
            eps: config.layer_norm_eps,
        })
    }

    fn as_kernel(&self) -> Norm<'_> {
        Norm {
            scale: &self.scale,
            shift: &self.shift,
            eps: self.eps,
        }
    }
}

fn push_layer(
    layers: &mut Stack,
    weights: &mut Weights,
    index: usize,
    config: &ModelConfig,
) -> Result<(), LoadError> {
    let (hidden, wide) = (config.hidden, config.intermediate);
    let name = |part: &str| format!("encoder.layer.{index}.{part}");
    let mut linear =
        |part: &str, outputs, inputs| Linear::load(weights, &name(part), outputs, inputs);
    let query = linear("attention.self.query", hidden, hidden)?;
    let key = linear("attention.self.key", hidden, hidden)?;
    let value = linear("attention.self.value", hidden, hidden)?;
    let attention_out = linear("attention.output.dense", hidden, hidden)?;
    let widen = linear("intermediate.dense", wide, hidden)?;
    let narrow = linear("output.dense", hidden, wide)?;
    let attention_norm = LayerNorm::load(weights, &name("attention.output.LayerNorm"), config)?;
    let output_norm = LayerNorm::load(weights, &name("output.LayerNorm"), config)?;
    let layer = LayerWeights {
        query: query.as_kernel(),
        key: key.as_kernel(),
        value: value.as_kernel(),
        attention_out: attention_out.as_kernel(),
        attention_norm: attention_norm.as_kernel(),
        widen: widen.as_kernel(),
        narrow: narrow.as_kernel(),
        output_norm: output_norm.as_kernel(),
    };
    layers
        .push(&layer)
        .map_err(|error| weights.refused(&name("*"), &error.to_string()))
}
