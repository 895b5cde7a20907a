//! Linear layers in whole numbers: activations are quantised row by row, multiplied
//! exactly, and made real again while the sums are in the first-level cache.
//!
//! Three forms of numbers, one loop around their tiles: pairs of 16 bits; 16 bits as two
//! bytes; and 8 bits with a zero point for each row, so that a row of GELU's output, nearly
//! all of it positive, uses all of its 256 steps.

use std::ops::Range;

use crate::{
    dispatch::{Cpu, dispatch},
    error::ShapeError,
    kernel::{ByteTile, COLUMNS, Kernel, Panels, Rows, SPLIT_STRIDE, Shape, Sum},
    linear::{Epilogue, Workspace, check, norm_block, parts, sized, steps},
    math::{Finish, Units},
    pack::{
        ACTIVATION_AMPLITUDE, Order, PackedI8, PackedI16, PairRow, QUADS, QuadRow, SPLIT_AMPLITUDE,
        quads,
    },
};

/// What a call needs; grows to the largest call and then stays.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    numbers: Numbers,
    /// One unit of each of the block's rows, and its zero point.
    units: Vec<f32>,
    zeros: Vec<i32>,
    tiles: Vec<ByteTile>,
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
    /// multiples of its largest magnitude / 8191 and the sums are exact; or, with AMX,
    /// to multiples of its largest magnitude / 32,512, and products are within 2^-16 of the
    /// largest. The output is `f32`.
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
            Order::Bytes(rows) => linear::<_, Split<'_>>(
                kernel, &whole, rows, input, output, epilogue, buffers,
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

    /// The most rows of a block.
    fn block<K: Kernel>() -> usize {
        K::BLOCK_ROWS
    }

    /// Slices that the depth is taken in, one after the other over all the block's tiles.
    fn slices(&self) -> usize {
        1
    }

    /// Room for a block of `rows`.
    fn new(numbers: &'a mut Numbers, weights: Self::Weights, rows: usize, inputs: usize) -> Self;

    /// Quantises row `row` of the block; returns its unit and zero point.
    fn quantise<K: Kernel>(&mut self, kernel: K, row: usize, values: &[f32]) -> (f32, i32);

    /// The sums of a part of the block's products.
    fn product<K: Kernel>(&self, kernel: K, session: &K::Session, part: &Part, tile: &mut [i32]);

    /// Sums in a row of a tile.
    fn stride<K: Kernel>() -> usize {
        Self::shape::<K>().panels * COLUMNS
    }

    /// Makes the sums of a tile real.
    fn finish<K: Kernel>(kernel: K, tile: &[i32], units: Units<'_>, finish: Finish<'_>) {
        kernel.finish_i32(tile, units, finish);
    }
}

/// Some rows times some panels, over a slice of the depth.
struct Part {
    /// The first and their number.
    rows: [usize; 2],
    panels: [usize; 2],
    slice: usize,
    /// No other rows have met the weights just now.
    cold: bool,
}

/// A tile's place in a block: its rows and columns.
#[derive(Clone)]
struct Place {
    rows: Range<usize>,
    columns: Range<usize>,
}

