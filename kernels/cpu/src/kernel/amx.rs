//! AVX-512 with AMX: products of bytes in tiles of 16 rows and 16 columns.
//!
//! A tile register holds 16 rows of 64 bytes; one instruction multiplies two of them into
//! a third, 16,384 products of bytes in 16 cycles, eight times what VNNI does (Intel
//! Architecture Instruction Set Extensions Programming Reference, chapter 3). There is no
//! product of 16-bit whole numbers, so these are split into signed bytes:
//! `(256 a + b)(256 c + d) = 65536 ac + 256 (ad + bc) + bd`. The last term is left out: it
//! is at most 2^14 where the whole is up to 2^30, no more than the rounding to 16 bits
//! costs. Three products at an eighth of the cost each are 2.7 times as fast as VNNI's i16.
//! The first two kinds are summed apart, so that neither can overflow, whatever the
//! numbers: both operands have all their 16 bits, where 32-bit sums of whole products
//! leave the weights 10 or so.
//!
//! Everything else is AVX-512's.

use std::{
    arch::{asm, x86_64::__cpuid_count},
    marker::PhantomData,
    sync::LazyLock,
};

use super::{COLUMNS, Kernel, Panels, Rows, SPLIT_STRIDE, Shape, Sum, avx512::Avx512, wide};
use crate::{
    math::{Finish, Units},
    pack::{PairRow, QUADS, QuadRow, Row},
};

/// Rows of a tile register.
const ROWS: usize = 16;

/// A processor with AVX-512 and AMX for bytes, and a system that lets us use them.
#[derive(Clone, Copy)]
pub(crate) struct Amx(Avx512);

impl Amx {
    /// The set, where the processor has it and the system grants it.
    pub(crate) fn new() -> Option<Self> {
        static GRANTED: LazyLock<bool> = LazyLock::new(|| is_present() && ask_system());
        let wide = Avx512::new()?;
        GRANTED.then_some(Self(wide))
    }
}

fn is_present() -> bool {
    const TILE: u32 = 1 << 24;
    const INT8: u32 = 1 << 25;
    // AVX-512 was found, so leaf 7 is there.
    let features = __cpuid_count(7, 0).edx;
    features & (TILE | INT8) == TILE | INT8
}

