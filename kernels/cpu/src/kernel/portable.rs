//! Plain Rust for any processor, and the twin that the vector kernels are held to.

use super::{COLUMNS, Kernel, Panels, Rows};
use crate::{
    math::{self, Finish},
    pack::{PairRow, Row},
};

/// Any processor.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// Every product of this set: `sum` adds one step of k to a row of sums.
#[inline(always)]
fn product<A: Copy, B, C: Copy + Default>(
    a: Rows<'_, A>,
    b: Panels<'_, B>,
    output: &mut [C],
    stride: usize,
    add: impl Fn(&mut [C; COLUMNS], A, &B),
) {
    for row in 0..a.count {
        let a = &a.values[row * a.stride..][..b.depth];
        for panel in 0..b.count {
            let b = &b.rows[panel * b.stride..][..b.depth];
            let mut sums = [C::default(); COLUMNS];
            for (a, b) in a.iter().zip(b) {
                add(&mut sums, *a, b);
            }
            output[row * stride + panel * COLUMNS..][..COLUMNS].copy_from_slice(&sums);
        }
    }
}

impl Kernel for Portable {
    const ROWS: usize = 6;
    const PANELS: usize = 1;
    // 144 KiB of 384 values each: caches of 512 KiB hold it beside weights and output.
    const BLOCK_ROWS: usize = 96;

    fn product_f32(self, a: Rows<'_, f32>, b: Panels<'_, Row>, output: &mut [f32], stride: usize) {
        product(a, b, output, stride, |sums, a, b| {
            for (sum, b) in sums.iter_mut().zip(&b.0) {
                *sum += a * b;
            }
        });
    }

    fn product_i16(
        self,
        a: Rows<'_, [i16; 2]>,
        b: Panels<'_, PairRow>,
        output: &mut [i32],
        stride: usize,
    ) {
        product(a, b, output, stride, |sums: &mut [i32; COLUMNS], a, b| {
            for (sum, b) in sums.iter_mut().zip(&b.0) {
                let pair = (i32::from(a[0]) * i32::from(b[0]))
                    .wrapping_add(i32::from(a[1]) * i32::from(b[1]));
                *sum = sum.wrapping_add(pair);
            }
        });
    }

    fn finish_f32(self, tile: &[f32], finish: Finish<'_>) {
        math::finish_f32::<false>(tile, finish);
    }

    fn finish_i32(self, tile: &[i32], rows: &[f32], columns: &[f32], finish: Finish<'_>) {
        math::finish_i32::<false>(tile, rows, columns, finish);
    }

    fn gelu(self, values: &mut [f32]) {
        math::gelu_all::<false>(values);
    }

    fn amax(self, values: &[f32]) -> f32 {
        math::amax(values)
    }

    fn quantise(self, values: &[f32], inverse: f32, pairs: &mut [[i16; 2]]) {
        math::quantise(values, inverse, pairs);
    }

    fn softmax(self, row: &mut [f32]) -> f32 {
        math::softmax::<false>(row)
    }

    fn scaled(self, tile: &[f32], factor: f32, output: &mut [f32]) {
        math::scaled(tile, factor, output);
    }

    fn add(self, row: &mut [f32], other: &[f32]) {
        math::add(row, other);
    }

    fn layer_norm(self, row: &mut [f32], scale: &[f32], shift: &[f32], eps: f32) {
        math::layer_norm::<false>(row, scale, shift, eps);
    }
}
