//! AVX2 and FMA: tiles of 6 rows and 16 columns.
//!
//! Twelve registers of sums, two of weights, one of a broadcast activation and, for
//! whole numbers, one of products: the 16 there are. Each step of k takes 8 loads for
//! 12 multiply-adds, so the multipliers are the limit on every such processor.

use std::arch::asm;
use std::arch::x86_64::{
    __m256i, _MM_HINT_T0, _mm_prefetch, _mm256_add_epi32, _mm256_and_si256, _mm256_broadcast_ss,
    _mm256_fmadd_ps, _mm256_load_ps, _mm256_load_si256, _mm256_madd_epi16, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_slli_epi16,
    _mm256_srai_epi16, _mm256_srli_epi16, _mm256_storeu_ps, _mm256_storeu_si256,
};

use super::{
    AHEAD, Kernel, Panels, Rows, Shape, check_tile, for_rows, in_steps, row_functions, row_methods,
};
use crate::{
    math::{Finish, Units},
    pack::{PairRow, QuadRow, Row},
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
    let (values, rows) = (a.values.as_ptr(), b.rows.as_ptr());
    in_steps!(b.depth, |k| {
        _mm_prefetch::<_MM_HINT_T0>(rows.wrapping_add(k + AHEAD).cast());
        // SAFETY: k < depth, which `check_tile` found to lie inside; a `Row` is 16
        // values, aligned to 64 bytes.
        let weights = unsafe {
            let row = rows.add(k).cast::<f32>();
            [_mm256_load_ps(row), _mm256_load_ps(row.add(8))]
        };
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: i < ROWS and k < depth, which `check_tile` found to lie inside.
            let value = unsafe { _mm256_broadcast_ss(&*values.add(i * a.stride + k)) };
            sums[0] = _mm256_fmadd_ps(value, weights[0], sums[0]);
            sums[1] = _mm256_fmadd_ps(value, weights[1], sums[1]);
        }
    });
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
    let (values, rows) = (a.values.as_ptr().cast::<i32>(), b.rows.as_ptr());
    in_steps!(b.depth, |k| {
        _mm_prefetch::<_MM_HINT_T0>(rows.wrapping_add(k + AHEAD).cast());
        // SAFETY: k < depth, which `check_tile` found to lie inside; a `PairRow` is 64
        // bytes, aligned to 64.
        let weights = unsafe {
            let row = rows.add(k).cast::<__m256i>();
            [_mm256_load_si256(row), _mm256_load_si256(row.add(1))]
        };
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: i < ROWS and k < depth, which `check_tile` found to lie inside;
            // a pair is as long as an i32 and read without need of alignment.
            let pair = unsafe { values.add(i * a.stride + k).read_unaligned() };
            let pair = _mm256_set1_epi32(pair);
            sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(pair, weights[0]));
            sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(pair, weights[1]));
        }
    });
    store_i32(sums, output, stride);
}

/// [`product_i16`] of 6 rows, the tile that all but the last rows of a block are in.
///
/// It needs all 16 registers, and the compiler, left to itself, keeps a seventeenth
/// value and goes through memory for it at half the speed. So the loop is written out.
#[target_feature(enable = "avx2")]
fn product_i16_six(
    a: Rows<'_, [i16; 2]>,
    b: Panels<'_, PairRow>,
    output: &mut [i32],
    stride: usize,
) {
    check_tile(&a, &b, output, stride, 6, 1);
    let mut sums = [[_mm256_setzero_si256(); 2]; 6];
    if b.depth > 0 {
        let values = a.values.as_ptr();
        let [[s0, s1], [s2, s3], [s4, s5], [s6, s7], [s8, s9], [s10, s11]] = &mut sums;
        /// One row: broadcast its pair, multiply by both halves of the weights, add.
        macro_rules! row {
            ($address:literal, $low:literal, $high:literal) => {
                concat!(
                    "vpbroadcastd {pair}, dword ptr [",
                    $address,
                    "]\n",
                    "vpmaddwd {product}, {pair}, {low}\n",
                    "vpmaddwd {pair}, {pair}, {high}\n",
                    "vpaddd {",
                    $low,
                    "}, {",
                    $low,
                    "}, {product}\n",
                    "vpaddd {",
                    $high,
                    "}, {",
                    $high,
                    "}, {pair}",
                )
            };
        }
        // SAFETY: reads the rows 0 to 5 of `a` and the one panel of `b` for each k
        // below `depth`, which `check_tile` found to lie inside; a `PairRow` is
        // aligned to 64 bytes; depth is not 0, so the loop ends; all registers that
        // it writes are named, and it writes no memory.
        unsafe {
            asm!(
                "2:",
                "prefetcht0 [{b} + {ahead}]",
                "vmovdqa {low}, ymmword ptr [{b}]",
                "vmovdqa {high}, ymmword ptr [{b} + 32]",
                row!("{a}", "s0", "s1"),
                row!("{a} + {stride}", "s2", "s3"),
                row!("{a} + 2 * {stride}", "s4", "s5"),
                row!("{a3}", "s6", "s7"),
                row!("{a3} + {stride}", "s8", "s9"),
                row!("{a3} + 2 * {stride}", "s10", "s11"),
                "add {a}, 4",
                "add {a3}, 4",
                "add {b}, 64",
                "dec {depth}",
                "jnz 2b",
                a = inout(reg) values => _,
                a3 = inout(reg) values.add(3 * a.stride) => _,
                stride = in(reg) a.stride * size_of::<[i16; 2]>(),
                b = inout(reg) b.rows.as_ptr() => _,
                depth = inout(reg) b.depth => _,
                ahead = const AHEAD * size_of::<PairRow>(),
                low = out(ymm_reg) _,
                high = out(ymm_reg) _,
                pair = out(ymm_reg) _,
                product = out(ymm_reg) _,
                s0 = inout(ymm_reg) *s0,
                s1 = inout(ymm_reg) *s1,
                s2 = inout(ymm_reg) *s2,
                s3 = inout(ymm_reg) *s3,
                s4 = inout(ymm_reg) *s4,
                s5 = inout(ymm_reg) *s5,
                s6 = inout(ymm_reg) *s6,
                s7 = inout(ymm_reg) *s7,
                s8 = inout(ymm_reg) *s8,
                s9 = inout(ymm_reg) *s9,
                s10 = inout(ymm_reg) *s10,
                s11 = inout(ymm_reg) *s11,
                options(nostack, readonly),
            );
        }
    }
    store_i32(sums, output, stride);
}

