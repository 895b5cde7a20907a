//! Linear layers in whole numbers: activations are quantised row by row, multiplied
//! exactly, and made real again while the sums are in the first-level cache.
//!
//! Three forms of numbers, one loop around their tiles: pairs of 16 bits; the same
//! numbers as two bytes each; and 8 bits with a zero point for each row, so that a row
//! of GELU's output, nearly all of it positive, uses all of its 256 steps.

use crate::{
    dispatch::{Cpu, dispatch},
    error::ShapeError,
    kernel::{ByteTile, COLUMNS, Kernel, Panels, Rows, Shape},
    linear::{Epilogue, Workspace, check, norm_block, parts, sized, steps},
    math::{Finish, Units},
    pack::{ACTIVATION_AMPLITUDE, Order, PackedI8, PackedI16, PairRow, QuadRow, quads},
};

/// What a call needs; grows to the largest call and then stays.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    numbers: Numbers,
    /// One unit of each of the block's rows, and its zero point.
    units: Vec<f32>,
    zeros: Vec<i32>,
}

/// A block's quantised activations, in one form or another.
#[derive(Debug, Default)]
struct Numbers {
    pairs: Vec<[i16; 2]>,
    bytes: Vec<[u8; 4]>,
    low_bytes: Vec<[u8; 4]>,
}

impl Cpu {
    /// As [`Self::linear_f32`], in whole numbers: each row of `input` is rounded to
    /// multiples of its largest magnitude / 8191, the sums are exact, the output is
    /// `f32`.
    ///
    /// A value in a row that is infinite or not a number makes that row's output not a
    /// number.
    ///
    /// # Errors
    ///
    /// Slices whose lengths do not fit the layer.
    pub fn linear_i16(
        self,
        layer: &PackedI16,
        input: &[f32],
        output: &mut [f32],
        epilogue: Epilogue<'_>,
        workspace: &mut Workspace,
    ) -> Result<(), ShapeError> {
        check(input, layer.inputs, output, layer.outputs, &epilogue)?;
        let whole = Whole {
            inputs: layer.inputs,
            bias: &layer.bias,
            units: &layer.units,
            sums: &[],
        };
        let buffers = &mut workspace.whole;
        dispatch!(self, kernel => match &layer.order {
            Order::Pairs(rows) => linear::<_, Pairs<'_>>(
                kernel, &whole, rows, input, output, epilogue, buffers,
            ),
            Order::Bytes { high, low } => linear::<_, Split<'_>>(
                kernel, &whole, [high, low], input, output, epilogue, buffers,
            ),
        });
        Ok(())
    }

    /// As [`Self::linear_i16`], in 8 bits: each row of `input` is rounded to 256 levels
    /// from its least value (or 0) to its largest (or 0).
    ///
    /// # Errors
    ///
    /// Slices whose lengths do not fit the layer.
    pub fn linear_i8(
        self,
        layer: &PackedI8,
        input: &[f32],
        output: &mut [f32],
        epilogue: Epilogue<'_>,
        workspace: &mut Workspace,
    ) -> Result<(), ShapeError> {
        check(input, layer.inputs, output, layer.outputs, &epilogue)?;
        let whole = Whole {
            inputs: layer.inputs,
            bias: &layer.bias,
            units: &layer.units,
            sums: &layer.sums,
        };
        let buffers = &mut workspace.whole;
        dispatch!(self, kernel => linear::<_, Bytes<'_>>(
            kernel, &whole, &layer.rows, input, output, epilogue, buffers,
        ));
        Ok(())
    }
}

/// A layer without its weights.
struct Whole<'a> {
    inputs: usize,
    bias: &'a [f32],
    units: &'a [f32],
    sums: &'a [i32],
}

/// A form of whole numbers: a block's activations in it, and their products with a
/// layer's weights.
trait Form<'a>: Sized {
    /// All panels of the weights.
    type Weights: Copy;

    fn shape<K: Kernel>() -> Shape;

    /// Room for a block of `rows`.
    fn new(numbers: &'a mut Numbers, weights: Self::Weights, rows: usize, inputs: usize) -> Self;

    /// Quantises row `row` of the block; returns its unit and zero point.
    fn quantise<K: Kernel>(&mut self, kernel: K, row: usize, values: &[f32]) -> (f32, i32);

    /// The sums of `rows` and `panels`, each as the first and their number.
    fn product<K: Kernel>(
        &self,
        kernel: K,
        session: &K::Session,
        rows: [usize; 2],
        panels: [usize; 2],
        tile: &mut [i32],
    );
}

