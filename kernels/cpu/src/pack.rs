//! Weight matrices in the order in which the kernels read them.
//!
//! A matrix `[outputs, inputs]` is cut into panels of 16 outputs; a panel is stored
//! input by input, so a kernel reads one cache line per step and nothing twice
//! (Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM TOMS
//! 34(3), 2008). Packed once, at load; the order is the same for every instruction
//! set but AMX, which has 16-bit weights as tiles of bytes. Columns beyond the last output are zeros.

use crate::{
    dispatch::{Cpu, Level},
    error::{ShapeError, length},
    kernel::COLUMNS,
    pages::gather,
};

/// The activations' amplitude in `i16` arithmetic: +-8191, 14 bits.
pub const ACTIVATION_AMPLITUDE: i16 = 8191;

/// The amplitude of activations and weights that are split into two signed bytes. The low
/// byte of the largest is 0, so that the product of low bytes, which is left out, is missed
/// least where it would count most.
pub(crate) const SPLIT_AMPLITUDE: i16 = 127 * 256;

/// The most that a column's whole weights may add up to in `i16` arithmetic.
const MOST_WEIGHT: usize = (i32::MAX as i64 / ACTIVATION_AMPLITUDE as i64) as usize;

/// The most inputs of a matrix in `i16` arithmetic: what the sums of split numbers, two
/// products of 127 and 128 for each input, can hold.
const MOST_INPUTS: usize = i32::MAX as usize / (2 * 127 * 128);

/// The same in 8-bit arithmetic, for activations of 255 units and weights of 127.
const MOST_INPUTS_I8: usize = i32::MAX as usize / (255 * 127);

/// Quads of inputs that a matrix of bytes is filled up to: a tile of AMX, 64 bytes.
pub(crate) const QUADS: usize = 16;

/// One input's weights to the 16 outputs of a panel: a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Row(pub(crate) [f32; COLUMNS]);

/// Two adjacent inputs' weights to the 16 outputs of a panel: a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct PairRow(pub(crate) [[i16; 2]; COLUMNS]);

/// Four adjacent inputs' weights to the 16 outputs of a panel, in bytes: a cache line.
/// 16 of them are a tile of AMX.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct QuadRow(pub(crate) [[u8; 4]; COLUMNS]);

impl QuadRow {
    pub(crate) const ZERO: Self = Self([[0; 4]; COLUMNS]);
}

impl Row {
    pub(crate) const ZERO: Self = Self([0.0; COLUMNS]);
}

/// Weights and bias of a linear layer, for `f32` arithmetic.
#[derive(Clone, Debug)]
pub struct PackedF32 {
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    /// Panel by panel, `inputs` rows each.
    pub(crate) rows: Vec<Row>,
    pub(crate) bias: Vec<f32>,
}

/// Weights and bias of a linear layer, for `i16` arithmetic.
///
/// Each output's weights are whole multiples of a unit of its own, chosen as small as
/// the range of i16 and of the sum allow: where sums are of whole products, activations are
/// at most 8191 units, so `8191 * sum |w| <= 2^31 - 1` excludes overflow for every input.
/// With AMX sums are of bytes' products, and activations and weights have all 16 bits.
#[derive(Clone, Debug)]
pub struct PackedI16 {
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    pub(crate) order: Order,
    pub(crate) bias: Vec<f32>,
    /// One unit of each output's weights.
    pub(crate) units: Vec<f32>,
}

/// How 16-bit weights lie in memory.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// Panel by panel, `inputs / 2` rows each, rounded up.
    Pairs(Vec<PairRow>),
    /// For processors that multiply bytes only, but many: `w = 256 * high + low`, both
    /// signed. Panel by panel, [`QUADS`] rows of high bytes and as many of low bytes by
    /// turns, `inputs / 4` of each, rounded up to whole [`QUADS`].
    Bytes(Vec<QuadRow>),
}

