//! What the multipliers of this processor do when nothing else is in the way: loops over
//! registers alone, for each kind of arithmetic that an engine could use.
//!
//! For each line `{"kind", "threads", "ms"}` that comes in, one `{"operations"}` goes out:
//! additions and multiplications done in at least that time, all threads together. A kind
//! that this processor lacks answers none. Kinds: `f32`, `i16` and `int8` with the widest
//! vectors here, `amx-int8` and `amx-bf16` with tiles.

use std::{
    io::{BufRead as _, stdin},
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::json;

use crate::worker::{Result, say};

#[derive(Deserialize)]
struct Order {
    kind: String,
    threads: usize,
    ms: u64,
}

/// A loop and what one step of it does.
struct Loop {
    operations_per_step: f64,
    run: fn(u64),
}

pub(crate) fn serve() -> Result<()> {
    say(&json!({"load_s": 0.0}))?;
    for line in stdin().lock().lines() {
        let order: Order = serde_json::from_str(&line?)?;
        let time = Duration::from_millis(order.ms);
        say(&match find(&order.kind) {
            Some(found) => json!({"operations": all(&found, order.threads, time)}),
            None => json!({"operations": null}),
        })?;
    }
    Ok(())
}

fn all(found: &Loop, threads: usize, time: Duration) -> f64 {
    thread::scope(|scope| {
        let each: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| one(found, time)))
            .collect();
        let done = each.into_iter().map(|thread| thread.join().unwrap_or(0.0));
        done.sum()
    })
}

fn one(found: &Loop, time: Duration) -> f64 {
    const STEPS: u64 = 50_000;
    let start = Instant::now();
    let mut operations = 0.0;
    while start.elapsed() < time {
        (found.run)(STEPS);
        operations += found.operations_per_step * STEPS as f64;
    }
    operations
}

#[cfg(not(target_arch = "x86_64"))]
fn find(_: &str) -> Option<Loop> {
    None
}

