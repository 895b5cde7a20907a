//! The arithmetic between products, written once for every instruction set.
//!
//! Each function is plain safe Rust over fixed groups of 16 values and is inlined
//! into one wrapper per instruction set (`kernel`), where the compiler turns the
//! groups into that set's vectors. The portable twin of a vector kernel is thus the
//! same source: only `FMA` (does `a * b + c` round once?) differs.
//!
//! The polynomials' coefficients are our own, fitted by Lawson's iteration (weighted
//! least squares, reweighted until the error is level: C. L. Lawson, 1961) in 30
//! digits.

/// Values handled at once: one cache line of `f32`.
pub(crate) const LANES: usize = 16;

/// Adding 1.5 * 2^23 rounds to a whole number, which then sits in the low bits.
const ROUND: f32 = 12_582_912.0;

/// `a * b + c`, rounded once where the machine does so in one instruction.
#[inline(always)]
fn madd<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `2^n` for a whole number in the low bits of `shifted = n + ROUND`; 0 for n = -127.
#[inline(always)]
fn power_of_two(shifted: f32) -> f32 {
    let n = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    f32::from_bits(n.wrapping_add(127) << 23)
}

/// `e^x` for x <= 0 within a relative error of 2.5e-7; 0 below -87.7; not a number
/// stays so.
///
/// The reduction is Cody and Waite's: `e^x = 2^n * e^r`, n whole and |r| <= ln 2 / 2,
/// with ln 2 in two parts so that r is exact. The polynomial for `e^r` is 1 at 0 and
/// within 9.2e-8.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;

    let x = if x < -88.0 { -88.0 } else { x };
    let shifted = madd::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = madd::<FMA>(n, -LN_2_LOW, madd::<FMA>(n, -LN_2_HIGH, x));
    let mut series = 0.008_290_307;
    series = madd::<FMA>(series, r, 0.041_897_933);
    series = madd::<FMA>(series, r, 0.166_676_36);
    series = madd::<FMA>(series, r, 0.499_991_5);
    series = madd::<FMA>(series, r, 0.999_999_7);
    series = madd::<FMA>(series, r, 1.0);
    series * power_of_two(shifted)
}

/// The exact GELU, `x * P(X <= x)` for a standard normal X (Hendrycks and Gimpel,
/// arXiv 1606.08415), not its tanh approximation: models are trained with it.
///
/// Computed as `max(x, 0) - |x| * P(X <= -|x|)`, which loses no digits where x is
/// negative; the logarithm of that probability is nearly a parabola, so a polynomial
/// of degree 8 and one power of 2 give it, without a division. The fit is within
/// 9e-9; with f32's rounding the absolute error is at most 2e-7 * max(1, |x|).
#[inline(always)]
pub(crate) fn gelu<const FMA: bool>(x: f32) -> f32 {
    // Beyond 16 the probability is 0 in f32, and the power below too.
    let z = x.abs();
    let z = if z < 16.0 { z } else { 16.0 };
    let mut log = -1.901_926_7e-6;
    log = madd::<FMA>(log, z, 2.805_494_6e-5);
    log = madd::<FMA>(log, z, -1.314_618_5e-4);
    log = madd::<FMA>(log, z, -2.721_087e-4);
    log = madd::<FMA>(log, z, 0.007_245_473);
    log = madd::<FMA>(log, z, -0.052_627_653);
    log = madd::<FMA>(log, z, -0.459_162_12);
    log = madd::<FMA>(log, z, -1.151_111);
    log = madd::<FMA>(log, z, -1.0);
    let log = if log < -127.0 { -127.0 } else { log };
    let shifted = log + ROUND;
    let f = log - (shifted - ROUND);
    let mut series = 0.001_326_471_5;
    series = madd::<FMA>(series, f, 0.009_671_513);
    series = madd::<FMA>(series, f, 0.055_507_336);
    series = madd::<FMA>(series, f, 0.240_222_42);
    series = madd::<FMA>(series, f, 0.693_147);
    series = madd::<FMA>(series, f, 1.0);
    let tail = series * power_of_two(shifted);
    let positive = if x < 0.0 { 0.0 } else { x };
    madd::<FMA>(-z, tail, positive)
}

