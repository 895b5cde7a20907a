//! The arithmetic between products, written once for every instruction set.
//!
//! Each function is plain safe Rust, a loop without a branch or running sums in groups
//! of 16, and is inlined into one wrapper per instruction set (`kernel`), where the
//! compiler turns it into that set's vectors. The portable twin of a vector kernel is thus the
//! same source: only `FMA` (does `a * b + c` round once?) differs.
//!
//! The polynomials' coefficients are our own, fitted by Lawson's iteration (weighted
//! least squares, reweighted until the error is level: C. L. Lawson, 1961) in 30
//! digits.

use crate::kernel::MAX_BYTE_ROWS;

/// Values handled at once: one cache line of `f32`.
pub(crate) const LANES: usize = 16;

/// Adding 1.5 * 2^23 rounds to a whole number, which then sits in the low bits.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// ln 2 in two parts: a whole number below 2^15 times the first is exact.
pub(crate) const LN_2_HIGH: f32 = 355.0 / 512.0;
pub(crate) const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `e^r` for |r| <= ln 2 / 2, the highest power first.
pub(crate) const EXP: [f32; 6] = [
    0.008_290_307,
    0.041_897_933,
    0.166_676_36,
    0.499_991_5,
    0.999_999_7,
    1.0,
];

/// The logarithm to base 2 of `P(X <= -z)`, the highest power first.
pub(crate) const GELU_LOG: [f32; 9] = [
    -1.901_926_7e-6,
    2.805_494_6e-5,
    -1.314_618_5e-4,
    -2.721_087e-4,
    0.007_245_473,
    -0.052_627_653,
    -0.459_162_12,
    -1.151_111,
    -1.0,
];

/// `2^f` for |f| <= 1/2, the highest power first.
#[expect(
    clippy::approx_constant,
    reason = "a fitted coefficient near ln 2, not ln 2"
)]
pub(crate) const GELU_POWER: [f32; 6] = [
    0.001_326_471_5,
    0.009_671_513,
    0.055_507_336,
    0.240_222_42,
    0.693_147,
    1.0,
];

/// `a * b + c`, rounded once where the machine does so in one instruction.
#[inline(always)]
fn madd<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// The polynomial of `x`, the highest power's coefficient first.
#[inline(always)]
fn polynomial<const FMA: bool, const N: usize>(coefficients: [f32; N], x: f32) -> f32 {
    let [first, ref rest @ ..] = coefficients[..] else {
        return 0.0;
    };
    let add = |sum, coefficient: &f32| madd::<FMA>(sum, x, *coefficient);
    rest.iter().fold(first, add)
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
    let x = if x < -88.0 { -88.0 } else { x };
    let shifted = madd::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = madd::<FMA>(n, -LN_2_LOW, madd::<FMA>(n, -LN_2_HIGH, x));
    polynomial::<FMA, _>(EXP, r) * power_of_two(shifted)
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
    let log = polynomial::<FMA, _>(GELU_LOG, z);
    let log = if log < -127.0 { -127.0 } else { log };
    let shifted = log + ROUND;
    let f = log - (shifted - ROUND);
    let tail = polynomial::<FMA, _>(GELU_POWER, f) * power_of_two(shifted);
    let positive = if x < 0.0 { 0.0 } else { x };
    madd::<FMA>(-z, tail, positive)
}

