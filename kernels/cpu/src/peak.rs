//! What the multipliers of one core do when nothing else is in the way: the limit that
//! a benchmark's figures are shares of.
//!
//! Loops over registers alone, timed; the best of some milliseconds counts.

use std::time::Instant;

use crate::dispatch::{Cpu, Level};
#[cfg(target_arch = "x86_64")]
use crate::{dispatch::Set, kernel::Kernel as _};

/// Operations in units of 10^9 a second on one core; a multiplication and an addition
/// are two. 0 where there is no loop for the instruction set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peaks {
    /// Single precision.
    pub f32: f64,
    /// 16-bit whole numbers.
    pub i16: f64,
    /// 8-bit whole numbers.
    pub int8: f64,
}

impl Cpu {
    /// Measures the peaks of the instruction set in use; takes some 20 ms.
    pub fn measure_peaks(self) -> Peaks {
        measure(self)
    }
}

/// The best rate of a few runs of `work`, which does `operations`.
#[cfg(target_arch = "x86_64")]
fn best(operations: f64, work: impl Fn()) -> f64 {
    const RUNS: usize = 12;
    (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            operations / start.elapsed().as_secs_f64() / 1e9
        })
        .fold(0.0, f64::max)
}

#[cfg(not(target_arch = "x86_64"))]
fn measure(_: Cpu) -> Peaks {
    Peaks::default()
}

#[cfg(target_arch = "x86_64")]
const STEPS: u64 = 20_000;

#[cfg(target_arch = "x86_64")]
fn measure(cpu: Cpu) -> Peaks {
    let steps = STEPS as f64;
    match cpu.level() {
        Level::Portable => Peaks::default(),
        Level::Avx2 => {
            // SAFETY: the level is one that this processor has.
            let f32 = best(steps * 12.0 * 16.0, || unsafe { loops::fma_256(STEPS) });
            // SAFETY: the same.
            let i16 = best(steps * 12.0 * 32.0, || unsafe { loops::madd_256(STEPS) });
            // This set has no safe product of bytes; they go the way of i16.
            Peaks {
                f32,
                i16,
                int8: i16,
            }
        }
        Level::Avx512 => wide(),
        Level::Amx => {
            let Set::Amx(kernel) = cpu.set else {
                return Peaks::default();
            };
            let tiles = kernel.session();
            let int8 = best(steps * 4.0 * 32_768.0, || tiles.multiply(STEPS));
            Peaks {
                f32: wide().f32,
                // Three products of bytes make one of 16 bits.
                i16: int8 / 3.0,
                int8,
            }
        }
    }
}

/// The peaks of AVX-512 with VNNI.
#[cfg(target_arch = "x86_64")]
fn wide() -> Peaks {
    let steps = STEPS as f64;
    Peaks {
        // SAFETY: called at levels that have the set.
        f32: best(steps * 24.0 * 32.0, || unsafe { loops::fma_512(STEPS) }),
        // SAFETY: the same.
        i16: best(steps * 24.0 * 64.0, || unsafe { loops::dpwssd_512(STEPS) }),
        // SAFETY: the same.
        int8: best(steps * 24.0 * 128.0, || unsafe {
            loops::dpbusd_512(STEPS);
        }),
    }
}

#[cfg(target_arch = "x86_64")]
mod loops {
    use std::arch::asm;

    /// `$line` once for each register named, in a loop.
    macro_rules! peak {
        ($name:ident, $features:literal, [$($line:expr),* $(,)?], [$($out:tt)*]) => {
            #[target_feature(enable = $features)]
            pub(super) fn $name(steps: u64) {
                // SAFETY: touches registers only, all of them named; steps is not 0.
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
    macro_rules! fma_256 { ($($r:literal)*) => {
        peak!(fma_256, "avx2,fma",
            [$(concat!("vfmadd231ps ymm", $r, ", ymm12, ymm13")),*],
            ["xmm0" "xmm1" "xmm2" "xmm3" "xmm4" "xmm5" "xmm6" "xmm7" "xmm8" "xmm9" "xmm10" "xmm11"]);
    } }
    fma_256!(0 1 2 3 4 5 6 7 8 9 10 11);
    macro_rules! madd_256 { ($($r:literal)*) => {
        peak!(madd_256, "avx2",
            [$(
                concat!("vpmaddwd ymm14, ymm12, ymm13\nvpaddd ymm", $r, ", ymm", $r, ", ymm14")
            ),*],
            ["xmm0" "xmm1" "xmm2" "xmm3" "xmm4" "xmm5" "xmm6" "xmm7" "xmm8" "xmm9" "xmm10" "xmm11"
             "xmm14"]);
    } }
    madd_256!(0 1 2 3 4 5 6 7 8 9 10 11);
    macro_rules! wide { ($name:ident, $features:literal, $op:literal; $($r:literal)*) => {
        peak!($name, $features,
            [$(concat!($op, " zmm", $r, ", zmm24, zmm25")),*],
            ["xmm0" "xmm1" "xmm2" "xmm3" "xmm4" "xmm5" "xmm6" "xmm7" "xmm8" "xmm9" "xmm10" "xmm11"
             "xmm12" "xmm13" "xmm14" "xmm15" "xmm16" "xmm17" "xmm18" "xmm19" "xmm20" "xmm21"
             "xmm22" "xmm23"]);
    } }
    wide!(fma_512, "avx512f", "vfmadd231ps"; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
    wide!(dpwssd_512, "avx512f,avx512vnni", "vpdpwssd"; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
    wide!(dpbusd_512, "avx512f,avx512vnni", "vpdpbusd"; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_set_has_three_peaks() {
        for cpu in Level::ALL.into_iter().filter_map(Cpu::with) {
            let peaks = cpu.measure_peaks();
            let all = [peaks.f32, peaks.i16, peaks.int8];
            let measured = cpu.level() != Level::Portable;
            assert!(
                all.iter().all(|peak| (*peak > 0.0) == measured),
                "{peaks:?}"
            );
        }
    }
}
