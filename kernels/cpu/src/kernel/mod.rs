//! What one instruction set does: products of small tiles, and the work on rows.
//!
//! `portable` is the scalar twin of every other: same function, same arguments, same
//! result (bit for bit where the sums are whole numbers). The tests of this module
//! hold each set to it.
//!
//! A further set (NEON, say) is one file with the three products and one
//! `row_functions!` line, a variant of `Level`, and an arm in `Cpu`'s two matches.

use crate::{
    math::{self, Finish, Units},
    pack::{PairRow, QuadRow, Row},
};

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod portable;
#[cfg(target_arch = "x86_64")]
mod wide;

/// Columns of a panel.
pub(crate) const COLUMNS: usize = 16;
/// The most rows of any set's tile.
pub(crate) const MAX_ROWS: usize = 10;
/// The most rows of any set's tile of bytes.
pub(crate) const MAX_BYTE_ROWS: usize = 32;
/// The most panels of any set's tile.
pub(crate) const MAX_PANELS: usize = 2;

/// Weights are asked for this many cache lines before their use: in a model they come
/// from the last-level cache or from memory, and the processor's own prefetching stops
/// at each page.
#[cfg(target_arch = "x86_64")]
pub(crate) const AHEAD: usize = 48;

/// Rows of activations: row i is `values[i * stride..][..depth]`.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) stride: usize,
    pub(crate) count: usize,
}

/// Adjacent panels of weights, `depth` rows of each.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a, T> {
    /// Panel p is `rows[p * stride..][..depth]`.
    pub(crate) rows: &'a [T],
    pub(crate) stride: usize,
    pub(crate) count: usize,
    pub(crate) depth: usize,
}

/// Sums in a row of a tile of split numbers: 16 of high by high bytes, 16 of high by low.
pub(crate) const SPLIT_STRIDE: usize = 2 * COLUMNS;

/// How a product of split numbers is summed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum {
    /// To what the output holds, instead of from 0.
    pub(crate) add: bool,
    /// The weights are not in the second-level cache yet.
    pub(crate) cold: bool,
}

/// The shape of a tile of products of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The most rows.
    pub(crate) rows: usize,
    /// The most panels.
    pub(crate) panels: usize,
    /// Rows of activations that are there beyond the last, to be read and not used:
    /// up to the next multiple of this.
    pub(crate) unit: usize,
}

/// One instruction set. A value of the type is the proof that the processor has it.
pub(crate) trait Kernel: Copy {
    /// The tile of [`Self::product_i8`].
    const BYTES: Shape;
    /// The tile of [`Self::product_split`].
    const SPLIT: Shape = Shape {
        rows: 32,
        panels: 1,
        unit: 1,
    };
    /// What a thread must hold while it multiplies bytes.
    type Session;

    /// The most rows of a tile.
    const ROWS: usize;
    /// The most panels of a tile.
    const PANELS: usize;
    /// Rows of activations kept in the second-level cache while all weights pass.
    const BLOCK_ROWS: usize;
    /// The same for [`Self::product_i8`].
    const BYTE_BLOCK_ROWS: usize = Self::BLOCK_ROWS;

    /// `output[i][j] = sum over k of a[i][k] * b[k][j]`, rows of the output `stride`
    /// apart.
    fn product_f32(self, a: Rows<'_, f32>, b: Panels<'_, Row>, output: &mut [f32], stride: usize);

    /// As [`Self::product_f32`] over pairs of k, summed in i32 (wrapping).
    fn product_i16(
        self,
        a: Rows<'_, [i16; 2]>,
        b: Panels<'_, PairRow>,
        output: &mut [i32],
        stride: usize,
    );

    /// Makes the calling thread ready for products of bytes.
    fn session(self) -> Self::Session;

    /// As [`Self::product_f32`] over quads of k: unsigned bytes of `a` times signed ones
    /// of `b`, summed in i32 (wrapping). May write a whole tile of the output: panels and
    /// rows that are not there get anything.
    fn product_i8(
        self,
        session: &Self::Session,
        a: Rows<'_, [u8; 4]>,
        b: Panels<'_, QuadRow>,
        output: &mut [i32],
        stride: usize,
    );

