//! AVX-512 with AMX: products of bytes in tiles of 16 rows and 16 columns.
//!
//! A tile register holds 16 rows of 64 bytes; one instruction multiplies two of them into
//! a third, 16,384 products of bytes in 16 cycles, eight times what VNNI does (Intel
//! Architecture Instruction Set Extensions Programming Reference, chapter 3). There is no
//! product of 16-bit whole numbers, but there is one for each way of signs, so these
//! are split: `(256 a + b)(256 c + d) = 65536 ac + 256 (ad + bc) + bd` is exact modulo
//! 2^32, whatever the parts' sums do on the way, and the sum is known to fit. Four
//! products at an eighth of the cost each make this twice as fast as VNNI's i16 and its
//! equal to the bit.
//!
//! Everything else is AVX-512's.

use std::{
    arch::{
        asm,
        x86_64::{
            __cpuid_count, __m512i, _mm512_add_epi32, _mm512_load_si512, _mm512_slli_epi32,
            _mm512_storeu_si512,
        },
    },
    marker::PhantomData,
    sync::LazyLock,
};

use super::{COLUMNS, Kernel, Panels, Rows, Shape, avx512::Avx512};
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

impl Tiles {
    /// Multiplies registers `4 * steps` times, as fast as the processor can: the limit
    /// that products are measured by.
    pub(crate) fn multiply(&self, steps: u64) {
        assert!(steps > 0);
        // SAFETY: `Tiles` exists, so the registers are set up on this thread; touches no
        // memory; steps is not 0, so the loop ends. No other code uses tile registers.
        unsafe {
            asm!(
                "2:",
                "tdpbusd tmm0, tmm4, tmm6",
                "tdpbusd tmm1, tmm4, tmm7",
                "tdpbusd tmm2, tmm5, tmm6",
                "tdpbusd tmm3, tmm5, tmm7",
                "dec {steps}",
                "jnz 2b",
                steps = inout(reg) steps => _,
                options(nostack, nomem),
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: `Tiles` exists, so the processor has the instruction.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// The sums of four tile registers.
#[repr(C, align(64))]
struct Sums([[[i32; COLUMNS]; ROWS]; 4]);

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

/// Sums of 16 rows and 16 columns of split numbers.
#[target_feature(enable = "avx512f")]
fn product_split(
    _: &Tiles,
    [high, low]: [Rows<'_, [u8; 4]>; 2],
    [high_weights, low_weights]: [Panels<'_, QuadRow>; 2],
    output: &mut [i32],
    stride: usize,
) {
    check(&high, &high_weights, ROWS, 1);
    check(&low, &low_weights, ROWS, 1);
    assert!(high_weights.depth == low_weights.depth && high.stride == low.stride);
    assert!(high.count > 0 && high.count <= ROWS);
    let mut sums = std::mem::MaybeUninit::<Sums>::uninit();
    // SAFETY: `Tiles` exists, so the registers are set up on this thread. Reads 16 rows of
    // `depth` quads and one panel of each part, which `check` found to lie inside, in
    // steps of a tile, which divides depth; writes all of `sums`. depth is not 0, so
    // the loop ends. No other code uses tile registers.
    let sums = unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{high} + {a_stride}*1]",
            "tileloadd tmm6, [{high_weights} + {line}*1]",
            "tdpbssd tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{low_weights} + {line}*1]",
            "tdpbsud tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{low} + {a_stride}*1]",
            "tdpbusd tmm2, tmm5, tmm6",
            "tdpbuud tmm3, tmm5, tmm7",
            "add {high}, 64",
            "add {low}, 64",
            "add {high_weights}, 1024",
            "add {low_weights}, 1024",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {line}*1], tmm0",
            "tilestored [{sums} + {line}*1 + 1024], tmm1",
            "tilestored [{sums} + {line}*1 + 2048], tmm2",
            "tilestored [{sums} + {line}*1 + 3072], tmm3",
            high = inout(reg) high.values.as_ptr() => _,
            low = inout(reg) low.values.as_ptr() => _,
            a_stride = in(reg) high.stride * 4,
            high_weights = inout(reg) high_weights.rows.as_ptr() => _,
            low_weights = inout(reg) low_weights.rows.as_ptr() => _,
            line = in(reg) 64usize,
            steps = inout(reg) high_weights.depth / QUADS => _,
            sums = in(reg) sums.as_mut_ptr(),
            options(nostack),
        );
        sums.assume_init()
    };
    for row in 0..high.count {
        let place = &mut output[row * stride..][..COLUMNS];
        let [both, left, right, none] = sums.0.each_ref().map(|sums| {
            // SAFETY: a row is 16 values of 4 bytes, aligned to 64.
            unsafe { _mm512_load_si512(sums[row].as_ptr().cast::<__m512i>()) }
        });
        let mixed = _mm512_slli_epi32::<8>(_mm512_add_epi32(left, right));
        let sum = _mm512_add_epi32(_mm512_slli_epi32::<16>(both), mixed);
        // SAFETY: the slice above is 16 values of 4 bytes long.
        unsafe {
            _mm512_storeu_si512(place.as_mut_ptr().cast(), _mm512_add_epi32(sum, none));
        }
    }
}

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
        rows: ROWS,
        panels: 1,
        unit: ROWS,
    };
    type Session = Tiles;

    const ROWS: usize = Avx512::ROWS;
    const PANELS: usize = Avx512::PANELS;
    const BLOCK_ROWS: usize = 256;

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
        b: [Panels<'_, QuadRow>; 2],
        output: &mut [i32],
        stride: usize,
    ) {
        // SAFETY: `self` exists, so the processor has AVX-512.
        unsafe { product_split(tiles, a, b, output, stride) };
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
