//! A stack of BERT layers over a group of whole sequences, on the caller's thread.
//!
//! A group of a few hundred tokens goes through all layers before the next one starts:
//! its activations stay in the cache, threads never wait for each other inside, and no
//! row is padding. Devlin et al., arXiv 1810.04805: normalisation after each residual.

use crate::{
    attention::{Heads, RelativeBias},
    dispatch::Cpu,
    error::{ShapeError, length},
    linear::{Epilogue, Workspace, sized},
    pack::{PackedF32, PackedI8, PackedI16},
    rows::Norm,
};

/// How linear layers compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Single precision throughout.
    F32,
    /// Linear layers in 16-bit whole numbers, all else in single precision.
    I16,
    /// Linear layers in 8-bit whole numbers, all else in single precision.
    Int8,
}

/// Weights and bias of a linear layer, packed for a [`Mode`].
#[derive(Clone, Debug)]
pub enum Linear {
    /// For [`Mode::F32`].
    F32(PackedF32),
    /// For [`Mode::I16`].
    I16(PackedI16),
    /// For [`Mode::Int8`].
    Int8(PackedI8),
}

impl Linear {
    /// Packs `weight`, `[outputs, inputs]` row-major, and `bias`, `[outputs]`, for `cpu`.
    ///
    /// # Errors
    ///
    /// As [`PackedF32::pack`], [`PackedI16::pack`] and [`PackedI8::pack`].
    pub fn pack(
        cpu: Cpu,
        mode: Mode,
        weight: &[f32],
        bias: &[f32],
        outputs: usize,
        inputs: usize,
    ) -> Result<Self, ShapeError> {
        Ok(match mode {
            Mode::F32 => Self::F32(PackedF32::pack(weight, Some(bias), outputs, inputs)?),
            Mode::I16 => Self::I16(PackedI16::pack(cpu, weight, Some(bias), outputs, inputs)?),
            Mode::Int8 => Self::Int8(PackedI8::pack(weight, Some(bias), outputs, inputs)?),
        })
    }

    /// [`Cpu::linear_f32`], [`Cpu::linear_i16`] or [`Cpu::linear_i8`].
    ///
    /// # Errors
    ///
    /// Slices whose lengths do not fit the layer.
    pub fn apply(
        &self,
        cpu: Cpu,
        input: &[f32],
        output: &mut [f32],
        epilogue: Epilogue<'_>,
        workspace: &mut Workspace,
    ) -> Result<(), ShapeError> {
        match self {
            Self::F32(layer) => cpu.linear_f32(layer, input, output, epilogue),
            Self::I16(layer) => cpu.linear_i16(layer, input, output, epilogue, workspace),
            Self::Int8(layer) => cpu.linear_i8(layer, input, output, epilogue, workspace),
        }
    }
}

/// A matrix `[outputs, inputs]` row-major and its bias `[outputs]`.
#[derive(Clone, Copy, Debug)]
pub struct LinearWeights<'a> {
    /// `[outputs, inputs]`.
    pub weight: &'a [f32],
    /// `[outputs]`.
    pub bias: &'a [f32],
}

/// One layer's weights as they lie in a model's file.
#[derive(Clone, Copy, Debug)]
pub struct LayerWeights<'a> {
    /// `[hidden, hidden]`.
    pub query: LinearWeights<'a>,
    /// `[hidden, hidden]`.
    pub key: LinearWeights<'a>,
    /// `[hidden, hidden]`.
    pub value: LinearWeights<'a>,
    /// `[hidden, hidden]`.
    pub attention_out: LinearWeights<'a>,
    /// After attention.
    pub attention_norm: Norm<'a>,
    /// `[intermediate, hidden]`.
    pub widen: LinearWeights<'a>,
    /// `[hidden, intermediate]`.
    pub narrow: LinearWeights<'a>,
    /// After the feed-forward part.
    pub output_norm: Norm<'a>,
}

/// The layers of a BERT-like encoder, packed.
#[derive(Clone, Debug)]
pub struct Stack {
    cpu: Cpu,
    mode: Mode,
    heads: Heads,
    intermediate: usize,
    layers: Vec<Layer>,
}

#[derive(Clone, Debug)]
struct Layer {
    /// Query, key and value as one product.
    attention_in: Linear,
    attention_out: Linear,
    attention_norm: OwnedNorm,
    widen: Linear,
    narrow: Linear,
    output_norm: OwnedNorm,
}

#[derive(Clone, Debug)]
struct OwnedNorm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    eps: f32,
}

impl OwnedNorm {
    fn new(norm: &Norm<'_>, width: usize) -> Result<Self, ShapeError> {
        norm.check(width)?;
        Ok(Self {
            scale: norm.scale.to_vec(),
            shift: norm.shift.to_vec(),
            eps: norm.eps,
        })
    }

    fn epilogue(&self) -> Epilogue<'_> {
        Epilogue::AddNorm(Norm {
            scale: &self.scale,
            shift: &self.shift,
            eps: self.eps,
        })
    }
}