    /// The products of 16-bit numbers that come as signed bytes, `256 * high + low`: rows as
    /// a plane of high bytes and one of low ones, the panel as tiles of both by turns, so
    /// that its depth is twice theirs. Each row of the output gets 16 sums of high by high
    /// and 16 of high by low and low by high (wrapping); low by low is left out. May write
    /// a whole tile of the output.
    fn product_split(
        self,
        _: &Self::Session,
        a: [Rows<'_, [u8; 4]>; 2],
        b: Panels<'_, QuadRow>,
        output: &mut [i32],
        sum: Sum,
    ) {
        portable::product_split(a, b, output, sum);
    }

    /// As [`Self::finish_i32`] of sums from [`Self::product_split`], over 16 columns at
    /// most; a unit is that of the high bytes' product by the low bytes'.
    fn finish_split(self, tile: &[i32], units: Units<'_>, finish: Finish<'_>) {
        math::finish_split::<false>(tile, units, finish);
    }

    fn finish_f32(self, tile: &[f32], finish: Finish<'_>);
    fn finish_i32(self, tile: &[i32], units: Units<'_>, finish: Finish<'_>);
    fn gelu(self, values: &mut [f32]);
    fn amax(self, values: &[f32]) -> f32;
    fn quantise(self, values: &[f32], inverse: f32, pairs: &mut [[i16; 2]]);
    fn split(self, values: &[f32], inverse: f32, high: &mut [[u8; 4]], low: &mut [[u8; 4]]);
    fn range(self, values: &[f32]) -> [f32; 2];
    fn quantise_u8(self, values: &[f32], inverse: f32, zero: i32, bytes: &mut [[u8; 4]]);
    fn softmax(self, row: &mut [f32]) -> f32;
    fn scaled(self, tile: &[f32], factor: f32, output: &mut [f32]);
    fn add(self, row: &mut [f32], other: &[f32]);
    fn layer_norm(self, row: &mut [f32], scale: &[f32], shift: &[f32], eps: f32);
}

/// The functions on rows, compiled for one set: `math`'s source in a wrapper each.
#[cfg(target_arch = "x86_64")]
macro_rules! row_functions {
    ($features:literal) => {
        mod rows {
            use crate::math::{self, Finish, Units};

            #[target_feature(enable = $features)]
            pub(super) fn finish_f32(tile: &[f32], finish: Finish<'_>) {
                math::finish_f32::<true>(tile, finish);
            }
            #[target_feature(enable = $features)]
            pub(super) fn finish_i32(tile: &[i32], units: Units<'_>, finish: Finish<'_>) {
                math::finish_i32::<true>(tile, units, finish);
            }
            #[target_feature(enable = $features)]
            pub(super) fn gelu(values: &mut [f32]) {
                math::gelu_all::<true>(values);
            }
            #[target_feature(enable = $features)]
            pub(super) fn amax(values: &[f32]) -> f32 {
                math::amax(values)
            }
            #[target_feature(enable = $features)]
            pub(super) fn quantise(values: &[f32], inverse: f32, pairs: &mut [[i16; 2]]) {
                math::quantise(values, inverse, pairs);
            }
            #[target_feature(enable = $features)]
            pub(super) fn split(
                values: &[f32],
                inverse: f32,
                high: &mut [[u8; 4]],
                low: &mut [[u8; 4]],
            ) {
                math::split(values, inverse, high, low);
            }
            #[target_feature(enable = $features)]
            pub(super) fn range(values: &[f32]) -> [f32; 2] {
                math::range(values)
            }
            #[target_feature(enable = $features)]
            pub(super) fn quantise_u8(
                values: &[f32],
                inverse: f32,
                zero: i32,
                bytes: &mut [[u8; 4]],
            ) {
                math::quantise_u8(values, inverse, zero, bytes);
            }
            #[target_feature(enable = $features)]
            pub(super) fn softmax(row: &mut [f32]) -> f32 {
                math::softmax::<true>(row)
            }
            #[target_feature(enable = $features)]
            pub(super) fn scaled(tile: &[f32], factor: f32, output: &mut [f32]) {
                math::scaled(tile, factor, output);
            }
            #[target_feature(enable = $features)]
            pub(super) fn add(row: &mut [f32], other: &[f32]) {
                math::add(row, other);
            }
            #[target_feature(enable = $features)]
            pub(super) fn layer_norm(row: &mut [f32], scale: &[f32], shift: &[f32], eps: f32) {
                math::layer_norm::<true>(row, scale, shift, eps);
            }
        }
    };
}

/// The trait's functions on rows, each a call of its wrapper.
#[cfg(target_arch = "x86_64")]
macro_rules! row_methods {
    () => {
        row_methods! {
            finish_f32(tile: &[f32], finish: Finish<'_>);
            finish_i32(tile: &[i32], units: Units<'_>, finish: Finish<'_>);
            gelu(values: &mut [f32]);
            amax(values: &[f32]) -> f32;
            quantise(values: &[f32], inverse: f32, pairs: &mut [[i16; 2]]);
            split(values: &[f32], inverse: f32, high: &mut [[u8; 4]], low: &mut [[u8; 4]]);
            range(values: &[f32]) -> [f32; 2];
            quantise_u8(values: &[f32], inverse: f32, zero: i32, bytes: &mut [[u8; 4]]);
            softmax(row: &mut [f32]) -> f32;
            scaled(tile: &[f32], factor: f32, output: &mut [f32]);
            add(row: &mut [f32], other: &[f32]);
            layer_norm(row: &mut [f32], scale: &[f32], shift: &[f32], eps: f32);
        }
    };
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        fn $name(self, $($argument: $type),*) $(-> $result)? {
            // SAFETY: `self` exists, so the processor has the set (see `new`).
            unsafe { rows::$name($($argument),*) }
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
pub(crate) use {row_functions, row_methods};

/// Panics unless the slices hold all that a tile of `rows` x `panels` will touch; the
/// vector kernels read and write without further checks on the strength of it.
#[inline(always)]
pub(crate) fn check_tile<A, B, C>(
    a: &Rows<'_, A>,
    b: &Panels<'_, B>,
    output: &[C],
    stride: usize,
    rows: usize,
    panels: usize,
) {
    assert!(a.count == rows && b.count == panels);
    // The strides are those of slices in memory, so nothing here can overflow.
    assert!(a.values.len() >= (rows - 1) * a.stride + b.depth);
    assert!(b.rows.len() >= (panels - 1) * b.stride + b.depth);
    assert!(stride >= panels * COLUMNS && output.len() >= (rows - 1) * stride + panels * COLUMNS);
}

/// A tile of sums, on the stack and in the first-level cache.
#[repr(align(64))]
pub(crate) struct Tile<T>(pub(crate) [T; MAX_ROWS * MAX_PANELS * COLUMNS]);

/// A tile of sums of whole numbers' products, of the largest shape of any set.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct ByteTile(pub(crate) [i32; MAX_BYTE_ROWS * MAX_PANELS * COLUMNS]);

impl ByteTile {
    pub(crate) const ZERO: Self = Self([0; _]);
}

/// Calls `$function::<rows, panels>` for the row count at hand: the kernels' loops are
/// unrolled for each.
#[cfg(target_arch = "x86_64")]
macro_rules! for_rows {
    ($count:expr, $function:path, $panels:literal, [$($rows:literal)*], $arguments:tt) => {
        match $count {
            $($rows => $crate::kernel::for_rows!(@call $function, $rows, $panels, $arguments),)*
            other => unreachable!("a tile has at most 10 rows, not {other}"),
        }
    };
    (@call $function:path, $rows:literal, $panels:literal, ($($argument:expr),*)) => {{
        use $function as function;
        // SAFETY: `self` exists, so the processor has the set (see `new`).
        unsafe { function::<$rows, $panels>($($argument),*) }
    }};
}
#[cfg(target_arch = "x86_64")]
pub(crate) use for_rows;

/// Runs `$body` for every k below `$depth`, four to a turn: addresses are then
/// worked out once in four steps, and the ports stay free for the multipliers.
#[cfg(target_arch = "x86_64")]
macro_rules! in_steps {
    ($depth:expr, |$k:ident| $body:block) => {{
        let depth = $depth;
        let mut first = 0;
        while first + 4 <= depth {
            for step in 0..4 {
                let $k = first + step;
                $body
            }
            first += 4;
        }
        for $k in first..depth {
            $body
        }
    }};
}
#[cfg(target_arch = "x86_64")]
pub(crate) use in_steps;

#[cfg(test)]
mod tests;
