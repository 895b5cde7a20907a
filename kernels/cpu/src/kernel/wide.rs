//! AVX-512's work on rows, written out: `math`'s functions, 16 values at a time.
//!
//! The compiler makes half as wide code of `math`, and of a tile's epilogue it makes code
//! that goes through memory at a fifth of the speed (measured; the epilogue then costs
//! more than AMX's product). Rows need not be multiples of 16: the last values are loaded
//! and stored under a mask. Twins: the functions of the same name in `math`.

use std::arch::x86_64::{
    __m512, __m512i, __mmask16, _CMP_LT_OQ, _mm_storeu_si128, _mm256_storeu_si256, _mm512_abs_ps,
    _mm512_add_epi32, _mm512_add_ps, _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps,
    _mm512_cmp_ps_mask, _mm512_cvtepi32_epi8, _mm512_cvtepi32_epi16, _mm512_cvtepi32_ps,
    _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_mask_blend_ps, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_epi32, _mm512_maskz_loadu_ps, _mm512_max_epi32, _mm512_max_epu32,
    _mm512_max_ps, _mm512_min_epi32, _mm512_min_ps, _mm512_mul_ps, _mm512_mullo_epi32,
    _mm512_reduce_add_ps, _mm512_reduce_max_epu32, _mm512_reduce_max_ps, _mm512_reduce_min_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi32,
    _mm512_srli_epi32, _mm512_sub_epi32, _mm512_sub_ps,
};

use crate::math::{
    self, EXP, Finish, GELU_LOG, GELU_POWER, LANES, LN_2_HIGH, LN_2_LOW, ROUND, Units,
};

/// Lanes that exist of the 16 from `at` on in `count` values.
#[inline(always)]
fn lanes(count: usize, at: usize) -> __mmask16 {
    let left = (count - at).min(LANES);
    (((1u32 << left) - 1) & 0xffff) as __mmask16
}

/// Values `at..at + 16`; those that the mask (or the slice) does not have are 0.
#[target_feature(enable = "avx512f")]
#[inline]
fn load(values: &[f32], at: usize, mask: __mmask16) -> __m512 {
    let values = &values[at..];
    debug_assert!(values.len() >= LANES || u32::from(mask) >> values.len() == 0);
    let mask = mask & lanes(values.len(), 0);
    // SAFETY: reads only what `mask` has, which are at most the slice's values.
    unsafe { _mm512_maskz_loadu_ps(mask, values.as_ptr()) }
}

/// As [`load`], of whole numbers.
#[target_feature(enable = "avx512f")]
#[inline]
fn load_whole(values: &[i32], at: usize, mask: __mmask16) -> __m512i {
    let values = &values[at..];
    let mask = mask & lanes(values.len(), 0);
    // SAFETY: reads only what `mask` has, which are at most the slice's values.
    unsafe { _mm512_maskz_loadu_epi32(mask, values.as_ptr()) }
}

/// Writes the values of the mask (and of the slice).
#[target_feature(enable = "avx512f")]
#[inline]
fn store(values: &mut [f32], at: usize, mask: __mmask16, value: __m512) {
    let values = &mut values[at..];
    let mask = mask & lanes(values.len(), 0);
    // SAFETY: writes only what `mask` has, which are at most the slice's values.
    unsafe { _mm512_mask_storeu_ps(values.as_mut_ptr(), mask, value) };
}

#[target_feature(enable = "avx512f")]
#[inline]
fn polynomial<const N: usize>(coefficients: [f32; N], x: __m512) -> __m512 {
    let mut sum = _mm512_set1_ps(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = _mm512_fmadd_ps(sum, x, _mm512_set1_ps(*coefficient));
    }
    sum
}

#[target_feature(enable = "avx512f")]
#[inline]
fn power_of_two(shifted: __m512) -> __m512 {
    let n = _mm512_sub_epi32(
        _mm512_castps_si512(shifted),
        _mm512_set1_epi32(ROUND.to_bits() as i32 - 127),
    );
    _mm512_castsi512_ps(_mm512_slli_epi32::<23>(n))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn exp(x: __m512) -> __m512 {
    let least = _mm512_set1_ps(-88.0);
    // The operand that is no number comes out of `max` when it is the second.
    let x = _mm512_max_ps(least, x);
    let round = _mm512_set1_ps(ROUND);
    let shifted = _mm512_fmadd_ps(x, _mm512_set1_ps(std::f32::consts::LOG2_E), round);
    let n = _mm512_sub_ps(shifted, round);
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN_2_HIGH), x);
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN_2_LOW), r);
    _mm512_mul_ps(polynomial(EXP, r), power_of_two(shifted))
}

