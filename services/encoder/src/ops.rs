//! The arithmetic between matrix products: softmax, GELU, layer normalisation.
//!
//! These loops run over every activation, so they are written without a call or a
//! branch inside, and the compiler turns them into vector instructions; `exp` of
//! the standard library would be a call for each element.

use ndarray::{ArrayView2, ArrayViewMut2};

/// `e^x` for x <= 0, to 2 units in the last place; 0 for all that would be
/// subnormal.
///
/// Cody and Waite's reduction: `e^x = 2^n * e^r`, n whole and |r| <= ln 2 / 2, with
/// ln 2 in two parts so that r is exact, and the Taylor series of `e^r`, whose
/// first omitted term (r^8 / 8!) is below 6e-9.
#[inline(always)]
fn exp_nonpositive(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Adding 1.5 * 2^23 rounds to a whole number, which then sits in the low bits.
    const ROUND: f32 = 12_582_912.0;

    let clamped = x.max(-87.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut series = 1.0 / 5040.0;
    series = series * r + 1.0 / 720.0;
    series = series * r + 1.0 / 120.0;
    series = series * r + 1.0 / 24.0;
    series = series * r + 1.0 / 6.0;
    series = series * r + 0.5;
    series = series * r + 1.0;
    series = series * r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let power = f32::from_bits(((exponent + 127) << 23) as u32);
    if x < -87.0 { 0.0 } else { series * power }
}

/// Turns each score into its share: `row[i] = e^row[i] / sum_j e^row[j]`.
pub(crate) fn softmax(row: &mut [f32]) {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for value in row.iter_mut() {
        *value = exp_nonpositive(*value - most);
    }
    let scale = sum(row).recip();
    for value in row.iter_mut() {
        *value *= scale;
    }
}

/// The exact GELU, `x * P(X <= x)` for a standard normal X (Hendrycks and Gimpel,
/// arXiv 1606.08415), not its tanh approximation: the model was trained with it.
///
/// With `E = erfc(|x| / sqrt 2)` it is `max(x, 0) - |x| * E / 2`, which loses no
/// digits where x is negative. `erfc` is formula 7.1.26 of Abramowitz and Stegun,
/// Handbook of Mathematical Functions: absolute error at most 1.5e-7.
pub(crate) fn gelu(values: &mut [f32]) {
    for value in values {
        let x = *value;
        let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
        let t = 1.0 / (1.0 + 0.327_591_1 * z);
        let mut series = 1.061_405_4;
        series = series * t - 1.453_152;
        series = series * t + 1.421_413_7;
        series = series * t - 0.284_496_74;
        series = series * t + 0.254_829_6;
        let erfc = series * t * exp_nonpositive(-z * z);
        *value = x.max(0.0) - 0.5 * x.abs() * erfc;
    }
}

/// Layer normalisation (arXiv 1607.06450) of each row of `rows`, `[n, hidden]`
/// row-major: mean 0 and variance 1, then `scale` and `shift`, both `[hidden]`.
pub(crate) fn layer_norm(rows: &mut [f32], scale: &[f32], shift: &[f32], eps: f32) {
    let hidden = scale.len();
    for row in rows.chunks_exact_mut(hidden) {
        let mean = sum(row) / hidden as f32;
        for value in row.iter_mut() {
            *value -= mean;
        }
        let variance = sum_of_squares(row) / hidden as f32;
        let inverse = (variance + eps).sqrt().recip();
        for ((value, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
            *value = *value * inverse * scale + shift;
        }
    }
}

/// A slice as the matrix `[len / width, width]`.
pub(crate) fn view(values: &[f32], width: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((values.len() / width, width), values)
        .expect("a buffer holds whole rows")
}

/// As [`view`], to write to.
pub(crate) fn view_mut(values: &mut [f32], width: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((values.len() / width, width), values)
        .expect("a buffer holds whole rows")
}

/// Adds `other` to `values`, element by element.
pub(crate) fn add(values: &mut [f32], other: &[f32]) {
    for (value, other) in values.iter_mut().zip(other) {
        *value += other;
    }
}

/// The sum in eight running parts: vectorised, and more exact than one.
fn sum(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut parts = [0.0f32; 8];
    for chunk in chunks {
        for (part, value) in parts.iter_mut().zip(chunk) {
            *part += value;
        }
    }
    parts.iter().chain(rest).sum()
}

fn sum_of_squares(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut parts = [0.0f32; 8];
    for chunk in chunks {
        for (part, value) in parts.iter_mut().zip(chunk) {
            *part += value * value;
        }
    }
    parts.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exp_agrees_with_f64(x in -86.0f32..=0.0) {
            let exact = f64::from(x).exp();
            prop_assert!((f64::from(exp_nonpositive(x)) / exact - 1.0).abs() < 3e-7);
        }

        #[test]
        fn gelu_agrees_with_the_error_function(x in -12.0f32..12.0) {
            let exact = 0.5 * f64::from(x) * libm::erfc(-f64::from(x) / f64::sqrt(2.0));
            let mut value = [x];
            gelu(&mut value);
            let error = (f64::from(value[0]) - exact).abs();
            prop_assert!(error < 3e-7 * f64::from(x.abs()).max(1.0), "{x}: {error}");
        }

        #[test]
        fn softmax_agrees_with_f64_and_sums_to_one(
            row in prop::collection::vec(-40.0f32..40.0, 1..40)
        ) {
            let exact: Vec<f64> = row.iter().map(|x| f64::from(*x).exp()).collect();
            let total: f64 = exact.iter().sum();
            let mut shares = row.clone();
            softmax(&mut shares);
            for (share, exact) in shares.iter().zip(&exact) {
                prop_assert!((f64::from(*share) - exact / total).abs() < 1e-6);
            }
            prop_assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }

        #[test]
        fn layer_norm_agrees_with_f64(
            row in prop::collection::vec(-10.0f32..10.0, 2..50),
            scale in -2.0f32..2.0,
            shift in -2.0f32..2.0,
        ) {
            let n = row.len() as f64;
            let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
            let variance = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
            prop_assume!(variance > 1e-3);
            let mut found = row.clone();
            let (scales, shifts) = (vec![scale; row.len()], vec![shift; row.len()]);
            layer_norm(&mut found, &scales, &shifts, 1e-12);
            for (found, x) in found.iter().zip(&row) {
                let exact = (f64::from(*x) - mean) / (variance + 1e-12).sqrt()
                    * f64::from(scale) + f64::from(shift);
                prop_assert!((f64::from(*found) - exact).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn softmax_of_huge_and_distant_scores_stays_finite() {
        let mut row = [3.0e38, -3.0e38, 3.0e38];
        softmax(&mut row);
        assert_eq!(row, [0.5, 0.0, 0.5]);
    }

    #[test]
    fn gelu_keeps_its_limits() {
        let mut values = [0.0, -0.0, 40.0, -40.0, 1.0e30, -1.0e30];
        gelu(&mut values);
        assert_eq!(values, [0.0, 0.0, 40.0, 0.0, 1.0e30, 0.0]);
    }

    #[test]
    fn layer_norm_of_a_constant_row_is_the_shift() {
        let mut row = [5.0; 4];
        layer_norm(&mut row, &[1.0; 4], &[0.25; 4], 1e-12);
        assert_eq!(row, [0.25; 4]);
    }
}