/// [`gelu`] of every value.
#[inline(always)]
pub(crate) fn gelu_all<const FMA: bool>(values: &mut [f32]) {
    let (groups, rest) = values.as_chunks_mut::<LANES>();
    for group in groups {
        for value in group {
            *value = gelu::<FMA>(*value);
        }
    }
    for value in rest {
        *value = gelu::<FMA>(*value);
    }
}

#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    // Not `max`: this is one instruction.
    if a > b { a } else { b }
}

/// The largest of `values`.
#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut parts = [f32::NEG_INFINITY; LANES];
    for group in groups {
        for (part, value) in parts.iter_mut().zip(group) {
            *part = greater(*value, *part);
        }
    }
    let most = parts.into_iter().fold(f32::NEG_INFINITY, greater);
    rest.iter().copied().fold(most, greater)
}

/// The largest magnitude in `values`; 0 for none.
#[inline(always)]
pub(crate) fn amax(values: &[f32]) -> f32 {
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut parts = [0.0f32; LANES];
    for group in groups {
        for (part, value) in parts.iter_mut().zip(group) {
            *part = greater(value.abs(), *part);
        }
    }
    let most = parts.into_iter().fold(0.0, greater);
    rest.iter().map(|v| v.abs()).fold(most, greater)
}

/// Sixteen running sums made one, in a fixed order.
#[inline(always)]
fn fold(parts: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    let mut parts = parts;
    while width > 0 {
        for i in 0..width {
            parts[i] += parts[i + width];
        }
        width /= 2;
    }
    parts[0]
}

#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut parts = [0.0f32; LANES];
    for group in groups {
        for (part, value) in parts.iter_mut().zip(group) {
            *part += value;
        }
    }
    fold(parts) + rest.iter().sum::<f32>()
}

#[inline(always)]
pub(crate) fn sum_of_squares<const FMA: bool>(values: &[f32], mean: f32) -> f32 {
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut parts = [0.0f32; LANES];
    for group in groups {
        for (part, value) in parts.iter_mut().zip(group) {
            let value = value - mean;
            *part = madd::<FMA>(value, value, *part);
        }
    }
    fold(parts) + rest.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>()
}

/// Turns scores into `e^(score - largest)` and returns their sum: a softmax that
/// still has to be divided by it, which is cheaper to do to the product's few columns.
#[inline(always)]
pub(crate) fn softmax<const FMA: bool>(row: &mut [f32]) -> f32 {
    let most = largest(row);
    let (groups, rest) = row.as_chunks_mut::<LANES>();
    let mut parts = [0.0f32; LANES];
    for group in groups {
        for (part, value) in parts.iter_mut().zip(group) {
            *value = exp::<FMA>(*value - most);
            *part += *value;
        }
    }
    let mut total = fold(parts);
    for value in rest {
        *value = exp::<FMA>(*value - most);
        total += *value;
    }
    total
}

