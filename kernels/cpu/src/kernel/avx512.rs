//! AVX-512 with VNNI: tiles of 10 rows and 32 columns.
//!
//! 20 of the 32 registers hold sums. There is room for 12 rows, but of 11 and 12 the
//! compiler sometimes makes code that goes through memory at half the speed. `vpdpwssd` multiplies pairs of i16 and adds them
//! to the sum in one instruction, so this set does twice the work per instruction of
//! AVX2 and needs half as many.

use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_dpbusd_epi32, _mm512_dpwssd_epi32, _mm512_fmadd_ps,
    _mm512_load_ps, _mm512_load_si512, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_setzero_si512, _mm512_storeu_ps, _mm512_storeu_si512,
};

use super::{
    AHEAD, COLUMNS, Kernel, Panels, Rows, Shape, check_tile, for_rows, in_steps, row_methods,
    wide as rows,
};
use crate::{
    math::{Finish, Units},
    pack::{PairRow, QuadRow, Row},
};

/// A processor with the AVX-512 subsets F, BW, DQ, VL and VNNI.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// The set, where the processor has it.
    pub(crate) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma"))
        .then_some(Self(()))
    }
}

#[target_feature(enable = "avx512f")]
fn product_f32<const ROWS: usize, const PANELS: usize>(
    a: Rows<'_, f32>,
    b: Panels<'_, Row>,
    output: &mut [f32],
    stride: usize,
) {
    check_tile(&a, &b, output, stride, ROWS, PANELS);
    let mut sums = [[_mm512_setzero_ps(); PANELS]; ROWS];
    let values = a.values.as_ptr();
    let rows = b.rows.as_ptr();
    in_steps!(b.depth, |k| {
        let mut weights = [_mm512_setzero_ps(); PANELS];
        for (p, weights) in weights.iter_mut().enumerate() {
            _mm_prefetch::<_MM_HINT_T0>(rows.wrapping_add(p * b.stride + k + AHEAD).cast());
            // SAFETY: p < PANELS and k < depth, which `check_tile` found to lie
            // inside; a `Row` is 16 values, aligned to 64 bytes.
            *weights = unsafe { _mm512_load_ps(rows.add(p * b.stride + k).cast()) };
        }
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: i < ROWS and k < depth, which `check_tile` found to lie inside.
            let value = _mm512_set1_ps(unsafe { *values.add(i * a.stride + k) });
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = _mm512_fmadd_ps(value, weights, *sum);
            }
        }
    });
    for (i, sums) in sums.into_iter().enumerate() {
        for (p, sum) in sums.into_iter().enumerate() {
            let place = &mut output[i * stride + p * COLUMNS..][..COLUMNS];
            // SAFETY: the slice above is 16 values long.
            unsafe { _mm512_storeu_ps(place.as_mut_ptr(), sum) };
        }
    }
}

/// A product of whole numbers, `$value` at a step with a `$row` of weights; `$add` multiplies
/// and adds.
macro_rules! product {
    ($name:ident, $value:ty, $row:ty, $add:ident) => {
        #[target_feature(enable = "avx512f,avx512vnni")]
        fn $name<const ROWS: usize, const PANELS: usize>(
            a: Rows<'_, $value>,
            b: Panels<'_, $row>,
            output: &mut [i32],
            stride: usize,
        ) {
            check_tile(&a, &b, output, stride, ROWS, PANELS);
            let mut sums = [[_mm512_setzero_si512(); PANELS]; ROWS];
            let values = a.values.as_ptr().cast::<i32>();
            let rows = b.rows.as_ptr();
            in_steps!(b.depth, |k| {
                let mut weights = [_mm512_setzero_si512(); PANELS];
                for (p, weights) in weights.iter_mut().enumerate() {
                    let row = rows.wrapping_add(p * b.stride + k).cast::<__m512i>();
                    _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(AHEAD).cast());
                    // SAFETY: p < PANELS and k < depth, which `check_tile` found to lie
                    // inside; a row of weights is 64 bytes, aligned to 64.
                    *weights = unsafe { _mm512_load_si512(row) };
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: i < ROWS and k < depth, which `check_tile` found to lie inside;
                    // a value is as long as an i32 and read without need of alignment.
                    let value = unsafe { values.add(i * a.stride + k).read_unaligned() };
                    let value = _mm512_set1_epi32(value);
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = $add(*sum, value, weights);
                    }
                }
            });
            for (i, sums) in sums.into_iter().enumerate() {
                for (p, sum) in sums.into_iter().enumerate() {
                    let place = &mut output[i * stride + p * COLUMNS..][..COLUMNS];
                    // SAFETY: the slice above is 16 values of 4 bytes long.
                    unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), sum) };
                }
            }
        }
    };
}

product!(product_i16, [i16; 2], PairRow, _mm512_dpwssd_epi32);
product!(product_i8, [u8; 4], QuadRow, _mm512_dpbusd_epi32);

impl Kernel for Avx512 {
    const BYTES: Shape = Shape {
        rows: 10,
        panels: 2,
        unit: 1,
    };
    type Session = ();

    const ROWS: usize = 10;
    const PANELS: usize = 2;
    // 390 KiB of 384 values each: these processors have caches of 1 MiB and more, and
    // are fast enough that fetching the weights is felt.
    const BLOCK_ROWS: usize = 260;

    fn product_f32(self, a: Rows<'_, f32>, b: Panels<'_, Row>, output: &mut [f32], stride: usize) {
        if b.count == 2 {
            for_rows!(a.count, product_f32, 2, [1 2 3 4 5 6 7 8 9 10], (a, b, output, stride));
        } else {
            for_rows!(a.count, product_f32, 1, [1 2 3 4 5 6 7 8 9 10], (a, b, output, stride));
        }
    }

    fn product_i16(
        self,
        a: Rows<'_, [i16; 2]>,
        b: Panels<'_, PairRow>,
        output: &mut [i32],
        stride: usize,
    ) {
        if b.count == 2 {
            for_rows!(a.count, product_i16, 2, [1 2 3 4 5 6 7 8 9 10], (a, b, output, stride));
        } else {
            for_rows!(a.count, product_i16, 1, [1 2 3 4 5 6 7 8 9 10], (a, b, output, stride));
        }
    }

    fn session(self) {}

    fn product_i8(
        self,
        (): &(),
        a: Rows<'_, [u8; 4]>,
        b: Panels<'_, QuadRow>,
        output: &mut [i32],
        stride: usize,
    ) {
        if b.count == 2 {
            for_rows!(a.count, product_i8, 2, [1 2 3 4 5 6 7 8 9 10], (a, b, output, stride));
        } else {
            for_rows!(a.count, product_i8, 1, [1 2 3 4 5 6 7 8 9 10], (a, b, output, stride));
        }
    }

    row_methods!();
}