/// The activations between layers; grows to the largest group and then stays.
#[derive(Debug, Default)]
pub struct Activations {
    work: Vec<f32>,
    workspace: Workspace,
}

impl Stack {
    /// A stack without layers, to run on `cpu`; [`Self::push`] adds them one by one, so that a model's
    /// file never has to be in memory whole.
    pub fn new(cpu: Cpu, mode: Mode, heads: Heads, intermediate: usize) -> Self {
        Self {
            cpu,
            mode,
            heads,
            intermediate,
            layers: Vec::new(),
        }
    }

    /// Packs a layer and adds it at the end; `1 / sqrt(head width)` goes into the
    /// queries' weights.
    ///
    /// # Errors
    ///
    /// A slice that does not fit the shape, a weight that is not finite.
    pub fn push(&mut self, layer: &LayerWeights<'_>) -> Result<(), ShapeError> {
        let layer = Layer::pack(self.cpu, self.mode, self.heads, self.intermediate, layer)?;
        self.layers.push(layer);
        Ok(())
    }

    /// Values in a token's vector.
    pub fn hidden(&self) -> usize {
        self.heads.count * self.heads.width
    }

    /// Runs all layers over `hidden`, `[tokens, hidden]`, in place. `lengths` are the
    /// tokens of each sequence, in order; their sum is `tokens`. `keep_on` is asked
    /// before each layer; when it says no, the rest is left out and the result is
    /// `false`.
    ///
    /// # Errors
    ///
    /// Lengths that do not fit `hidden`; a sequence longer than the bias reaches.
    pub fn run(
        &self,
        hidden: &mut [f32],
        lengths: &[usize],
        bias: Option<RelativeBias<'_>>,
        activations: &mut Activations,
        mut keep_on: impl FnMut() -> bool,
    ) -> Result<bool, ShapeError> {
        let (cpu, width) = (self.cpu, self.hidden());
        let tokens: usize = lengths.iter().sum();
        length("hidden", tokens * width, hidden.len())?;
        // Attention and the feed-forward part take turns in one buffer.
        let work_width = (4 * width).max(self.intermediate);
        let work = sized(&mut activations.work, tokens * work_width, 0.0);
        let workspace = &mut activations.workspace;
        for layer in &self.layers {
            if !keep_on() {
                return Ok(false);
            }
            let (qkv, rest) = work.split_at_mut(tokens * 3 * width);
            let context = &mut rest[..tokens * width];
            let attention_in = &layer.attention_in;
            attention_in.apply(cpu, hidden, qkv, Epilogue::Bias, workspace)?;
            let mut first = 0;
            for length in lengths {
                let rows = first..first + length;
                let qkv = &qkv[rows.start * 3 * width..rows.end * 3 * width];
                let context = &mut context[rows.start * width..rows.end * width];
                cpu.attention(self.heads, qkv, context, bias, workspace)?;
                first = rows.end;
            }
            let epilogue = layer.attention_norm.epilogue();
            let attention_out = &layer.attention_out;
            attention_out.apply(cpu, context, hidden, epilogue, workspace)?;

            let wide = &mut work[..tokens * self.intermediate];
            layer
                .widen
                .apply(cpu, hidden, wide, Epilogue::Gelu, workspace)?;
            let epilogue = layer.output_norm.epilogue();
            layer.narrow.apply(cpu, wide, hidden, epilogue, workspace)?;
        }
        Ok(true)
    }
}

impl Layer {
    fn pack(
        cpu: Cpu,
        mode: Mode,
        heads: Heads,
        intermediate: usize,
        weights: &LayerWeights<'_>,
    ) -> Result<Self, ShapeError> {
        let width = heads.count * heads.width;
        if width == 0 {
            return Err(ShapeError::Empty { what: "heads" });
        }
        let scale = (heads.width as f32).sqrt().recip();
        let mut weight: Vec<f32> = weights.query.weight.iter().map(|w| w * scale).collect();
        let mut bias: Vec<f32> = weights.query.bias.iter().map(|b| b * scale).collect();
        for part in [&weights.query, &weights.key, &weights.value] {
            length(
                "query, key or value weight",
                width * width,
                part.weight.len(),
            )?;
            length("query, key or value bias", width, part.bias.len())?;
        }
        for part in [&weights.key, &weights.value] {
            weight.extend_from_slice(part.weight);
            bias.extend_from_slice(part.bias);
        }
        let pack = |part: &LinearWeights<'_>, outputs, inputs| {
            Linear::pack(cpu, mode, part.weight, part.bias, outputs, inputs)
        };
        Ok(Self {
            attention_in: Linear::pack(cpu, mode, &weight, &bias, 3 * width, width)?,
            attention_out: pack(&weights.attention_out, width, width)?,
            attention_norm: OwnedNorm::new(&weights.attention_norm, width)?,
            widen: pack(&weights.widen, intermediate, width)?,
            narrow: pack(&weights.narrow, width, intermediate)?,
            output_norm: OwnedNorm::new(&weights.output_norm, width)?,
        })
    }
}
