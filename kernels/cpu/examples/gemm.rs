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
    let cpus: Vec<Cpu> = [Level::Avx2, Level::Avx512, Level::Amx]
        .into_iter()
        .filter_map(Cpu::with)
        .collect();
    let peaks: Vec<[f64; 2]> = cpus
        .iter()
        .map(|cpu| cpu.measure_peaks())
        .map(|peaks| [peaks.f32, peaks.i16])
        .collect();

    for [inputs, outputs] in SHAPES {
        let weight = noise(outputs * inputs, 1);
        let bias = noise(outputs, 2);
        let real = PackedF32::pack(&weight, Some(&bias), outputs, inputs);
        let whole: Result<Vec<PackedI16>, _> = cpus
            .iter()
            .map(|cpu| PackedI16::pack(*cpu, &weight, Some(&bias), outputs, inputs))
            .collect();
        let (Ok(real), Ok(whole)) = (real, whole) else {
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
                    keep(&mut best[2 * index], operations, || {
                        let done = cpu.linear_f32(&real, &input, &mut output, Epilogue::Bias);
                        assert!(done.is_ok());
                    });
                    keep(&mut best[2 * index + 1], operations, || {
                        let epilogue = Epilogue::Bias;
                        let whole = &whole[index];
                        let done =
                            cpu.linear_i16(whole, &input, &mut output, epilogue, &mut workspace);
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