/// Layer normalisation (arXiv 1607.06450) of one row, in place.
#[inline(always)]
pub(crate) fn layer_norm<const FMA: bool>(row: &mut [f32], scale: &[f32], shift: &[f32], eps: f32) {
    let count = row.len() as f32;
    let mean = sum(row) / count;
    let variance = sum_of_squares::<FMA>(row, mean) / count;
    let inverse = (variance + eps).sqrt().recip();
    for ((value, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
        *value = madd::<FMA>((*value - mean) * inverse, *scale, *shift);
    }
}

/// `values[i]` times `inverse`, to the nearest whole number, in pairs; an odd last
/// one is paired with 0. The products lie within i16 (the caller's promise; others
/// give a wrong number, nothing worse).
#[inline(always)]
pub(crate) fn quantise(values: &[f32], inverse: f32, pairs: &mut [[i16; 2]]) {
    let whole = |value: f32| (value * inverse + ROUND).to_bits() as i16;
    let (inputs, rest) = values.as_chunks::<LANES>();
    let (outputs, last) = pairs.as_flattened_mut().as_chunks_mut::<LANES>();
    for (input, output) in inputs.iter().zip(outputs.iter_mut()) {
        for (value, output) in input.iter().zip(output) {
            *output = whole(*value);
        }
    }
    // Both tails start at the same place: an odd count adds 1 to the outputs, and the
    // tail of 15 inputs has 16 of them.
    let tail = outputs.get_mut(inputs.len()).map_or(last, |o| o.as_mut_slice());
    for (index, output) in tail.iter_mut().enumerate() {
        *output = rest.get(index).map_or(0, |value| whole(*value));
    }
}

/// Where the sums of a tile go.
pub(crate) struct Finish<'a> {
    /// Rows of the tile.
    pub(crate) rows: usize,
    /// Values between one row of the tile and the next.
    pub(crate) stride: usize,
    /// The bias of each column; its length is the number of columns that exist.
    pub(crate) bias: &'a [f32],
    /// From the tile's first value; rows are `output_stride` apart.
    pub(crate) output: &'a mut [f32],
    /// Values between one row of the output and the next.
    pub(crate) output_stride: usize,
    /// Adds to what is there (a residual, or the sum so far).
    pub(crate) add: bool,
    /// Applies GELU: this was the last part of the sum.
    pub(crate) gelu: bool,
}

/// Adds bias and what else is asked to a tile of products while it is in the cache.
#[inline(always)]
pub(crate) fn finish_f32<const FMA: bool>(tile: &[f32], finish: Finish<'_>) {
    finish_with::<FMA, f32>(tile, finish, |_, _, v| v);
}

/// As [`finish_f32`], from sums of whole numbers: each is first multiplied by its
/// row's and its column's unit.
#[inline(always)]
pub(crate) fn finish_i32<const FMA: bool>(
    tile: &[i32],
    row_units: &[f32],
    column_units: &[f32],
    finish: Finish<'_>,
) {
    finish_with::<FMA, i32>(tile, finish, |row, column, v| {
        v as f32 * (row_units[row] * column_units[column])
    });
}

#[inline(always)]
fn finish_with<const FMA: bool, T: Copy>(
    tile: &[T],
    finish: Finish<'_>,
    real: impl Fn(usize, usize, T) -> f32,
) {
    let columns = finish.bias.len();
    for row in 0..finish.rows {
        let sums = &tile[row * finish.stride..][..columns];
        let output = &mut finish.output[row * finish.output_stride..][..columns];
        let mut at = 0;
        while at < columns {
            let width = LANES.min(columns - at);
            let mut group = [0.0f32; LANES];
            if width == LANES {
                let (sums, bias) = (&sums[at..at + LANES], &finish.bias[at..at + LANES]);
                for j in 0..LANES {
                    group[j] = real(row, at + j, sums[j]) + bias[j];
                }
            } else {
                for j in 0..width {
                    group[j] = real(row, at + j, sums[at + j]) + finish.bias[at + j];
                }
            }
            let output = &mut output[at..at + width];
            if finish.add {
                for (value, before) in group.iter_mut().zip(output.iter()) {
                    *value += before;
                }
            }
            if finish.gelu {
                for value in &mut group {
                    *value = gelu::<FMA>(*value);
                }
            }
            output.copy_from_slice(&group[..width]);
            at += width;
        }
    }
}

/// `output[i] = tile[i] * factor`.
#[inline(always)]
pub(crate) fn scaled(tile: &[f32], factor: f32, output: &mut [f32]) {
    for (output, value) in output.iter_mut().zip(tile) {
        *output = value * factor;
    }
}

/// `row[i] += other[i]`.
#[inline(always)]
pub(crate) fn add(row: &mut [f32], other: &[f32]) {
    for (value, other) in row.iter_mut().zip(other) {
        *value += other;
    }
}
