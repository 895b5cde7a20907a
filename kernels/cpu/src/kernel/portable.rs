//! Plain Rust for any processor, and the twin that the vector kernels are held to.

use super::{COLUMNS, Kernel, Panels, Rows, SPLIT_STRIDE, Shape, Sum};
use crate::{
    math::{self, Finish, Units},
    pack::{PairRow, QUADS, QuadRow, Row},
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

/// The twin of `product_split`.
pub(super) fn product_split(
    [high, low]: [Rows<'_, [u8; 4]>; 2],
    b: Panels<'_, QuadRow>,
    output: &mut [i32],
    sum: Sum,
) {
    let bytes = |quad: [u8; 4]| quad.map(|byte| i32::from(byte.cast_signed()));
    for row in 0..high.count {
        let sums = &mut output[row * SPLIT_STRIDE..][..SPLIT_STRIDE];
        if !sum.add {
            sums.fill(0);
        }
        let (both, mixed) = sums.split_at_mut(COLUMNS);
        for k in 0..b.depth / 2 {
            let (a_high, a_low) = (
                bytes(high.values[row * high.stride + k]),
                bytes(low.values[row * low.stride + k]),
            );
            let at = k / QUADS * 2 * QUADS + k % QUADS;
            for j in 0..COLUMNS {
                let (b_high, b_low) = (bytes(b.rows[at].0[j]), bytes(b.rows[at + QUADS].0[j]));
                for i in 0..4 {
                    both[j] = both[j].wrapping_add(a_high[i] * b_high[i]);
                    let product = a_high[i] * b_low[i] + a_low[i] * b_high[i];
                    mixed[j] = mixed[j].wrapping_add(product);
                }
            }
        }
    }
}

impl Kernel for Portable {
    const BYTES: Shape = Shape {
        rows: 6,
        panels: 1,
        unit: 1,
    };
    type Session = ();

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

    fn session(self) {}

    fn product_i8(
        self,
        (): &(),
        a: Rows<'_, [u8; 4]>,
        b: Panels<'_, QuadRow>,
        output: &mut [i32],
        stride: usize,
    ) {
        product(a, b, output, stride, |sums: &mut [i32; COLUMNS], a, b| {
            for (sum, b) in sums.iter_mut().zip(&b.0) {
                for (a, b) in a.iter().zip(b) {
                    *sum = sum.wrapping_add(i32::from(*a) * i32::from(b.cast_signed()));
                }
            }
        });
    }

    fn finish_f32(self, tile: &[f32], finish: Finish<'_>) {
        math::finish_f32::<false>(tile, finish);
    }

    fn finish_i32(self, tile: &[i32], units: Units<'_>, finish: Finish<'_>) {
        math::finish_i32::<false>(tile, units, finish);
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

    fn split(self, values: &[f32], inverse: f32, high: &mut [[u8; 4]], low: &mut [[u8; 4]]) {
        math::split(values, inverse, high, low);
    }

    fn range(self, values: &[f32]) -> [f32; 2] {
        math::range(values)
    }

    fn quantise_u8(self, values: &[f32], inverse: f32, zero: i32, bytes: &mut [[u8; 4]]) {
        math::quantise_u8(values, inverse, zero, bytes);
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