#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn gelu_16(x: __m512) -> __m512 {
    // The second operand comes out of `min` when one is no number.
    let z = _mm512_min_ps(_mm512_abs_ps(x), _mm512_set1_ps(16.0));
    let log = polynomial(GELU_LOG, z);
    let log = _mm512_max_ps(_mm512_set1_ps(-127.0), log);
    let round = _mm512_set1_ps(ROUND);
    let shifted = _mm512_add_ps(log, round);
    let f = _mm512_sub_ps(log, _mm512_sub_ps(shifted, round));
    let tail = _mm512_mul_ps(polynomial(GELU_POWER, f), power_of_two(shifted));
    let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_setzero_ps());
    let positive = _mm512_mask_blend_ps(negative, x, _mm512_setzero_ps());
    _mm512_fnmadd_ps(z, tail, positive)
}

/// What the rows of a tile have in common at 16 columns, and what is done to each: the
/// loop over columns is the outer one, so that this stays in registers.
///
/// # Safety
///
/// `tile` and `output` must hold all rows of `finish` at these columns.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
unsafe fn finish_columns<T>(
    tile: *const T,
    output: *mut f32,
    mask: __mmask16,
    finish: &Finish<'_>,
    value: impl Fn(usize, *const T) -> __m512,
) {
    for row in 0..finish.rows {
        // SAFETY: the caller's promise.
        let (tile, output) = unsafe {
            (
                tile.add(row * finish.stride),
                output.add(row * finish.output_stride),
            )
        };
        let mut value = value(row, tile);
        if finish.add {
            // SAFETY: the caller's promise; reads only what `mask` has.
            value = _mm512_add_ps(value, unsafe { _mm512_maskz_loadu_ps(mask, output) });
        }
        if finish.gelu {
            value = gelu_16(value);
        }
        // SAFETY: the caller's promise; writes only what `mask` has.
        unsafe { _mm512_mask_storeu_ps(output, mask, value) };
    }
}

/// Panics unless a tile and an output hold what `finish` says.
fn check_finish(tile: usize, finish: &Finish<'_>) {
    let columns = finish.bias.len();
    let last = finish.rows.saturating_sub(1);
    assert!(tile >= last * finish.stride + columns);
    assert!(finish.output.len() >= last * finish.output_stride + columns);
}

#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn finish_f32(tile: &[f32], finish: Finish<'_>) {
    check_finish(tile.len(), &finish);
    let columns = finish.bias.len();
    let output = finish.output.as_mut_ptr();
    for at in (0..columns).step_by(LANES) {
        let mask = lanes(columns, at);
        let bias = load(finish.bias, at, mask);
        // SAFETY: `check_finish` found all rows to lie inside up to `columns`, which
        // bounds `mask`.
        unsafe {
            finish_columns(
                tile.as_ptr().add(at),
                output.add(at),
                mask,
                &finish,
                |_, tile| _mm512_add_ps(_mm512_maskz_loadu_ps(mask, tile), bias),
            );
        }
    }
}

#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn finish_i32(tile: &[i32], units: Units<'_>, finish: Finish<'_>) {
    check_finish(tile.len(), &finish);
    let columns = finish.bias.len();
    let row_units = &units.rows[..finish.rows];
    let output = finish.output.as_mut_ptr();
    for at in (0..columns).step_by(LANES) {
        let mask = lanes(columns, at);
        let bias = load(finish.bias, at, mask);
        let column_units = load(units.columns, at, mask);
        let real = |row: usize, sum| {
            let unit = _mm512_mul_ps(_mm512_set1_ps(row_units[row]), column_units);
            _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), unit, bias)
        };
        // SAFETY: `check_finish` found all rows to lie inside up to `columns`, which
        // bounds `mask`.
        unsafe {
            let (tile, output) = (tile.as_ptr().add(at), output.add(at));
            if units.sums.is_empty() {
                finish_columns(tile, output, mask, &finish, |row, tile| {
                    real(row, _mm512_maskz_loadu_epi32(mask, tile))
                });
            } else {
                let zeros = &units.zeros[..finish.rows];
                let shifts = load_whole(units.sums, at, mask);
                finish_columns(tile, output, mask, &finish, |row, tile| {
                    let shift = _mm512_mullo_epi32(_mm512_set1_epi32(zeros[row]), shifts);
                    let sum = _mm512_maskz_loadu_epi32(mask, tile);
                    real(row, _mm512_sub_epi32(sum, shift))
                });
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn finish_split(tile: &[i32], units: Units<'_>, finish: Finish<'_>) {
    let columns = finish.bias.len();
    assert!(columns <= LANES && finish.stride >= 2 * LANES);
    check_finish(tile.len().saturating_sub(LANES), &finish);
    let row_units = &units.rows[..finish.rows];
    let output = finish.output.as_mut_ptr();
    let mask = lanes(columns, 0);
    let bias = load(finish.bias, 0, mask);
    let column_units = load(units.columns, 0, mask);
    let step = _mm512_set1_ps(256.0);
    // SAFETY: `check_finish` found all rows to lie inside up to `columns`, which bounds
    // `mask`, and 16 sums more in each row of the tile.
    unsafe {
        finish_columns(tile.as_ptr(), output, mask, &finish, |row, tile| {
            let both = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(mask, tile));
            let mixed = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(mask, tile.add(LANES)));
            let unit = _mm512_mul_ps(_mm512_set1_ps(row_units[row]), column_units);
            _mm512_fmadd_ps(_mm512_fmadd_ps(both, step, mixed), unit, bias)
        });
    }
}

