//! BERT (Devlin et al., arXiv 1810.04805): absolute positions, attention in both
//! directions, normalisation after each residual.

use std::{
    ops::Range,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice, linalg::general_mat_mul};

use super::{Architecture, Scratch};
use crate::{
    config::ModelConfig,
    error::{EncodeError, LoadError},
    ops,
    ragged::Ragged,
    weights::Weights,
};

/// A BERT encoder's weights.
pub(super) struct Bert {
    hidden: usize,
    heads: usize,
    intermediate: usize,
    eps: f32,
    /// `[vocabulary, hidden]`.
    words: Array2<f32>,
    /// `[max_tokens, hidden]`, the first segment's embedding already added: there
    /// is never a second segment.
    positions: Array2<f32>,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

struct Layer {
    /// Query, key and value as one product, `[3 * hidden, hidden]`.
    attention_in: Linear,
    attention_out: Linear,
    attention_norm: LayerNorm,
    /// `[intermediate, hidden]`.
    widen: Linear,
    /// `[hidden, intermediate]`.
    narrow: Linear,
    output_norm: LayerNorm,
}

struct Linear {
    weight: Array2<f32>,
    bias: Vec<f32>,
}

struct LayerNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Bert {
    /// Loads the weights; those of the pooler, which sentence embeddings do not
    /// use, are left in the file.
    pub(super) fn load(path: &Path, config: &ModelConfig) -> Result<Self, LoadError> {
        const WORDS: &str = "embeddings.word_embeddings.weight";
        let hidden = config.hidden;
        let weights = &mut Weights::open(path, &["", "bert."], WORDS)?;

        let segments = weights.matrix(
            "embeddings.token_type_embeddings.weight",
            config.token_types,
            hidden,
        )?;
        let all_positions = weights.matrix(
            "embeddings.position_embeddings.weight",
            config.positions,
            hidden,
        )?;
        let positions =
            &all_positions.slice_axis(Axis(0), Slice::from(..config.max_tokens)) + &segments.row(0);
        Ok(Self {
            hidden,
            heads: config.heads,
            intermediate: config.intermediate,
            eps: config.layer_norm_eps,
            words: weights.matrix(WORDS, config.vocabulary, hidden)?,
            positions,
            norm: LayerNorm::load(weights, "embeddings.LayerNorm", hidden)?,
            layers: (0..config.layers)
                .map(|index| Layer::load(weights, index, config))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Word, position and segment embeddings, added and normalised.
    fn embed(&self, group: &Ragged<'_>, hidden: &mut [f32]) {
        let tokens = group
            .sequences
            .iter()
            .flat_map(|ids| ids.iter().enumerate());
        for (row, (position, id)) in hidden.chunks_exact_mut(self.hidden).zip(tokens) {
            let word = self.words.row(*id as usize);
            let position = self.positions.row(position);
            for ((value, word), position) in row.iter_mut().zip(word).zip(position) {
                *value = word + position;
            }
        }
        self.norm.apply(hidden, self.eps);
    }

    /// Attention of each sequence to itself: `qkv` is `[rows, 3 * hidden]`, `context`
    /// `[rows, hidden]`.
    fn attend(
        &self,
        group: &Ragged<'_>,
        qkv: ArrayView2<'_, f32>,
        mut context: ArrayViewMut2<'_, f32>,
        scores: &mut [f32],
    ) {
        let width = self.hidden / self.heads;
        let scale = (width as f32).sqrt().recip();
        for range in &group.ranges {
            let tokens = range.len();
            let scores = &mut scores[..tokens * tokens];
            for head in 0..self.heads {
                let part = |which: usize| {
                    let start = which * self.hidden + head * width;
                    block(qkv, range, start..start + width)
                };
                let (query, key, value) = (part(0), part(1), part(2));
                let columns = head * width..(head + 1) * width;
                let mut output = block_mut(&mut context, range, columns);

                let mut square = ops::view_mut(scores, tokens);
                general_mat_mul(scale, &query, &key.t(), 0.0, &mut square);
                for row in scores.chunks_exact_mut(tokens) {
                    ops::softmax(row);
                }
                let square = ops::view(scores, tokens);
                general_mat_mul(1.0, &square, &value, 0.0, &mut output);
            }
        }
    }
}

impl Architecture for Bert {
    fn hidden(&self) -> usize {
        self.hidden
    }

    fn forward(
        &self,
        group: &Ragged<'_>,
        scratch: &mut Scratch,
        cancel: &AtomicBool,
    ) -> Result<(), EncodeError> {
        let (rows, width) = (group.rows(), self.hidden);
        let longest = group.longest();
        // Attention and the feed-forward part take turns in one buffer.
        let work_width = (4 * width).max(self.intermediate);
        let hidden = sized(&mut scratch.hidden, rows * width);
        let work = sized(&mut scratch.work, rows * work_width);
        let scores = sized(&mut scratch.scores, longest * longest);

        self.embed(group, hidden);
        for layer in &self.layers {
            if cancel.load(Ordering::Relaxed) {
                return Err(EncodeError::Cancelled);
            }
            let (qkv, rest) = work.split_at_mut(rows * 3 * width);
            let context = &mut rest[..rows * width];
            layer.attention_in.apply(ops::view(hidden, width), qkv);
            self.attend(
                group,
                ops::view(qkv, 3 * width),
                ops::view_mut(context, width),
                scores,
            );
            layer
                .attention_out
                .add_to(ops::view(context, width), hidden);
            layer.attention_norm.apply(hidden, self.eps);

            let wide = &mut work[..rows * self.intermediate];
            layer.widen.apply(ops::view(hidden, width), wide);
            ops::gelu(wide);
            layer
                .narrow
                .add_to(ops::view(wide, self.intermediate), hidden);
            layer.output_norm.apply(hidden, self.eps);
        }
        Ok(())
    }
}

impl Layer {
    fn load(weights: &mut Weights, index: usize, config: &ModelConfig) -> Result<Self, LoadError> {
        let (hidden, intermediate) = (config.hidden, config.intermediate);
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        let projections = ["query", "key", "value"].map(|part| format!("attention.self.{part}"));
        let stacked = |kind: &str| projections.each_ref().map(|p| name(&format!("{p}.{kind}")));
        let (qkv_weights, qkv_biases) = (stacked("weight"), stacked("bias"));
        Ok(Self {
            attention_in: Linear {
                weight: weights.stacked_matrix(
                    &qkv_weights.each_ref().map(String::as_str),
                    hidden,
                    hidden,
                )?,
                bias: weights.stacked_vector(&qkv_biases.each_ref().map(String::as_str), hidden)?,
            },
            attention_out: Linear::load(weights, &name("attention.output.dense"), hidden, hidden)?,
            attention_norm: LayerNorm::load(weights, &name("attention.output.LayerNorm"), hidden)?,
            widen: Linear::load(weights, &name("intermediate.dense"), intermediate, hidden)?,
            narrow: Linear::load(weights, &name("output.dense"), hidden, intermediate)?,
            output_norm: LayerNorm::load(weights, &name("output.LayerNorm"), hidden)?,
        })
    }
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

    /// `output = input x weight^T + bias`.
    fn apply(&self, input: ArrayView2<'_, f32>, output: &mut [f32]) {
        output.fill(0.0);
        self.add_to(input, output);
    }

    /// `output += input x weight^T + bias`.
    fn add_to(&self, input: ArrayView2<'_, f32>, output: &mut [f32]) {
        let width = self.bias.len();
        for row in output.chunks_exact_mut(width) {
            ops::add(row, &self.bias);
        }
        let mut output = ops::view_mut(output, width);
        general_mat_mul(1.0, &input, &self.weight.t(), 1.0, &mut output);
    }
}

impl LayerNorm {
    fn load(weights: &mut Weights, name: &str, hidden: usize) -> Result<Self, LoadError> {
        Ok(Self {
            scale: weights.vector(&format!("{name}.weight"), hidden)?,
            shift: weights.vector(&format!("{name}.bias"), hidden)?,
        })
    }

    fn apply(&self, rows: &mut [f32], eps: f32) {
        ops::layer_norm(rows, &self.scale, &self.shift, eps);
    }
}

/// The given rows and columns; the macro `s!` would do it with `unsafe`.
fn block<'a>(
    matrix: ArrayView2<'a, f32>,
    rows: &Range<usize>,
    columns: Range<usize>,
) -> ArrayView2<'a, f32> {
    let mut matrix = matrix;
    matrix.slice_axis_inplace(Axis(0), Slice::from(rows.clone()));
    matrix.slice_axis_inplace(Axis(1), Slice::from(columns));
    matrix
}

/// As [`block`], to write to.
fn block_mut<'a>(
    matrix: &'a mut ArrayViewMut2<'_, f32>,
    rows: &Range<usize>,
    columns: Range<usize>,
) -> ArrayViewMut2<'a, f32> {
    let mut matrix = matrix.view_mut();
    matrix.slice_axis_inplace(Axis(0), Slice::from(rows.clone()));
    matrix.slice_axis_inplace(Axis(1), Slice::from(columns));
    matrix
}

/// The first `length` elements of a buffer that grows when needed.
fn sized(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
    &mut buffer[..length]
}