/// The tiles' state is large, so Linux grants it to a process on request only
/// (Documentation/arch/x86/xstate.rst).
#[cfg(target_os = "linux")]
fn ask_system() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let mut result = ARCH_PRCTL;
    // SAFETY: the call takes two numbers, and neither reads nor writes our memory; a
    // kernel that does not know it, or a filter, answers with an error.
    unsafe {
        asm!(
            "syscall",
            inout("rax") result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn ask_system() -> bool {
    false
}

/// The calling thread's tile registers, all of 16 rows of 64 bytes. Given back when
/// dropped: a thread without tiles is switched faster.
pub(crate) struct Tiles {
    /// The registers are the thread's own.
    _not_send: PhantomData<*mut ()>,
}

#[repr(C, align(64))]
struct Configuration([u8; 64]);

impl Configuration {
    const fn new() -> Self {
        let mut bytes = [0; 64];
        bytes[0] = 1; // palette
        let mut tile = 0;
        while tile < 8 {
            bytes[16 + 2 * tile] = 64; // bytes a row, 16 bits
            bytes[48 + tile] = ROWS as u8;
            tile += 1;
        }
        Self(bytes)
    }
}

impl Tiles {
    fn new(_: Amx) -> Self {
        static ALL: Configuration = Configuration::new();
        // SAFETY: `Amx` exists, so the processor has the instruction and the system
        // grants it; it reads the 64 bytes given.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &ALL, options(nostack, readonly)) };
        Self {
            _not_send: PhantomData,
        }
    }
}

/// A loop over tile registers alone: the limit that products are measured by.
macro_rules! multiply {
    ($name:ident, $instruction:literal) => {
        /// Multiplies registers `4 * steps` times; nothing where `steps` is 0.
        fn $name(_: &Tiles, steps: u64) {
            if steps == 0 {
                return;
            }
            // SAFETY: `Tiles` exists, so the registers are set up on this thread, and callers
            // ask for the instruction first; touches no memory; steps is not 0, so the
            // loop ends. No other code uses tile registers.
            unsafe {
                asm!(
                    "2:",
                    concat!($instruction, " tmm0, tmm4, tmm6"),
                    concat!($instruction, " tmm1, tmm4, tmm7"),
                    concat!($instruction, " tmm2, tmm5, tmm6"),
                    concat!($instruction, " tmm3, tmm5, tmm7"),
                    "dec {steps}",
                    "jnz 2b",
                    steps = inout(reg) steps => _,
                    options(nostack, nomem),
                );
            }
        }
    };
}
multiply!(multiply_bytes, "tdpbssd");
multiply!(multiply_bf16, "tdpbf16ps");

impl Tiles {
    /// Multiplies registers of bytes `4 * steps` times, as fast as the processor can.
    pub(crate) fn multiply_bytes(&self, steps: u64) {
        multiply_bytes(self, steps);
    }

    /// As [`Self::multiply_bytes`], of bf16; `false` where the processor has none.
    pub(crate) fn multiply_bf16(&self, steps: u64) -> bool {
        const BF16: u32 = 1 << 22;
        // On a virtual machine the question takes long.
        static PRESENT: LazyLock<bool> = LazyLock::new(|| __cpuid_count(7, 0).edx & BF16 != 0);
        if *PRESENT {
            multiply_bf16(self, steps);
        }
        *PRESENT
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: `Tiles` exists, so the processor has the instruction.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// Panics unless `rows` rows of whole quads lie in `a`, and `panels` panels in `b`.
#[inline(always)]
fn check(a: &Rows<'_, [u8; 4]>, b: &Panels<'_, QuadRow>, rows: usize, panels: usize) {
    assert!(b.depth > 0 && b.depth.is_multiple_of(QUADS) && a.stride >= b.depth);
    assert!(a.values.len() >= (rows - 1) * a.stride + b.depth);
    assert!(b.rows.len() >= (panels - 1) * b.stride + b.depth);
}

/// Sums of 32 rows (or 16: `$tall` is empty then) and 32 columns, written to the output.
macro_rules! byte_tiles {
    ($name:ident, $rows:literal, [$($tall:literal)*], [$($store:literal)*]) => {
        fn $name(
            _: &Tiles,
            a: Rows<'_, [u8; 4]>,
            b: Panels<'_, QuadRow>,
            output: &mut [i32],
            stride: usize,
        ) {
            check(&a, &b, $rows, b.count);
            assert!(b.count == 1 || b.count == 2);
            assert!(stride >= 2 * COLUMNS && output.len() >= ($rows - 1) * stride + 2 * COLUMNS);
            let values = a.values.as_ptr();
            let rows = b.rows.as_ptr();
            let below = if $rows > ROWS { ROWS * a.stride } else { 0 };
            let last = output.as_mut_ptr();
            // SAFETY: `Tiles` exists, so the registers are set up on this thread. Reads
            // `$rows` rows of `depth` quads and as many panels as there are (one is
            // read twice), which `check` found to lie inside, in steps of a tile,
            // which divides depth; writes `$rows` rows of 32 sums, which lie inside the
            // output. depth is not 0, so the loop ends. No other code uses tile registers.
            unsafe {
                let next = rows.add((b.count - 1) * b.stride);
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    "tileloadd tmm4, [{a} + {a_stride}*1]",
                    "tileloadd tmm6, [{b0} + {line}*1]",
                    "tdpbusd tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{b1} + {line}*1]",
                    "tdpbusd tmm1, tmm4, tmm7",
                    $($tall,)*
                    "add {a}, 64",
                    "add {below}, 64",
                    "add {b0}, 1024",
                    "add {b1}, 1024",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{out} + {out_stride}*1], tmm0",
                    "tilestored [{out} + {out_stride}*1 + 64], tmm1",
                    $($store,)*
                    a = inout(reg) values => _,
                    below = inout(reg) values.add(below) => _,
                    a_stride = in(reg) a.stride * 4,
                    b0 = inout(reg) rows => _,
                    b1 = inout(reg) next => _,
                    line = in(reg) 64usize,
                    steps = inout(reg) b.depth / QUADS => _,
                    out = in(reg) last,
                    out_below = in(reg) last.wrapping_add(ROWS * stride),
                    out_stride = in(reg) stride * 4,
                    options(nostack),
                );
            }
        }
    };
}
byte_tiles!(product_i8_low, 16, [""], ["/* {out_below} */"]);
byte_tiles!(
    product_i8_tall,
    32,
    [
        "tileloadd tmm5, [{below} + {a_stride}*1]"
        "tdpbusd tmm2, tmm5, tmm6"
        "tdpbusd tmm3, tmm5, tmm7"
    ],
    [
        "tilestored [{out_below} + {out_stride}*1], tmm2"
        "tilestored [{out_below} + {out_stride}*1 + 64], tmm3"
    ]
);

/// Sums of split numbers in 32 rows (or 16: `$tall` is empty then) and 16 columns: 16 sums
/// of high by high bytes in each row of the output, then 16 of high by low.
macro_rules! split_tiles {
    ($name:ident, $rows:literal, [$($ahead:literal)*], [$($tall:literal)*],
     [$($load:literal)*], [$($store:literal)*]) => {
        fn $name(
            _: &Tiles,
            [high, low]: [Rows<'_, [u8; 4]>; 2],
            b: Panels<'_, QuadRow>,
            output: &mut [i32],
            add: bool,
        ) {
            assert!(b.count == 1 && b.depth > 0 && b.depth.is_multiple_of(2 * QUADS));
            assert!(b.rows.len() >= b.depth);
            let depth = b.depth / 2;
            for plane in [&high, &low] {
                assert!(plane.stride >= depth && plane.stride == high.stride);
                assert!(plane.values.len() >= ($rows - 1) * plane.stride + depth);
            }
            assert!(output.len() >= $rows * SPLIT_STRIDE);
            let below = if $rows > ROWS { ROWS * high.stride } else { 0 };
            // SAFETY: `Tiles` exists, so the registers are set up on this thread. Reads
            // `$rows` rows of `depth` quads of each plane and the one panel, which the lines
            // above found to lie inside, in steps of a tile, which divides depth; reads and
            // writes `$rows` rows of 32 sums, which lie inside the output. What is asked for
            // ahead of the weights need not exist. depth is not 0, so the loop ends. No
            // other code uses tile registers.
            unsafe {
                asm!(
                    "test {add}, {add}",
                    "jnz 3f",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "jmp 2f",
                    "3:",
                    "tileloadd tmm0, [{out} + {out_stride}*1]",
                    "tileloadd tmm1, [{out} + {out_stride}*1 + 64]",
                    $($load,)*
                    "2:",
                    $($ahead,)*
                    "tileloadd tmm4, [{b} + {line}*1]",
                    "tileloadd tmm6, [{high} + {a_stride}*1]",
                    "tdpbssd tmm0, tmm6, tmm4",
                    "tileloadd tmm5, [{b} + {line}*1 + 1024]",
                    "tdpbssd tmm1, tmm6, tmm5",
                    $($tall,)*
                    "tileloadd tmm7, [{low} + {a_stride}*1]",
                    "tdpbssd tmm1, tmm7, tmm4",
                    "add {high}, 64",
                    "add {low}, 64",
                    "add {high_below}, 64",
                    "add {low_below}, 64",
                    "add {b}, 2048",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{out} + {out_stride}*1], tmm0",
                    "tilestored [{out} + {out_stride}*1 + 64], tmm1",
                    $($store,)*
                    high = inout(reg) high.values.as_ptr() => _,
                    low = inout(reg) low.values.as_ptr() => _,
                    high_below = inout(reg) high.values.as_ptr().add(below) => _,
                    low_below = inout(reg) low.values.as_ptr().add(below) => _,
                    a_stride = in(reg) high.stride * 4,
                    b = inout(reg) b.rows.as_ptr() => _,
                    line = in(reg) 64usize,
                    steps = inout(reg) depth / QUADS => _,
                    add = in(reg) usize::from(add),
                    out = in(reg) output.as_mut_ptr(),
                    out_stride = in(reg) SPLIT_STRIDE * 4,
                    options(nostack),
                );
            }
        }
    };
}
macro_rules! low_split { ($name:ident, [$($ahead:literal)*]) => {
    split_tiles!($name, 16, [$($ahead)*], [""], [""], [""]);
} }
macro_rules! tall_split { ($name:ident, [$($ahead:literal)*]) => {
    split_tiles!($name, 32, [$($ahead)*],
        [
            "tileloadd tmm6, [{high_below} + {a_stride}*1]"
            "tdpbssd tmm2, tmm6, tmm4"
            "tdpbssd tmm3, tmm6, tmm5"
            "tileloadd tmm7, [{low_below} + {a_stride}*1]"
            "tdpbssd tmm3, tmm7, tmm4"
        ],
        [
            "tileloadd tmm2, [{out} + {out_stride}*1 + 2048]"
            "tileloadd tmm3, [{out} + {out_stride}*1 + 2112]"
        ],
        [
            "tilestored [{out} + {out_stride}*1 + 2048], tmm2"
            "tilestored [{out} + {out_stride}*1 + 2112], tmm3"
        ]);
} }
/// Asks for the next step's weights: a line for each of its 32.
macro_rules! with_ahead { ($of:ident, $name:ident) => {
    $of!($name, [
        ".irp line, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15"
        "prefetcht0 [{b} + 2048 + 64 * \\line]"
        "prefetcht0 [{b} + 3072 + 64 * \\line]"
        ".endr"
    ]);
} }
low_split!(split_low, [""]);
tall_split!(split_tall, [""]);
with_ahead!(low_split, split_low_cold);
with_ahead!(tall_split, split_tall_cold);

/// Methods that are AVX-512's.
macro_rules! inherited {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        #[inline(always)]
        fn $name(self, $($argument: $type),*) $(-> $result)? {
            self.0.$name($($argument),*)
        }
    )*};
}

