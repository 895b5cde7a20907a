//! A linear layer over many rows: the loops around the tiles.
//!
//! Rows are taken in blocks whose activations stay in the second-level cache while all
//! panels of the weights pass; of a deep matrix only a slice of the depth at a time, so
//! that a panel's slice stays in the first level while the block's tiles pass (the
//! nesting of Goto and van de Geijn, with the activations left where they are: the
//! kernels broadcast single values, which needs no packing). A tile's sums get bias,
//! GELU or residual while they are in the first level; a block's rows are normalised
//! while they are in the second.

use crate::{
    dispatch::{Cpu, dispatch},
    error::{ShapeError, length},
    kernel::{COLUMNS, Kernel, MAX_PANELS, MAX_ROWS, Panels, Rows, Tile},
    math::Finish,
    pack::PackedF32,
    rows::Norm,
};

/// The deepest slice in f32: 24 KiB of a panel.
const SLICE: usize = 384;

/// What is done to a layer's sums before they leave the cache.
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<'a> {
    /// `output = input x weight + bias`.
    Bias,
    /// `output = gelu(input x weight + bias)`, the exact GELU.
    Gelu,
    /// `output = norm(output + input x weight + bias)`: the residual is what the output
    /// holds before.
    AddNorm(Norm<'a>),
}

/// Room for what a call needs beside its arguments; grows to the largest call and
/// then stays, so a steady state allocates nothing. One for each thread.
#[derive(Debug, Default)]
pub struct Workspace {
    pub(crate) whole: crate::whole::Buffers,
    pub(crate) attention: crate::attention::Buffers,
}

/// The first `length` elements of a buffer that grows when needed.
pub(crate) fn sized<T: Clone>(buffer: &mut Vec<T>, length: usize, zero: T) -> &mut [T] {
    if buffer.len() < length {
        buffer.resize(length, zero);
    }
    &mut buffer[..length]
}

/// Cuts `count` into parts of nearly equal size, each at most `most` and, but for the
/// last, a multiple of `unit`: no part is left with a row or two.
pub(crate) fn parts(
    count: usize,
    most: usize,
    unit: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let size = count.div_ceil(count.div_ceil(most).max(1)).max(1);
    let size = size.next_multiple_of(unit).min(most);
    (0..count)
        .step_by(size)
        .map(move |start| (start, size.min(count - start)))
}

impl Cpu {
    /// Applies a layer to `input`, `[rows, inputs]` row-major, in `f32`; `output` is
    /// `[rows, outputs]`.
    ///
    /// # Errors
    ///
    /// Slices whose lengths do not fit the layer.
    pub fn linear_f32(
        self,
        layer: &PackedF32,
        input: &[f32],
        output: &mut [f32],
        epilogue: Epilogue<'_>,
    ) -> Result<(), ShapeError> {
        check(input, layer.inputs, output, layer.outputs, &epilogue)?;
        dispatch!(self, kernel => linear_f32(kernel, layer, input, output, epilogue));
        Ok(())
    }
}

pub(crate) fn check(
    input: &[f32],
    inputs: usize,
    output: &[f32],
    outputs: usize,
    epilogue: &Epilogue<'_>,
) -> Result<(), ShapeError> {
    let rows = input.len() / inputs;
    length("input", rows * inputs, input.len())?;
    length("output", rows * outputs, output.len())?;
    if let Epilogue::AddNorm(norm) = epilogue {
        norm.check(outputs)?;
    }
    Ok(())
}

/// Normalises a finished block where the epilogue says so.
pub(crate) fn norm_block<K: Kernel>(
    kernel: K,
    block: &mut [f32],
    outputs: usize,
    epilogue: &Epilogue<'_>,
) {
    if let Epilogue::AddNorm(norm) = epilogue {
        for row in block.chunks_exact_mut(outputs) {
            kernel.layer_norm(row, norm.scale, norm.shift, norm.eps);
        }
    }
}

fn linear_f32<K: Kernel>(
    kernel: K,
    layer: &PackedF32,
    input: &[f32],
    output: &mut [f32],
    epilogue: Epilogue<'_>,
) {
    let (inputs, outputs) = (layer.inputs, layer.outputs);
    let rows = input.len() / inputs;
    let residual = matches!(epilogue, Epilogue::AddNorm(_));
    let mut tile = Tile([0.0; MAX_ROWS * MAX_PANELS * COLUMNS]);
    let stride = K::PANELS * COLUMNS;
    const NO_BIAS: [f32; MAX_PANELS * COLUMNS] = [0.0; MAX_PANELS * COLUMNS];

    for (first, count) in parts(rows, K::BLOCK_ROWS, K::ROWS) {
        let input = &input[first * inputs..][..count * inputs];
        let output = &mut output[first * outputs..][..count * outputs];
        for (from, depth) in parts(inputs, SLICE, 1) {
            let last = from + depth == inputs;
            for (column, columns) in steps(outputs, stride) {
                let panel = column / COLUMNS;
                let panels = Panels {
                    rows: &layer.rows[panel * inputs + from..],
                    stride: inputs,
                    count: columns.div_ceil(COLUMNS),
                    depth,
                };
                let bias = if from == 0 {
                    &layer.bias[column..column + columns]
                } else {
                    &NO_BIAS[..columns]
                };
                for (row, count) in parts(count, K::ROWS, 1) {
                    let a = Rows {
                        values: &input[row * inputs + from..],
                        stride: inputs,
                        count,
                    };
                    kernel.product_f32(a, panels, &mut tile.0, stride);
                    let finish = Finish {
                        rows: count,
                        stride,
                        bias,
                        output: &mut output[row * outputs + column..],
                        output_stride: outputs,
                        add: residual || from > 0,
                        gelu: last && matches!(epilogue, Epilogue::Gelu),
                    };
                    kernel.finish_f32(&tile.0, finish);
                }
            }
        }
        norm_block(kernel, output, outputs, &epilogue);
    }
}

/// Cuts `count` into steps of `size`; the last is what is left.
pub(crate) fn steps(count: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count)
        .step_by(size)
        .map(move |start| (start, size.min(count - start)))
}