/// Weights and bias of a linear layer, for 8-bit arithmetic.
///
/// Each output's weights are whole multiples, from -127 to 127, of a unit of its own.
#[derive(Clone, Debug)]
pub struct PackedI8 {
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    /// Panel by panel, `inputs / 4` rows each, rounded up to whole [`QUADS`].
    pub(crate) rows: Vec<QuadRow>,
    pub(crate) bias: Vec<f32>,
    /// One unit of each output's weights.
    pub(crate) units: Vec<f32>,
    /// The sum of each output's whole weights: what a step of the activations' zero
    /// point adds to its sum.
    pub(crate) sums: Vec<i32>,
}

/// Rows of a panel of bytes.
pub(crate) fn quads(inputs: usize) -> usize {
    inputs.div_ceil(4).next_multiple_of(QUADS)
}

/// Puts one output's bytes in their places: in each group of `every` rows the first
/// [`QUADS`] from `first` on.
fn place_bytes(
    rows: &mut [QuadRow],
    output: usize,
    inputs: usize,
    [first, every]: [usize; 2],
    bytes: impl Iterator<Item = u8>,
) {
    let depth = quads(inputs) / QUADS * every;
    let panel = &mut rows[output / COLUMNS * depth..][..depth];
    for (index, byte) in bytes.enumerate() {
        let (tile, row) = (index / 4 / QUADS, index / 4 % QUADS);
        panel[tile * every + first + row].0[output % COLUMNS][index % 4] = byte;
    }
}

fn check(
    weight: &[f32],
    bias: Option<&[f32]>,
    outputs: usize,
    inputs: usize,
) -> Result<Vec<f32>, ShapeError> {
    for (what, size) in [("outputs", outputs), ("inputs", inputs)] {
        if size == 0 {
            return Err(ShapeError::Empty { what });
        }
    }
    let expected = outputs.saturating_mul(inputs);
    length("weight", expected, weight.len())?;
    let bias = bias.map_or_else(|| vec![0.0; outputs], <[f32]>::to_vec);
    length("bias", outputs, bias.len())?;
    for (output, (weights, bias)) in weight.chunks_exact(inputs).zip(&bias).enumerate() {
        if !bias.is_finite() || !weights.iter().all(|w| w.is_finite()) {
            return Err(ShapeError::NotFinite { output });
        }
    }
    Ok(bias)
}

impl PackedF32 {
    /// Packs `weight`, `[outputs, inputs]` row-major, and `bias`, `[outputs]` (none is
    /// zeros).
    ///
    /// # Errors
    ///
    /// A dimension of 0, a slice of another length, a weight that is not finite.
    pub fn pack(
        weight: &[f32],
        bias: Option<&[f32]>,
        outputs: usize,
        inputs: usize,
    ) -> Result<Self, ShapeError> {
        let bias = check(weight, bias, outputs, inputs)?;
        let mut rows = vec![Row::ZERO; outputs.div_ceil(COLUMNS) * inputs];
        for (output, weights) in weight.chunks_exact(inputs).enumerate() {
            let panel = &mut rows[output / COLUMNS * inputs..][..inputs];
            for (row, weight) in panel.iter_mut().zip(weights) {
                row.0[output % COLUMNS] = *weight;
            }
        }
        gather(&rows);
        Ok(Self {
            outputs,
            inputs,
            rows,
            bias,
        })
    }

    /// Columns of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
}

/// Which [`Order`] to pack in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Pairs,
    Bytes,
}