/// Columns of a block whose tiles are kept while the slices of the depth pass.
const KEPT_COLUMNS: usize = 384;

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
    let most = F::block::<K>().min(rows);
    let units = sized(&mut buffers.units, most, 0.0);
    let zeros = sized(&mut buffers.zeros, most, 0);
    let padded = most.next_multiple_of(shape.unit);
    let mut form = F::new(&mut buffers.numbers, weights, padded, inputs);
    let slices = form.slices();
    // With one slice a tile is done with when the next one is.
    let (kept, columns_at_once) = if slices > 1 {
        let tall = most.div_ceil(shape.rows);
        (KEPT_COLUMNS.div_ceil(stride) * tall, KEPT_COLUMNS)
    } else {
        (2, outputs)
    };
    let tiles = sized(&mut buffers.tiles, kept, ByteTile::ZERO);
    let session = kernel.session();

    for (first, count) in parts(rows, F::block::<K>(), shape.rows) {
        let cold = first == 0;
        let input = &input[first * inputs..][..count * inputs];
        let output = &mut output[first * outputs..][..count * outputs];
        for (row, values) in input.chunks_exact(inputs).enumerate() {
            (units[row], zeros[row]) = form.quantise(kernel, row, values);
        }
        let mut finish = |Place { rows, columns }: Place, tile: &ByteTile| {
            let finish = Finish {
                rows: rows.len(),
                stride: F::stride::<K>(),
                bias: &layer.bias[columns.clone()],
                output: &mut output[rows.start * outputs + columns.start..],
                output_stride: outputs,
                add: residual,
                gelu: matches!(epilogue, Epilogue::Gelu),
            };
            let units = Units {
                rows: &units[rows.clone()],
                columns: &layer.units[columns.clone()],
                zeros: &zeros[rows],
                sums: layer.sums.get(columns).unwrap_or_default(),
            };
            F::finish(kernel, &tile.0, units, finish);
        };
        // A tile is finished while the next one's product is under way: that of AMX takes
        // hundreds of cycles in which the other units are free.
        let mut last: Option<(Place, usize)> = None;
        for (left, columns) in steps(outputs, columns_at_once) {
            for slice in 0..slices {
                let mut tile = 0;
                for (column, columns) in steps(columns, stride) {
                    let column = left + column;
                    let panels = [column / COLUMNS, columns.div_ceil(COLUMNS)];
                    for (row, count) in parts(count, shape.rows, shape.unit) {
                        let part = Part {
                            rows: [row, count],
                            panels,
                            slice,
                            cold: cold && row == 0,
                        };
                        let at = tile % kept;
                        form.product(kernel, &session, &part, &mut tiles[at].0);
                        tile += 1;
                        if slice + 1 < slices {
                            continue;
                        }
                        let place = Place {
                            rows: row..row + count,
                            columns: column..column + columns,
                        };
                        if let Some((last, at)) = last.replace((place, at)) {
                            finish(last, &tiles[at]);
                        }
                    }
                }
            }
            if let Some((last, at)) = last.take() {
                finish(last, &tiles[at]);
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

    fn product<K: Kernel>(&self, kernel: K, _: &K::Session, part: &Part, tile: &mut [i32]) {
        let a = rows_of(&*self.pairs, self.depth, part.rows);
        let b = panels_of(self.weights, self.depth, part.panels);
        kernel.product_i16(a, b, tile, K::PANELS * COLUMNS);
    }
}

/// 16 bits as two bytes, taken in slices of the depth.
struct Split<'a> {
    /// Slice by slice, and row by row in each.
    high: &'a mut [[u8; 4]],
    low: &'a mut [[u8; 4]],
    weights: &'a [QuadRow],
    rows: usize,
    /// Quads of a row.
    depth: usize,
}

impl Split<'_> {
    /// Quads of a slice: 32 rows of it, both planes, are half of a first-level cache of
    /// 48 KiB, and the weights stream through the rest.
    const SLICE: usize = 6 * QUADS;
    /// The planes of these rows stay in the first-level cache while all panels pass.
    const BLOCK: usize = 32;

    /// The quads of a slice: the first and their number.
    fn slice(&self, slice: usize) -> [usize; 2] {
        let first = slice * Self::SLICE;
        [first, Self::SLICE.min(self.depth - first)]
    }
}

impl<'a> Form<'a> for Split<'a> {
    type Weights = &'a [QuadRow];

    fn shape<K: Kernel>() -> Shape {
        K::SPLIT
    }

    fn block<K: Kernel>() -> usize {
        Self::BLOCK
    }

    fn slices(&self) -> usize {
        self.depth.div_ceil(Self::SLICE)
    }

    fn new(numbers: &'a mut Numbers, weights: Self::Weights, rows: usize, inputs: usize) -> Self {
        let depth = quads(inputs);
        Self {
            high: sized(&mut numbers.bytes, rows * depth, [0; 4]),
            low: sized(&mut numbers.low_bytes, rows * depth, [0; 4]),
            weights,
            rows,
            depth,
        }
    }

    fn quantise<K: Kernel>(&mut self, kernel: K, row: usize, values: &[f32]) -> (f32, i32) {
        let (unit, inverse) = unit(kernel.amax(values), f32::from(SPLIT_AMPLITUDE));
        for slice in 0..self.slices() {
            let [first, depth] = self.slice(slice);
            let from = (4 * first).min(values.len());
            let values = &values[from..(4 * (first + depth)).min(values.len())];
            let at = first * self.rows + row * depth;
            let (high, low) = (&mut self.high[at..][..depth], &mut self.low[at..][..depth]);
            kernel.split(values, inverse, high, low);
        }
        // The sums are of high bytes by low ones.
        (unit * 256.0, 0)
    }

    fn product<K: Kernel>(&self, kernel: K, session: &K::Session, part: &Part, tile: &mut [i32]) {
        let [first, depth] = self.slice(part.slice);
        let a = [&*self.high, &*self.low]
            .map(|values| rows_of(&values[first * self.rows..], depth, part.rows));
        let b = Panels {
            rows: &self.weights[2 * (part.panels[0] * self.depth + first)..],
            stride: 2 * self.depth,
            count: part.panels[1],
            depth: 2 * depth,
        };
        let sum = Sum {
            add: part.slice > 0,
            cold: part.cold,
        };
        kernel.product_split(session, a, b, tile, sum);
    }

    fn stride<K: Kernel>() -> usize {
        SPLIT_STRIDE
    }

    fn finish<K: Kernel>(kernel: K, tile: &[i32], units: Units<'_>, finish: Finish<'_>) {
        kernel.finish_split(tile, units, finish);
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

    fn block<K: Kernel>() -> usize {
        K::BYTE_BLOCK_ROWS
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

    fn product<K: Kernel>(&self, kernel: K, session: &K::Session, part: &Part, tile: &mut [i32]) {
        let a = rows_of(&*self.bytes, self.depth, part.rows);
        let b = panels_of(self.weights, self.depth, part.panels);
        kernel.product_i8(session, a, b, tile, K::BYTES.panels * COLUMNS);
    }
}