#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn gelu(values: &mut [f32]) {
    let count = values.len();
    for at in (0..count).step_by(LANES) {
        let mask = lanes(count, at);
        let value = gelu_16(load(values, at, mask));
        store(values, at, mask, value);
    }
}

#[target_feature(enable = "avx512f")]
pub(super) fn amax(values: &[f32]) -> f32 {
    let magnitude = _mm512_set1_epi32(i32::MAX);
    let mut most = _mm512_setzero_si512();
    for at in (0..values.len()).step_by(LANES) {
        let value = load(values, at, lanes(values.len(), at));
        let bits = _mm512_and_si512(_mm512_castps_si512(value), magnitude);
        most = _mm512_max_epu32(most, bits);
    }
    f32::from_bits(_mm512_reduce_max_epu32(most))
}

/// The nearest whole numbers of 16 values times `inverse`, with their low 16 bits right.
#[target_feature(enable = "avx512f")]
#[inline]
fn whole(values: &[f32], at: usize, inverse: f32) -> __m512i {
    let value = load(values, at, lanes(values.len(), at));
    // Not fused: the twin rounds the product first.
    let product = _mm512_mul_ps(value, _mm512_set1_ps(inverse));
    _mm512_castps_si512(_mm512_add_ps(product, _mm512_set1_ps(ROUND)))
}

#[target_feature(enable = "avx512f")]
pub(super) fn quantise(values: &[f32], inverse: f32, pairs: &mut [[i16; 2]]) {
    let (outputs, padding) = pairs.as_flattened_mut().split_at_mut(values.len());
    let full = values.len() / LANES * LANES;
    for at in (0..full).step_by(LANES) {
        let half = _mm512_cvtepi32_epi16(whole(values, at, inverse));
        let place = &mut outputs[at..at + LANES];
        // SAFETY: the slice is 16 values of 2 bytes long.
        unsafe { _mm256_storeu_si256(place.as_mut_ptr().cast(), half) };
    }
    for (output, value) in outputs[full..].iter_mut().zip(&values[full..]) {
        *output = (value * inverse + ROUND).to_bits() as i16;
    }
    padding.fill(0);
}

/// Writes the low byte of each of 16 numbers.
#[target_feature(enable = "avx512f")]
#[inline]
fn store_bytes(bytes: &mut [u8], numbers: __m512i) {
    let place = &mut bytes[..LANES];
    // SAFETY: the slice is 16 bytes long.
    unsafe { _mm_storeu_si128(place.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(numbers)) };
}

#[target_feature(enable = "avx512f")]
pub(super) fn split(values: &[f32], inverse: f32, high: &mut [[u8; 4]], low: &mut [[u8; 4]]) {
    let (high, low) = (high.as_flattened_mut(), low.as_flattened_mut());
    let full = values.len() / LANES * LANES;
    for at in (0..full).step_by(LANES) {
        let numbers = whole(values, at, inverse);
        store_bytes(&mut low[at..], numbers);
        // A low byte of 128 and more counts as negative.
        let above = _mm512_add_epi32(numbers, _mm512_set1_epi32(128));
        store_bytes(&mut high[at..], _mm512_srli_epi32::<8>(above));
    }
    for (at, value) in values.iter().enumerate().skip(full) {
        let number = (value * inverse + ROUND).to_bits();
        (high[at], low[at]) = ((number.wrapping_add(128) >> 8) as u8, number as u8);
    }
    high[values.len()..].fill(0);
    low[values.len()..].fill(0);
}