fn linear<'a, K: Kernel, F: Form<'a>>(
    kernel: K,
    layer: &Whole<'_>,
    weights: F::Weights,
    input: &[f32],
    output: &mut [f32],
    epilogue: Epilogue<'_>,
    buffers: &'a mut Buffers,
) {
    let (inputs, outputs) = (layer.inputs, layer.bias.len());
    let rows = input.len() / inputs;
    let residual = matches!(epilogue, Epilogue::AddNorm(_));
    let shape = F::shape::<K>();
    let stride = shape.panels * COLUMNS;
    let mut tile = ByteTile([0; _]);
    let most = K::BLOCK_ROWS.min(rows);
    let units = sized(&mut buffers.units, most, 0.0);
    let zeros = sized(&mut buffers.zeros, most, 0);
    let padded = most.next_multiple_of(shape.unit);
    let mut form = F::new(&mut buffers.numbers, weights, padded, inputs);
    let session = kernel.session();

    for (first, count) in parts(rows, K::BLOCK_ROWS, shape.rows) {
        let input = &input[first * inputs..][..count * inputs];
        let output = &mut output[first * outputs..][..count * outputs];
        for (row, values) in input.chunks_exact(inputs).enumerate() {
            (units[row], zeros[row]) = form.quantise(kernel, row, values);
        }
        for (column, columns) in steps(outputs, stride) {
            let panels = [column / COLUMNS, columns.div_ceil(COLUMNS)];
            let columns = column..column + columns;
            for (row, count) in parts(count, shape.rows, shape.unit) {
                form.product(kernel, &session, [row, count], panels, &mut tile.0);
                let finish = Finish {
                    rows: count,
                    stride,
                    bias: &layer.bias[columns.clone()],
                    output: &mut output[row * outputs + column..],
                    output_stride: outputs,
                    add: residual,
                    gelu: matches!(epilogue, Epilogue::Gelu),
                };
                let units = Units {
                    rows: &units[row..row + count],
                    columns: &layer.units[columns.clone()],
                    zeros: &zeros[row..row + count],
                    sums: layer.sums.get(columns.clone()).unwrap_or_default(),
                };
                kernel.finish_i32(&tile.0, units, finish);
            }
        }
        norm_block(kernel, output, outputs, &epilogue);
    }
}

/// A unit of which `steps` make `most`, and its inverse; not a number where `most` is
/// infinite or not one.
fn unit(most: f32, steps: f32) -> (f32, f32) {
    if most > 0.0 {
        (most / steps, steps / most)
    } else {
        // 0, or not a number.
        (most, 0.0)
    }
}

fn rows_of<T>(values: &[T], stride: usize, [first, count]: [usize; 2]) -> Rows<'_, T> {
    Rows {
        values: &values[first * stride..],
        stride,
        count,
    }
}

fn panels_of<T>(rows: &[T], stride: usize, [first, count]: [usize; 2]) -> Panels<'_, T> {
    Panels {
        rows: &rows[first * stride..],
        stride,
        count,
        depth: stride,
    }
}

/// 16 bits, in pairs.
struct Pairs<'a> {
    pairs: &'a mut [[i16; 2]],
    weights: &'a [PairRow],
    depth: usize,
}

