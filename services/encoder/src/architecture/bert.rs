//! BERT (Devlin et al., arXiv 1810.04805): absolute positions, attention in both
//! directions, normalisation after each residual; and what is BERT but for the names
//! in its file, where its positions begin, and a bias on attention.

use std::path::Path;

use signalbox_kernels::{
    Cpu, Embeddings, Heads, LayerWeights, LinearWeights, Norm, RelativeBias, Stack,
};

use super::{Architecture, Scratch, mpnet};
use crate::{
    arithmetic::Arithmetic,
    config::ModelConfig,
    error::{EncodeError, LoadError},
    ragged::Ragged,
    weights::Weights,
};

/// How a family's file is laid out.
pub(super) struct Layout {
    /// What names may begin with; tried in turn.
    pub(super) prefixes: &'static [&'static str],
    pub(super) layer: LayerNames,
    /// The tensor `[buckets, heads]` of the bias on attention, where there is one.
    pub(super) relative_bias: Option<&'static str>,
}

/// The names of a layer's parts that differ among families.
pub(super) struct LayerNames {
    pub(super) query: &'static str,
    pub(super) key: &'static str,
    pub(super) value: &'static str,
    pub(super) attention_out: &'static str,
    pub(super) attention_norm: &'static str,
}

pub(super) const BERT_LAYER: LayerNames = LayerNames {
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_out: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
};

pub(super) const LAYOUT: Layout = Layout {
    prefixes: &["", "bert."],
    layer: BERT_LAYER,
    relative_bias: None,
};

/// An encoder's weights.
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
    /// By distance, `[heads, 2 * reach - 1]`, where the family has one.
    bias: Option<Vec<f32>>,
    /// The most tokens of a sequence.
    reach: usize,
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
        layout: &Layout,
        config: &ModelConfig,
        arithmetic: Arithmetic,
    ) -> Result<Self, LoadError> {
        const WORDS: &str = "embeddings.word_embeddings.weight";
        let hidden = config.hidden;
        let weights = &mut Weights::open(path, layout.prefixes, WORDS)?;

        let mut positions = weights.matrix(
            "embeddings.position_embeddings.weight",
            config.positions,
            hidden,
        )?;
        positions.truncate((config.first_position + config.max_tokens) * hidden);
        positions.drain(..config.first_position * hidden);
        if config.token_types > 0 {
            let segments = weights.matrix(
                "embeddings.token_type_embeddings.weight",
                config.token_types,
                hidden,
            )?;
            for row in positions.chunks_exact_mut(hidden) {
                for (value, segment) in row.iter_mut().zip(&segments) {
                    *value += segment;
                }
            }
        }
        let heads = Heads {
            count: config.heads,
            width: hidden / config.heads,
        };
        let cpu = Cpu::detect();
        let mut layers = Stack::new(cpu, arithmetic.mode(), heads, config.intermediate);
        for index in 0..config.layers {
            push_layer(&mut layers, weights, &layout.layer, index, config)?;
        }
        let bias = match (layout.relative_bias, config.relative) {
            (Some(name), Some(buckets)) => {
                let by_bucket = weights.matrix(name, buckets.count, heads.count)?;
                let reach = config.max_tokens;
                Some(mpnet::by_distance(&by_bucket, heads.count, buckets, reach))
            }
            _ => None,
        };
        Ok(Self {
            cpu,
            hidden,
            words: weights.matrix(WORDS, config.vocabulary, hidden)?,
            positions,
            norm: LayerNorm::load(weights, "embeddings.LayerNorm", config)?,
            layers,
            bias,
            reach: config.max_tokens,
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
        let bias = self.bias.as_ref().map(|bias| RelativeBias {
            bias,
            reach: self.reach,
        });
        let layers = &self.layers;
        if layers.run(hidden, lengths, bias, activations, keep_on)? {
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
    names: &LayerNames,
    index: usize,
    config: &ModelConfig,
) -> Result<(), LoadError> {
    let (hidden, wide) = (config.hidden, config.intermediate);
    let name = |part: &str| format!("encoder.layer.{index}.{part}");
    let mut linear =
        |part: &str, outputs, inputs| Linear::load(weights, &name(part), outputs, inputs);
    let query = linear(names.query, hidden, hidden)?;
    let key = linear(names.key, hidden, hidden)?;
    let value = linear(names.value, hidden, hidden)?;
    let attention_out = linear(names.attention_out, hidden, hidden)?;
    let widen = linear("intermediate.dense", wide, hidden)?;
    let narrow = linear("output.dense", hidden, wide)?;
    let attention_norm = LayerNorm::load(weights, &name(names.attention_norm), config)?;
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