#[target_feature(enable = "avx512f")]
pub(super) fn range(values: &[f32]) -> [f32; 2] {
    let (mut least, mut most) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    for at in (0..values.len()).step_by(LANES) {
        let value = load(values, at, lanes(values.len(), at));
        // The second operand comes out when one is no number.
        least = _mm512_min_ps(value, least);
        most = _mm512_max_ps(value, most);
    }
    [_mm512_reduce_min_ps(least), _mm512_reduce_max_ps(most)]
}

#[target_feature(enable = "avx512f")]
pub(super) fn quantise_u8(values: &[f32], inverse: f32, zero: i32, bytes: &mut [[u8; 4]]) {
    let bytes = bytes.as_flattened_mut();
    let full = values.len() / LANES * LANES;
    let offset = _mm512_set1_epi32((ROUND.to_bits() as i32).wrapping_sub(zero));
    let (none, all) = (_mm512_setzero_si512(), _mm512_set1_epi32(255));
    for at in (0..full).step_by(LANES) {
        let number = _mm512_sub_epi32(whole(values, at, inverse), offset);
        let number = _mm512_min_epi32(_mm512_max_epi32(number, none), all);
        store_bytes(&mut bytes[at..], number);
    }
    let quads = bytes[full..].as_chunks_mut().0;
    math::quantise_u8(&values[full..], inverse, zero, quads);
}

#[target_feature(enable = "avx512f")]
pub(super) fn softmax(row: &mut [f32]) -> f32 {
    let count = row.len();
    let lowest = _mm512_set1_ps(f32::NEG_INFINITY);
    let mut most = lowest;
    for at in (0..count).step_by(LANES) {
        let mask = lanes(count, at);
        let value = _mm512_mask_blend_ps(mask, lowest, load(row, at, mask));
        most = _mm512_max_ps(value, most);
    }
    let most = _mm512_set1_ps(_mm512_reduce_max_ps(most));
    let mut sum = _mm512_setzero_ps();
    for at in (0..count).step_by(LANES) {
        let mask = lanes(count, at);
        let value = exp(_mm512_sub_ps(load(row, at, mask), most));
        let value = _mm512_mask_blend_ps(mask, _mm512_setzero_ps(), value);
        store(row, at, mask, value);
        sum = _mm512_add_ps(sum, value);
    }
    _mm512_reduce_add_ps(sum)
}

#[target_feature(enable = "avx512f,fma")]
pub(super) fn scaled(tile: &[f32], factor: f32, output: &mut [f32]) {
    let count = tile.len().min(output.len());
    for at in (0..count).step_by(LANES) {
        let mask = lanes(count, at);
        let value = _mm512_mul_ps(load(tile, at, mask), _mm512_set1_ps(factor));
        store(output, at, mask, value);
    }
}

#[target_feature(enable = "avx512f")]
pub(super) fn add(row: &mut [f32], other: &[f32]) {
    let count = row.len().min(other.len());
    for at in (0..count).step_by(LANES) {
        let mask = lanes(count, at);
        let value = _mm512_add_ps(load(row, at, mask), load(other, at, mask));
        store(row, at, mask, value);
    }
}

#[target_feature(enable = "avx512f")]
pub(super) fn layer_norm(row: &mut [f32], scale: &[f32], shift: &[f32], eps: f32) {
    let width = row.len();
    let count = width as f32;
    let mut sum = _mm512_setzero_ps();
    for at in (0..width).step_by(LANES) {
        sum = _mm512_add_ps(sum, load(row, at, lanes(width, at)));
    }
    let mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / count);
    let mut squares = _mm512_setzero_ps();
    for at in (0..width).step_by(LANES) {
        let mask = lanes(width, at);
        let value = _mm512_sub_ps(load(row, at, mask), mean);
        let value = _mm512_mask_blend_ps(mask, _mm512_setzero_ps(), value);
        squares = _mm512_fmadd_ps(value, value, squares);
    }
    let variance = _mm512_reduce_add_ps(squares) / count;
    let inverse = _mm512_set1_ps((variance + eps).sqrt().recip());
    for at in (0..width).step_by(LANES) {
        let mask = lanes(width, at);
        let value = _mm512_sub_ps(load(row, at, mask), mean);
        let scaled = _mm512_mul_ps(value, inverse);
        let value = _mm512_fmadd_ps(scaled, load(scale, at, mask), load(shift, at, mask));
        store(row, at, mask, value);
    }
}
