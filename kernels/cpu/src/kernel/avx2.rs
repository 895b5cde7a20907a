//! AVX2 and FMA: tiles of 6 rows and 16 columns.
//!
//! Twelve registers of sums, two of weights, one of a broadcast activation and, for
//! whole numbers, one of products: the 16 there are. Each step of k takes 8 loads for
//! 12 multiply-adds, so the multipliers are the limit on every such processor.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_load_ps,
    _mm256_load_si256, _mm256_madd_epi16, _mm256_set1_epi32, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_storeu_ps, _mm256_storeu_si256,
};

use super::{Kernel, Panels, Rows, check_tile, for_rows, row_functions, row_methods};
use crate::{
    math::Finish,
    pack::{PairRow, Row},
};

row_functions!("avx2,fma");

/// A processor with AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The set, where the processor has it.
    pub(crate) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

#[target_feature(enable = "avx2,fma")]
fn product_f32<const ROWS: usize, const PANELS: usize>(
    a: Rows<'_, f32>,
    b: Panels<'_, Row>,
    output: &mut [f32],
    stride: usize,
) {
    check_tile(&a, &b, output, stride, ROWS, PANELS);
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    let values = a.values.as_ptr();
    for (k, row) in b.rows[..b.depth].iter().enumerate() {
        let weights = row.0.as_ptr();
        // SAFETY: a `Row` is 16 values, aligned to 64 bytes.
        let weights = unsafe { [_mm256_load_ps(weights), _mm256_load_ps(weights.add(8))] };
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: i < ROWS and k < depth, which `check_tile` found to lie inside.
            let value = unsafe { _mm256_broadcast_ss(&*values.add(i * a.stride + k)) };
            sums[0] = _mm256_fmadd_ps(value, weights[0], sums[0]);
            sums[1] = _mm256_fmadd_ps(value, weights[1], sums[1]);
        }
    }
    for (i, sums) in sums.into_iter().enumerate() {
        let row = output[i * stride..][..16].as_mut_ptr();
        // SAFETY: the slice above is 16 values long.
        unsafe {
            _mm256_storeu_ps(row, sums[0]);
            _mm256_storeu_ps(row.add(8), sums[1]);
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn product_i16<const ROWS: usize, const PANELS: usize>(
    a: Rows<'_, [i16; 2]>,
    b: Panels<'_, PairRow>,
    output: &mut [i32],
    stride: usize,
) {
    check_tile(&a, &b, output, stride, ROWS, PANELS);
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    let values = a.values.as_ptr().cast::<i32>();
    for (k, row) in b.rows[..b.depth].iter().enumerate() {
        let weights = row.0.as_ptr().cast::<__m256i>();
        // SAFETY: a `PairRow` is 32 values of 2 bytes, aligned to 64 bytes.
        let weights = unsafe {
            [
                _mm256_load_si256(weights),
                _mm256_load_si256(weights.add(1)),
            ]
        };
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: i < ROWS and k < depth, which `check_tile` found to lie inside;
            // a pair is as long as an i32 and read without need of alignment.
            let pair = unsafe { values.add(i * a.stride + k).read_unaligned() };
            let pair = _mm256_set1_epi32(pair);
            sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(pair, weights[0]));
            sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(pair, weights[1]));
        }
    }
    for (i, sums) in sums.into_iter().enumerate() {
        let row = output[i * stride..][..16].as_mut_ptr().cast::<__m256i>();
        // SAFETY: the slice above is 16 values of 4 bytes long.
        unsafe {
            _mm256_storeu_si256(row, sums[0]);
            _mm256_storeu_si256(row.add(1), sums[1]);
        }
    }
}

impl Kernel for Avx2 {
    const ROWS: usize = 6;
    const PANELS: usize = 1;

    fn product_f32(self, a: Rows<'_, f32>, b: Panels<'_, Row>, output: &mut [f32], stride: usize) {
        for_rows!(a.count, product_f32, 1, [1 2 3 4 5 6], (a, b, output, stride));
    }

    fn product_i16(
        self,
        a: Rows<'_, [i16; 2]>,
        b: Panels<'_, PairRow>,
        output: &mut [i32],
        stride: usize,
    ) {
        for_rows!(a.count, product_i16, 1, [1 2 3 4 5 6], (a, b, output, stride));
    }

    row_methods!();
}