impl Kernel for Amx {
    const BYTES: Shape = Shape {
        rows: 2 * ROWS,
        panels: 2,
        unit: ROWS,
    };
    const SPLIT: Shape = Shape {
        rows: 2 * ROWS,
        panels: 1,
        unit: ROWS,
    };
    type Session = Tiles;

    const ROWS: usize = Avx512::ROWS;
    const PANELS: usize = Avx512::PANELS;
    const BLOCK_ROWS: usize = Avx512::BLOCK_ROWS;
    // Two tiles' heights: a panel is then still near when the next tile asks.
    const BYTE_BLOCK_ROWS: usize = 64;

    fn session(self) -> Tiles {
        Tiles::new(self)
    }

    fn product_i8(
        self,
        tiles: &Tiles,
        a: Rows<'_, [u8; 4]>,
        b: Panels<'_, QuadRow>,
        output: &mut [i32],
        stride: usize,
    ) {
        if a.count > ROWS {
            product_i8_tall(tiles, a, b, output, stride);
        } else {
            product_i8_low(tiles, a, b, output, stride);
        }
    }

    fn product_split(
        self,
        tiles: &Tiles,
        a: [Rows<'_, [u8; 4]>; 2],
        b: Panels<'_, QuadRow>,
        output: &mut [i32],
        sum: Sum,
    ) {
        let product = match (a[0].count > ROWS, sum.cold) {
            (false, false) => split_low,
            (false, true) => split_low_cold,
            (true, false) => split_tall,
            (true, true) => split_tall_cold,
        };
        product(tiles, a, b, output, sum.add);
    }

    fn finish_split(self, tile: &[i32], units: Units<'_>, finish: Finish<'_>) {
        // SAFETY: `self` exists, so the processor has AVX-512.
        unsafe { wide::finish_split(tile, units, finish) };
    }

    inherited! {
        product_f32(a: Rows<'_, f32>, b: Panels<'_, Row>, output: &mut [f32], stride: usize);
        product_i16(a: Rows<'_, [i16; 2]>, b: Panels<'_, PairRow>, output: &mut [i32], stride: usize);
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
}