#[cfg(target_arch = "x86_64")]
fn find(kind: &str) -> Option<Loop> {
    use std::arch::is_x86_feature_detected as has;

    // A loop's registers x lanes x 2 operations; whole numbers take pairs or fours a lane.
    let wide = has!("avx512f") && has!("avx512vnni");
    let narrow = has!("avx2") && has!("fma");
    let (operations, run): (usize, fn(u64)) = match kind {
        // SAFETY (of all calls below): the processor has what the loop is made of.
        "f32" if wide => (24 * 16 * 2, |steps| unsafe { x86::fma_512(steps) }),
        "i16" if wide => (24 * 16 * 4, |steps| unsafe { x86::words_512(steps) }),
        "int8" if wide => (24 * 16 * 8, |steps| unsafe { x86::bytes_512(steps) }),
        "f32" if narrow => (12 * 8 * 2, |steps| unsafe { x86::fma_256(steps) }),
        "i16" if narrow => (12 * 8 * 4, |steps| unsafe { x86::words_256(steps) }),
        "int8" if narrow => (12 * 8 * 8, |steps| unsafe { x86::bytes_256(steps) }),
        "amx-int8" if x86::tiles("amx_int8") => (4 * 16 * 16 * 64 * 2, x86::tiles_int8),
        "amx-bf16" if x86::tiles("amx_bf16") => (4 * 16 * 16 * 32 * 2, x86::tiles_bf16),
        _ => return None,
    };
    Some(Loop {
        operations_per_step: operations as f64,
        run,
    })
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;

    /// `$op` once for each register named, in a loop.
    macro_rules! vectors {
        ($name:ident, $features:literal, [$($line:expr),* $(,)?], [$($out:tt)*]) => {
            #[target_feature(enable = $features)]
            pub(super) fn $name(steps: u64) {
                // SAFETY: touches registers only, all of them named.
                unsafe {
                    asm!(
                        "2:",
                        $($line,)*
                        "dec {steps}",
                        "jnz 2b",
                        steps = inout(reg) steps => _,
                        $(out($out) _,)*
                        options(nostack, nomem)
                    );
                }
            }
        };
    }
    macro_rules! wide { ($name:ident, $features:literal, $op:literal; $($r:literal)*) => {
        vectors!($name, $features,
            [$(concat!($op, " zmm", $r, ", zmm24, zmm25")),*],
            ["xmm0" "xmm1" "xmm2" "xmm3" "xmm4" "xmm5" "xmm6" "xmm7" "xmm8" "xmm9" "xmm10" "xmm11"
             "xmm12" "xmm13" "xmm14" "xmm15" "xmm16" "xmm17" "xmm18" "xmm19" "xmm20" "xmm21"
             "xmm22" "xmm23"]);
    } }
    wide!(fma_512, "avx512f", "vfmadd231ps"; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
    wide!(words_512, "avx512f,avx512vnni", "vpdpwssd"; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
    wide!(bytes_512, "avx512f,avx512vnni", "vpdpbusd"; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);

    macro_rules! narrow { ($name:ident, $features:literal, $before:literal, $after:literal; $($r:literal)*) => {
        vectors!($name, $features,
            [$(concat!($before, $r, $after, $r, ", ymm14")),*],
            ["xmm0" "xmm1" "xmm2" "xmm3" "xmm4" "xmm5" "xmm6" "xmm7" "xmm8" "xmm9" "xmm10" "xmm11"
             "xmm14" "xmm15"]);
    } }
    // Without VNNI a product and its sum are separate instructions.
    narrow!(words_256, "avx2", "vpmaddwd ymm14, ymm12, ymm13\nvpaddd ymm", ", ymm"; 0 1 2 3 4 5 6 7 8 9 10 11);
    narrow!(bytes_256, "avx2",
        "vpmaddubsw ymm15, ymm12, ymm13\nvpmaddwd ymm14, ymm15, ymm13\nvpaddd ymm", ", ymm"; 0 1 2 3 4 5 6 7 8 9 10 11);
    macro_rules! fma_256 { ($($r:literal)*) => {
        vectors!(fma_256, "avx2,fma",
            [$(concat!("vfmadd231ps ymm", $r, ", ymm12, ymm13")),*],
            ["xmm0" "xmm1" "xmm2" "xmm3" "xmm4" "xmm5" "xmm6" "xmm7" "xmm8" "xmm9" "xmm10" "xmm11"]);
    } }
    fma_256!(0 1 2 3 4 5 6 7 8 9 10 11);

    /// Eight tiles of 16 rows x 64 bytes (Intel SDM vol. 1, 18.3: palette 1).
    #[repr(C, align(64))]
    struct Tiles([u8; 64]);

    static TILES: Tiles = {
        let mut bytes = [0; 64];
        bytes[0] = 1;
        let mut tile = 0;
        while tile < 8 {
            bytes[16 + 2 * tile] = 64;
            bytes[48 + tile] = 16;
            tile += 1;
        }
        Tiles(bytes)
    };

    /// Whether the processor has this kind of tiles and the system lets us use them.
    #[cfg(target_os = "linux")]
    pub(super) fn tiles(flag: &str) -> bool {
        const ARCH_PRCTL: u64 = 158;
        const REQUEST_PERMISSION: u64 = 0x1023;
        const TILE_DATA: u64 = 18;
        let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        if !flags.split_whitespace().any(|found| found == flag) {
            return false;
        }
        let result: u64;
        // SAFETY: asks for a right, as Linux's Documentation/arch/x86/xstate.rst says;
        // threads made later inherit it.
        unsafe {
            asm!("syscall", inout("rax") ARCH_PRCTL => result, in("rdi") REQUEST_PERMISSION,
                in("rsi") TILE_DATA, out("rcx") _, out("r11") _, options(nostack));
        }
        result == 0
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn tiles(_: &str) -> bool {
        false
    }

    macro_rules! tiles { ($name:ident, $op:literal) => {
        pub(super) fn $name(steps: u64) {
            // SAFETY: `tiles` has said that they may be used; all tiles are released.
            unsafe {
                asm!(
                    "ldtilecfg [{tiles}]",
                    "2:",
                    concat!($op, " tmm0, tmm6, tmm7"),
                    concat!($op, " tmm1, tmm6, tmm7"),
                    concat!($op, " tmm2, tmm6, tmm7"),
                    concat!($op, " tmm3, tmm6, tmm7"),
                    "dec {steps}",
                    "jnz 2b",
                    "tilerelease",
                    tiles = in(reg) &raw const TILES,
                    steps = inout(reg) steps => _,
                    options(nostack, readonly)
                );
            }
        }
    } }
    tiles!(tiles_int8, "tdpbssd");
    tiles!(tiles_bf16, "tdpbf16ps");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loop_that_this_processor_has_does_work_and_no_other_is_offered() {
        for kind in ["f32", "i16", "int8", "amx-int8", "amx-bf16"] {
            if let Some(found) = find(kind) {
                assert!(all(&found, 2, Duration::from_millis(1)) > 0.0, "{kind}");
            }
        }
        assert!(find("f64").is_none());
    }
}
