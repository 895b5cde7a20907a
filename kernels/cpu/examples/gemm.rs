//! Speed of the linear layers of MiniLM beside the crates `matrixmultiply` and `gemm`,
//! on one thread, and the share of what the processor's multipliers can do.
//!
//! `cargo run --release -p signalbox-kernels --example gemm [ROUNDS]`. All contestants
//! take turns in one run; a figure is the best of the rounds. Our products include the
//! bias, and for i16 the quantisation of the activations. The peaks are measured by
//! loops over registers alone. The rivals choose their own instruction set.

use std::{env, hint::black_box, time::Instant};

use signalbox_kernels::{Cpu, Epilogue, Level, PackedF32, PackedI16, Workspace};

/// `[inputs, outputs]` of the layers of all-MiniLM-L6-v2.
const SHAPES: [[usize; 2]; 4] = [[384, 384], [384, 1152], [384, 1536], [1536, 384]];
const ROWS: [usize; 5] = [8, 32, 96, 128, 256];

fn main() {
    let rounds = env::args().nth(1).and_then(|a| a.parse().ok());
    let rounds: usize = rounds.unwrap_or(30);
    let cpus: Vec<Cpu> = [Level::Avx2, Level::Avx512]
        .into_iter()
        .filter_map(Cpu::with)
        .collect();
    let mut peaks = vec![[0.0f64; 2]; cpus.len()];

    for [inputs, outputs] in SHAPES {
        let weight = noise(outputs * inputs, 1);
        let bias = noise(outputs, 2);
        let (Ok(real), Ok(whole)) = (
            PackedF32::pack(&weight, Some(&bias), outputs, inputs),
            PackedI16::pack(&weight, Some(&bias), outputs, inputs),
        ) else {
            eprintln!("a shape does not fit");
            return;
        };
        for rows in ROWS {
            let input = noise(rows * inputs, 3);
            let mut output = vec![0.0f32; rows * outputs];
            let mut workspace = Workspace::default();
            let operations = 2.0 * (rows * inputs * outputs) as f64;
            let mut best = vec![0.0f64; 2 * cpus.len() + 2];
            let shape = [rows, inputs, outputs];
            for _ in 0..rounds {
                for (index, cpu) in cpus.iter().enumerate() {
                    measure_peaks(cpu.level(), &mut peaks[index]);
                    keep(&mut best[2 * index], operations, || {
                        let done = cpu.linear_f32(&real, &input, &mut output, Epilogue::Bias);
                        assert!(done.is_ok());
                    });
                    keep(&mut best[2 * index + 1], operations, || {
                        let epilogue = Epilogue::Bias;
                        let done =
                            cpu.linear_i16(&whole, &input, &mut output, epilogue, &mut workspace);
                        assert!(done.is_ok());
                    });
                }
                let rivals = 2 * cpus.len();
                keep(&mut best[rivals], operations, || {
                    with_matrixmultiply(shape, &input, &weight, &mut output);
                });
                keep(&mut best[rivals + 1], operations, || {
                    with_gemm(shape, &input, &weight, &mut output);
                });
            }
            print!("rows {rows:>3} K {inputs:>4} N {outputs:>4} Gop/s:");
            for (index, cpu) in cpus.iter().enumerate() {
                for (mode, name) in ["f32", "i16"].into_iter().enumerate() {
                    let rate = best[2 * index + mode];
                    let share = 100.0 * rate / peaks[index][mode];
                    print!(
                        "  {} {name} {rate:6.1} ({share:3.0}%)",
                        cpu.level().as_str()
                    );
                }
            }
            let rivals = &best[2 * cpus.len()..];
            println!("  matrixmultiply {:6.1}  gemm {:6.1}", rivals[0], rivals[1]);
        }
    }
    for (cpu, [real, whole]) in cpus.iter().zip(peaks) {
        let name = cpu.level().as_str();
        println!("peak of {name}: f32 {real:.1}, i16 {whole:.1} Gop/s");
    }
}

/// Times `work` and keeps the rate where it is the best so far.
fn keep(best: &mut f64, operations: f64, mut work: impl FnMut()) {
    let start = Instant::now();
    work();
    *best = best.max(operations / start.elapsed().as_secs_f64() / 1e9);
}

/// Values in -1..1 without a dependency.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as i32 as f32 / 2_147_483_648.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn with_matrixmultiply([m, k, n]: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    assert!(a.len() >= m * k && b.len() >= n * k && c.len() >= m * n);
    let (a, b, c) = (black_box(a.as_ptr()), b.as_ptr(), c.as_mut_ptr());
    let [ka, na] = [k as isize, n as isize];
    // SAFETY: the matrices are row-major, b transposed, and as long as asserted.
    unsafe { matrixmultiply::sgemm(m, k, n, 1.0, a, ka, 1, b, 1, ka, 0.0, c, na, 1) };
}

fn with_gemm([m, k, n]: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    assert!(a.len() >= m * k && b.len() >= n * k && c.len() >= m * n);
    let (a, b, c) = (black_box(a.as_ptr()), b.as_ptr(), c.as_mut_ptr());
    let [ka, na] = [k as isize, n as isize];
    let one = gemm::Parallelism::None;
    // SAFETY: as above; strides are of columns first, then of rows.
    unsafe {
        gemm::gemm(
            m, n, k, c, 1, na, false, a, 1, ka, b, ka, 1, 0.0, 1.0, false, false, false, one,
        );
    }
}

#[cfg(target_arch = "x86_64")]
fn measure_peaks(level: Level, [real, whole]: &mut [f64; 2]) {
    const STEPS: u64 = 20_000;
    match level {
        Level::Avx2 => {
            let per_loop = 12.0 * STEPS as f64;
            // SAFETY: the level is one that this processor has.
            keep(real, per_loop * 16.0, || unsafe { peak::fma_256(STEPS) });
            // SAFETY: the same.
            keep(whole, per_loop * 32.0, || unsafe { peak::madd_256(STEPS) });
        }
        Level::Avx512 => {
            let per_loop = 24.0 * STEPS as f64;
            // SAFETY: the level is one that this processor has.
            keep(real, per_loop * 32.0, || unsafe { peak::fma_512(STEPS) });
            // SAFETY: the same.
            keep(whole, per_loop * 64.0, || unsafe {
                peak::dpwssd_512(STEPS)
            });
        }
        _ => {}
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn measure_peaks(_: Level, _: &mut [f64; 2]) {}

/// Loops over registers: what the multipliers do when nothing else is in the way.
#[cfg(target_arch = "x86_64")]
mod peak {
    use std::arch::asm;

    /// `$line` once for each register named, in a loop.
    macro_rules! peak {
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
}
