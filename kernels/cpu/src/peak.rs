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

/// Instructions that multiply and add, of the widest kind that the set in use has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multiplier {
    /// Vectors of single precision.
    F32,
    /// Vectors of 16-bit whole numbers.
    I16,
    /// Vectors of bytes.
    Int8,
    /// AMX's tiles of bytes.
    TilesInt8,
    /// AMX's tiles of bfloat16.
    TilesBf16,
}

impl Cpu {
    /// Measures the peaks of the instruction set in use; takes some 20 ms.
    pub fn measure_peaks(self) -> Peaks {
        let level = self.level();
        let rate = |kind| best(|| self.multiply(kind, STEPS));
        let i16 = match level {
            // Three products of bytes make one of 16 bits.
            Level::Amx => rate(Multiplier::TilesInt8) / 3.0,
            _ => rate(Multiplier::I16),
        };
        let int8 = match level {
            Level::Amx => 3.0 * i16,
            // This set has no safe product of bytes; they go the way of i16.
            Level::Avx2 => i16,
            _ => rate(Multiplier::Int8),
        };
        Peaks {
            f32: rate(Multiplier::F32),
            i16,
            int8,
        }
    }

    /// Multiplies registers, as many as keep the processor busy, `steps` times over, as
    /// fast as it can; returns how many operations that were, a multiplication and an
    /// addition being two. `None`, at once, where the set in use has no such instruction
    /// or `steps` is 0.
    pub fn multiply(self, kind: Multiplier, steps: u64) -> Option<f64> {
        if steps == 0 {
            return None;
        }
        multiply(self, kind, steps).map(|operations| operations as f64 * steps as f64)
    }
}

const STEPS: u64 = 20_000;

/// The best rate of a few runs of `work`, which tells its operations; 0 without any.
fn best(work: impl Fn() -> Option<f64>) -> f64 {
    const RUNS: usize = 12;
    (0..RUNS)
        .filter_map(|_| {
            let start = Instant::now();
            let operations = work()?;
            Some(operations / start.elapsed().as_secs_f64() / 1e9)
        })
        .fold(0.0, f64::max)
}

#[cfg(not(target_arch = "x86_64"))]
fn multiply(_: Cpu, _: Multiplier, _: u64) -> Option<usize> {
    None
}

/// As [`Cpu::multiply`]; returns a step's operations.
#[cfg(target_arch = "x86_64")]
fn multiply(cpu: Cpu, kind: Multiplier, steps: u64) -> Option<usize> {
    // Registers x lanes x 2 operations; whole numbers take pairs or fours a lane.
    let (operations, run): (usize, unsafe fn(u64)) = match (cpu.set, kind) {
        (Set::Avx2(_), Multiplier::F32) => (12 * 8 * 2, loops::fma_256),
        (Set::Avx2(_), Multiplier::I16) => (12 * 8 * 4, loops::words_256),
        (Set::Avx2(_), Multiplier::Int8) => (12 * 8 * 8, loops::bytes_256),
        (Set::Avx512(_) | Set::Amx(_), Multiplier::F32) => (24 * 16 * 2, loops::fma_512),
        (Set::Avx512(_) | Set::Amx(_), Multiplier::I16) => (24 * 16 * 4, loops::words_512),
        (Set::Avx512(_) | Set::Amx(_), Multiplier::Int8) => (24 * 16 * 8, loops::bytes_512),
        (Set::Amx(kernel), Multiplier::TilesInt8) => {
            kernel.session().multiply_bytes(steps);
            return Some(4 * 16 * 16 * 64 * 2);
        }
        (Set::Amx(kernel), Multiplier::TilesBf16) => {
            let done = kernel.session().multiply_bf16(steps);
            return done.then_some(4 * 16 * 16 * 32 * 2);
        }
        _ => return None,
    };
    // SAFETY: the set in use, which this processor has, has what the loop is made of.
    unsafe { run(steps) };
    Some(operations)
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
    macro_rules! words_256 { ($($r:literal)*) => {
        peak!(words_256, "avx2",
            [$(
                concat!("vpmaddwd ymm14, ymm12, ymm13\nvpaddd ymm", $r, ", ymm", $r, ", ymm14")
            ),*],
            ["xmm0" "xmm1" "xmm2" "xmm3" "xmm4" "xmm5" "xmm6" "xmm7" "xmm8" "xmm9" "xmm10" "xmm11"
             "xmm14"]);
    } }
    words_256!(0 1 2 3 4 5 6 7 8 9 10 11);
    macro_rules! bytes_256 { ($($r:literal)*) => {
        peak!(bytes_256, "avx2",
            [$(
                concat!("vpmaddubsw ymm15, ymm12, ymm13\nvpmaddwd ymm14, ymm15, ymm13\nvpaddd ymm", $r, ", ymm", $r, ", ymm14")
            ),*],
            ["xmm0" "xmm1" "xmm2" "xmm3" "xmm4" "xmm5" "xmm6" "xmm7" "xmm8" "xmm9" "xmm10" "xmm11"
             "xmm14" "xmm15"]);
    } }
    bytes_256!(0 1 2 3 4 5 6 7 8 9 10 11);
    macro_rules! wide { ($name:ident, $features:literal, $op:literal; $($r:literal)*) => {
        peak!($name, $features,
            [$(concat!($op, " zmm", $r, ", zmm24, zmm25")),*],
            ["xmm0" "xmm1" "xmm2" "xmm3" "xmm4" "xmm5" "xmm6" "xmm7" "xmm8" "xmm9" "xmm10" "xmm11"
             "xmm12" "xmm13" "xmm14" "xmm15" "xmm16" "xmm17" "xmm18" "xmm19" "xmm20" "xmm21"
             "xmm22" "xmm23"]);
    } }
    wide!(fma_512, "avx512f", "vfmadd231ps"; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
    wide!(words_512, "avx512f,avx512vnni", "vpdpwssd"; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
    wide!(bytes_512, "avx512f,avx512vnni", "vpdpbusd"; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_multiplies_what_it_has_and_refuses_the_rest() {
        let tiles = [Multiplier::TilesInt8, Multiplier::TilesBf16];
        let vectors = [Multiplier::F32, Multiplier::I16, Multiplier::Int8];
        for cpu in Level::ALL.into_iter().filter_map(Cpu::with) {
            let multiplies =
                |kind: Multiplier| cpu.multiply(kind, 3).is_some_and(|done| done > 0.0);
            let level = cpu.level();
            assert!(
                vectors
                    .iter()
                    .all(|kind| multiplies(*kind) == (level != Level::Portable))
            );
            assert!(level == Level::Amx || !tiles.iter().any(|kind| multiplies(*kind)));
            assert_eq!(multiplies(Multiplier::TilesInt8), level == Level::Amx);
            assert_eq!(cpu.multiply(Multiplier::F32, 0), None);
        }
    }

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