impl PackedI16 {
    /// As [`PackedF32::pack`], in the order that `cpu` is fastest with. The sums are the
    /// same whole numbers on every processor without AMX, and nearer to f32's with it.
    ///
    /// # Errors
    ///
    /// As there, and more inputs than 32-bit sums can hold (66,052).
    pub fn pack(
        cpu: Cpu,
        weight: &[f32],
        bias: Option<&[f32]>,
        outputs: usize,
        inputs: usize,
    ) -> Result<Self, ShapeError> {
        let layout = match cpu.level() {
            Level::Amx => Layout::Bytes,
            Level::Portable | Level::Avx2 | Level::Avx512 => Layout::Pairs,
        };
        let bias = check(weight, bias, outputs, inputs)?;
        if inputs > MOST_INPUTS {
            return Err(ShapeError::Depth {
                inputs,
                most: MOST_INPUTS,
            });
        }
        let pairs = inputs.div_ceil(2);
        let panels = outputs.div_ceil(COLUMNS);
        let mut order = match layout {
            Layout::Pairs => Order::Pairs(vec![PairRow([[0; 2]; COLUMNS]); panels * pairs]),
            Layout::Bytes => Order::Bytes(vec![QuadRow::ZERO; panels * 2 * quads(inputs)]),
        };
        let mut units = Vec::with_capacity(outputs);
        let mut whole = vec![0i16; inputs];
        for (output, weights) in weight.chunks_exact(inputs).enumerate() {
            match &mut order {
                Order::Pairs(rows) => {
                    units.push(quantise_column(weights, i16::MAX, MOST_WEIGHT, &mut whole));
                    let panel = &mut rows[output / COLUMNS * pairs..][..pairs];
                    for (index, weight) in whole.iter().enumerate() {
                        panel[index / 2].0[output % COLUMNS][index % 2] = *weight;
                    }
                }
                Order::Bytes(rows) => {
                    let amplitude = SPLIT_AMPLITUDE;
                    units.push(quantise_column(weights, amplitude, usize::MAX, &mut whole));
                    let low = whole.iter().map(|weight| *weight as u8);
                    // A low byte of 128 and more counts as negative.
                    let high = whole.iter().map(|weight| ((weight + 128) >> 8) as u8);
                    place_bytes(rows, output, inputs, [0, 2 * QUADS], high);
                    place_bytes(rows, output, inputs, [QUADS, 2 * QUADS], low);
                }
            }
        }
        match &order {
            Order::Pairs(rows) => gather(rows),
            Order::Bytes(rows) => gather(rows),
        }
        Ok(Self {
            outputs,
            inputs,
            order,
            bias,
            units,
        })
    }

    /// Columns of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
}

impl PackedI8 {
    /// As [`PackedF32::pack`].
    ///
    /// # Errors
    ///
    /// As there, and more inputs than 32-bit sums can hold (66,311).
    pub fn pack(
        weight: &[f32],
        bias: Option<&[f32]>,
        outputs: usize,
        inputs: usize,
    ) -> Result<Self, ShapeError> {
        let bias = check(weight, bias, outputs, inputs)?;
        if inputs > MOST_INPUTS_I8 {
            return Err(ShapeError::Depth {
                inputs,
                most: MOST_INPUTS_I8,
            });
        }
        let mut rows = vec![QuadRow::ZERO; outputs.div_ceil(COLUMNS) * quads(inputs)];
        let (mut units, mut sums) = (Vec::with_capacity(outputs), Vec::with_capacity(outputs));
        for (output, weights) in weight.chunks_exact(inputs).enumerate() {
            let most = weights.iter().fold(0.0f32, |most, w| most.max(w.abs()));
            let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
            let whole = weights.iter().map(|w| (w * inverse).round() as i8);
            units.push(most / 127.0);
            sums.push(whole.clone().map(i32::from).sum());
            let bytes = whole.map(i8::cast_unsigned);
            place_bytes(&mut rows, output, inputs, [0, QUADS], bytes);
        }
        gather(&rows);
        Ok(Self {
            outputs,
            inputs,
            rows,
            bias,
            units,
            sums,
        })
    }

    /// Columns of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
}

/// Writes one output's weights as multiples of a unit and returns the unit: the
/// smallest with which no weight leaves `amplitude` and their sum not `limit`.
fn quantise_column(weights: &[f32], amplitude: i16, limit: usize, whole: &mut [i16]) -> f32 {
    let most = weights.iter().fold(0.0f32, |most, w| most.max(w.abs()));
    if most == 0.0 {
        whole.fill(0);
        return 0.0;
    }
    let most = f64::from(most);
    let total: f64 = weights.iter().map(|w| f64::from(w.abs())).sum();
    let mut amplitude = f64::from(amplitude).min((limit as f64 * most / total).floor());
    loop {
        let mut sum = 0;
        for (whole, weight) in whole.iter_mut().zip(weights) {
            *whole = (f64::from(*weight) / most * amplitude).round() as i16;
            sum += usize::from(whole.unsigned_abs());
        }
        // Rounding may have carried the sum past the limit by a little.
        if sum <= limit {
            return (most / amplitude) as f32;
        }
        amplitude -= (amplitude * 1e-3).max(1.0);
    }
}