/// [`gelu`] of every value.
#[inline(always)]
pub(crate) fn gelu_all<const FMA: bool>(values: &mut [f32]) {
    for value in values {
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

/// The largest magnitude in `values`; 0 for none, not a number where one is not.
///
/// Without their sign, floats are ordered as their bits are, and what is not a number
/// comes after infinity.
#[inline(always)]
pub(crate) fn amax(values: &[f32]) -> f32 {
    const SIGN: u32 = 1 << 31;
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut parts = [0u32; LANES];
    for group in groups {
        for (part, value) in parts.iter_mut().zip(group) {
            *part = (value.to_bits() & !SIGN).max(*part);
        }
    }
    let most = parts.into_iter().fold(0, u32::max);
    let rest = rest.iter().map(|value| value.to_bits() & !SIGN);
    f32::from_bits(rest.fold(most, u32::max))
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
    for value in row.iter_mut() {
        *value = exp::<FMA>(*value - most);
    }
    sum(row)
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
    let outputs = pairs.as_flattened_mut();
    let (outputs, padding) = outputs.split_at_mut(values.len());
    for (output, value) in outputs.iter_mut().zip(values) {
        *output = whole(*value);
    }
    padding.fill(0);
}

/// As [`quantise`], each whole number as two signed bytes, `256 * high + low`.
#[inline(always)]
pub(crate) fn split(values: &[f32], inverse: f32, high: &mut [[u8; 4]], low: &mut [[u8; 4]]) {
    let (high, high_padding) = high.as_flattened_mut().split_at_mut(values.len());
    let (low, low_padding) = low.as_flattened_mut().split_at_mut(values.len());
    for ((high, low), value) in high.iter_mut().zip(low).zip(values) {
        let whole = (value * inverse + ROUND).to_bits();
        *low = whole as u8;
        // A low byte of 128 and more counts as negative.
        *high = (whole.wrapping_add(128) >> 8) as u8;
    }
    high_padding.fill(0);
    low_padding.fill(0);
}

/// The least and the largest of `values` and 0. What is not a number is passed over.
#[inline(always)]
pub(crate) fn range(values: &[f32]) -> [f32; 2] {
    let less = |a: f32, b: f32| if a < b { a } else { b };
    let (groups, rest) = values.as_chunks::<LANES>();
    let (mut least, mut most) = ([0.0f32; LANES], [0.0f32; LANES]);
    for group in groups {
        for ((least, most), value) in least.iter_mut().zip(&mut most).zip(group) {
            *least = less(*value, *least);
            *most = greater(*value, *most);
        }
    }
    let (least, most) = (
        least.into_iter().fold(0.0, less),
        most.into_iter().fold(0.0, greater),
    );
    let rest = rest.iter().copied();
    [rest.clone().fold(least, less), rest.fold(most, greater)]
}

/// `values[i]` times `inverse`, to the nearest whole number, plus `zero`, which must
/// lie in 0 to 255, held to that range (not a number gives some byte).
#[inline(always)]
pub(crate) fn quantise_u8(values: &[f32], inverse: f32, zero: i32, bytes: &mut [[u8; 4]]) {
    let (bytes, padding) = bytes.as_flattened_mut().split_at_mut(values.len());
    for (byte, value) in bytes.iter_mut().zip(values) {
        let whole = (value * inverse + ROUND)
            .to_bits()
            .wrapping_sub(ROUND.to_bits()) as i32;
        *byte = whole.wrapping_add(zero).clamp(0, 255) as u8;
    }
    padding.fill(0);
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

/// What makes whole sums real.
#[derive(Clone, Copy)]
pub(crate) struct Units<'a> {
    /// One unit of each row.
    pub(crate) rows: &'a [f32],
    /// One unit of each column.
    pub(crate) columns: &'a [f32],
    /// The zero point of each row; none for zeros.
    pub(crate) zeros: &'a [i32],
    /// What a step of the zero point adds to each column's sum; none for zeros.
    pub(crate) sums: &'a [i32],
}

impl Units<'_> {
    const NONE: Self = Self {
        rows: &[],
        columns: &[],
        zeros: &[],
        sums: &[],
    };
}

/// Adds bias and what else is asked to a tile of products while it is in the cache.
#[inline(always)]
pub(crate) fn finish_f32<const FMA: bool>(tile: &[f32], finish: Finish<'_>) {
    finish_with::<FMA, f32>(tile, Units::NONE, finish, |v, _, _| v);
}

/// As [`finish_f32`], from sums of whole numbers: each first loses what the row's zero
/// point added, and is multiplied by its row's and its column's unit.
#[inline(always)]
pub(crate) fn finish_i32<const FMA: bool>(tile: &[i32], units: Units<'_>, finish: Finish<'_>) {
    finish_with::<FMA, i32>(tile, units, finish, |v, shift, unit| {
        v.wrapping_sub(shift) as f32 * unit
    });
}

/// As [`finish_i32`], from the sums of split numbers: 16 of high by high bytes in each row
/// of the tile, worth 256 of the 16 mixed ones that follow.
#[inline(always)]
pub(crate) fn finish_split<const FMA: bool>(
    tile: &[i32],
    units: Units<'_>,
    mut finish: Finish<'_>,
) {
    let mut joined = [0.0f32; MAX_BYTE_ROWS * LANES];
    let rows = tile.chunks(finish.stride);
    for (joined, sums) in joined.chunks_exact_mut(LANES).zip(rows).take(finish.rows) {
        let (both, mixed) = sums.split_at(LANES);
        for (joined, (both, mixed)) in joined.iter_mut().zip(both.iter().zip(mixed)) {
            *joined = madd::<FMA>(*both as f32, 256.0, *mixed as f32);
        }
    }
    finish.stride = LANES;
    finish_with::<FMA, f32>(&joined, units, finish, |v, _, unit| v * unit);
}

#[inline(always)]
fn finish_with<const FMA: bool, T: Copy>(
    tile: &[T],
    all_units: Units<'_>,
    finish: Finish<'_>,
    real: impl Fn(T, i32, f32) -> f32,
) {
    let columns = finish.bias.len();
    let (units, last_units) = all_units.columns.as_chunks::<LANES>();
    let (shifts, last_shifts) = all_units.sums.as_chunks::<LANES>();
    let (bias, last_bias) = finish.bias.as_chunks::<LANES>();
    for row in 0..finish.rows {
        let row_unit = all_units.rows.get(row).copied().unwrap_or(1.0);
        let zero = all_units.zeros.get(row).copied().unwrap_or(0);
        let sums = &tile[row * finish.stride..][..columns];
        let (sums, last_sums) = sums.as_chunks::<LANES>();
        let output = &mut finish.output[row * finish.output_stride..][..columns];
        let (output, last_output) = output.as_chunks_mut::<LANES>();
        for (group, ((sums, bias), output)) in sums.iter().zip(bias).zip(output).enumerate() {
            let units = units.get(group).unwrap_or(&[1.0; LANES]);
            let mut values = [0.0f32; LANES];
            if let Some(shifts) = shifts.get(group) {
                for j in 0..LANES {
                    let shift = zero.wrapping_mul(shifts[j]);
                    values[j] = real(sums[j], shift, row_unit * units[j]) + bias[j];
                }
            } else {
                for j in 0..LANES {
                    values[j] = real(sums[j], 0, row_unit * units[j]) + bias[j];
                }
            }
            if finish.add {
                for j in 0..LANES {
                    values[j] += output[j];
                }
            }
            if finish.gelu {
                for value in &mut values {
                    *value = gelu::<FMA>(*value);
                }
            }
            *output = values;
        }
        for (j, output) in last_output.iter_mut().enumerate() {
            let unit = last_units.get(j).copied().unwrap_or(1.0);
            let shift = last_shifts.get(j).map_or(0, |sum| zero.wrapping_mul(*sum));
            let mut value = real(last_sums[j], shift, row_unit * unit) + last_bias[j];
            if finish.add {
                value += *output;
            }
            *output = if finish.gelu {
                gelu::<FMA>(value)
            } else {
                value
            };
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

#[cfg(test)]
mod tests;