/// Bytes are widened to 16 bits, the even ones and the odd ones of each quad: the one
/// instruction that multiplies bytes, `vpmaddubsw`, saturates at sums that occur. So
/// this is no faster than 16-bit weights, but takes half their memory.
#[target_feature(enable = "avx2")]
fn product_i8<const ROWS: usize, const PANELS: usize>(
    a: Rows<'_, [u8; 4]>,
    b: Panels<'_, QuadRow>,
    output: &mut [i32],
    stride: usize,
) {
    check_tile(&a, &b, output, stride, ROWS, PANELS);
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    let (values, rows) = (a.values.as_ptr().cast::<i32>(), b.rows.as_ptr());
    let low_bytes = _mm256_set1_epi16(0xff);
    for k in 0..b.depth {
        _mm_prefetch::<_MM_HINT_T0>(rows.wrapping_add(k + AHEAD).cast());
        // SAFETY: k < depth, which `check_tile` found to lie inside; a `QuadRow` is 64
        // bytes, aligned to 64.
        let weights = unsafe {
            let row = rows.add(k).cast::<__m256i>();
            [_mm256_load_si256(row), _mm256_load_si256(row.add(1))]
        };
        let odd = weights.map(|w| _mm256_srai_epi16::<8>(w));
        let even = weights.map(|w| _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w)));
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: i < ROWS and k < depth, which `check_tile` found to lie inside;
            // a quad is as long as an i32 and read without need of alignment.
            let quad = unsafe { values.add(i * a.stride + k).read_unaligned() };
            let quad = _mm256_set1_epi32(quad);
            let (evens, odds) = (
                _mm256_and_si256(quad, low_bytes),
                _mm256_srli_epi16::<8>(quad),
            );
            for half in 0..2 {
                let products = _mm256_add_epi32(
                    _mm256_madd_epi16(evens, even[half]),
                    _mm256_madd_epi16(odds, odd[half]),
                );
                sums[half] = _mm256_add_epi32(sums[half], products);
            }
        }
    }
    store_i32(sums, output, stride);
}

/// Writes a tile's sums to rows of the output.
#[target_feature(enable = "avx2")]
fn store_i32<const ROWS: usize>(sums: [[__m256i; 2]; ROWS], output: &mut [i32], stride: usize) {
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
    const BYTES: Shape = Shape {
        rows: 4,
        panels: 1,
        unit: 1,
    };
    type Session = ();

    const ROWS: usize = 6;
    const PANELS: usize = 1;
    // 144 KiB of 384 values each: caches of 512 KiB hold it beside weights and output.
    const BLOCK_ROWS: usize = 96;

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
        if a.count == 6 {
            // SAFETY: `self` exists, so the processor has the set (see `new`).
            unsafe { product_i16_six(a, b, output, stride) };
        } else {
            for_rows!(a.count, product_i16, 1, [1 2 3 4 5], (a, b, output, stride));
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
        for_rows!(a.count, product_i8, 1, [1 2 3 4], (a, b, output, stride));
    }

    row_methods!();
}