impl<'a> Form<'a> for Pairs<'a> {
    type Weights = &'a [PairRow];

    fn shape<K: Kernel>() -> Shape {
        Shape {
            rows: K::ROWS,
            panels: K::PANELS,
            unit: 1,
        }
    }

    fn new(numbers: &'a mut Numbers, weights: Self::Weights, rows: usize, inputs: usize) -> Self {
        let depth = inputs.div_ceil(2);
        Self {
            pairs: sized(&mut numbers.pairs, rows * depth, [0; 2]),
            weights,
            depth,
        }
    }

    fn quantise<K: Kernel>(&mut self, kernel: K, row: usize, values: &[f32]) -> (f32, i32) {
        let (unit, inverse) = unit(kernel.amax(values), f32::from(ACTIVATION_AMPLITUDE));
        let pairs = &mut self.pairs[row * self.depth..][..self.depth];
        kernel.quantise(values, inverse, pairs);
        (unit, 0)
    }

    fn product<K: Kernel>(
        &self,
        kernel: K,
        _: &K::Session,
        rows: [usize; 2],
        panels: [usize; 2],
        tile: &mut [i32],
    ) {
        let a = rows_of(&*self.pairs, self.depth, rows);
        let b = panels_of(self.weights, self.depth, panels);
        kernel.product_i16(a, b, tile, K::PANELS * COLUMNS);
    }
}

/// 16 bits as two bytes.
struct Split<'a> {
    high: &'a mut [[u8; 4]],
    low: &'a mut [[u8; 4]],
    weights: [&'a [QuadRow]; 2],
    depth: usize,
}

impl<'a> Form<'a> for Split<'a> {
    type Weights = [&'a [QuadRow]; 2];

    fn shape<K: Kernel>() -> Shape {
        K::SPLIT
    }

    fn new(numbers: &'a mut Numbers, weights: Self::Weights, rows: usize, inputs: usize) -> Self {
        let depth = quads(inputs);
        Self {
            high: sized(&mut numbers.bytes, rows * depth, [0; 4]),
            low: sized(&mut numbers.low_bytes, rows * depth, [0; 4]),
            weights,
            depth,
        }
    }

    fn quantise<K: Kernel>(&mut self, kernel: K, row: usize, values: &[f32]) -> (f32, i32) {
        let (unit, inverse) = unit(kernel.amax(values), f32::from(ACTIVATION_AMPLITUDE));
        let high = &mut self.high[row * self.depth..][..self.depth];
        let low = &mut self.low[row * self.depth..][..self.depth];
        kernel.split(values, inverse, high, low);
        (unit, 0)
    }

    fn product<K: Kernel>(
        &self,
        kernel: K,
        session: &K::Session,
        rows: [usize; 2],
        panels: [usize; 2],
        tile: &mut [i32],
    ) {
        let a = [&*self.high, &*self.low].map(|values| rows_of(values, self.depth, rows));
        let b = self
            .weights
            .map(|weights| panels_of(weights, self.depth, panels));
        kernel.product_split(session, a, b, tile, K::SPLIT.panels * COLUMNS);
    }
}

/// 8 bits with a zero point.
struct Bytes<'a> {
    bytes: &'a mut [[u8; 4]],
    weights: &'a [QuadRow],
    depth: usize,
}

impl<'a> Form<'a> for Bytes<'a> {
    type Weights = &'a [QuadRow];

    fn shape<K: Kernel>() -> Shape {
        K::BYTES
    }

    fn new(numbers: &'a mut Numbers, weights: Self::Weights, rows: usize, inputs: usize) -> Self {
        let depth = quads(inputs);
        Self {
            bytes: sized(&mut numbers.bytes, rows * depth, [0; 4]),
            weights,
            depth,
        }
    }

    fn quantise<K: Kernel>(&mut self, kernel: K, row: usize, values: &[f32]) -> (f32, i32) {
        let bytes = &mut self.bytes[row * self.depth..][..self.depth];
        let [least, most] = kernel.range(values);
        let (unit, inverse) = unit(most - least, 255.0);
        // From 0 to 255 where it is a number, and 0 where it is not.
        let zero = (-least * inverse).round() as i32;
        kernel.quantise_u8(values, inverse, zero, bytes);
        // A value that is no number is no part of the range.
        let amax = kernel.amax(values);
        (if amax.is_finite() { unit } else { f32::NAN }, zero)
    }

    fn product<K: Kernel>(
        &self,
        kernel: K,
        session: &K::Session,
        rows: [usize; 2],
        panels: [usize; 2],
        tile: &mut [i32],
    ) {
        let a = rows_of(&*self.bytes, self.depth, rows);
        let b = panels_of(self.weights, self.depth, panels);
        kernel.product_i8(session, a, b, tile, K::BYTES.panels * COLUMNS);
    }
}
