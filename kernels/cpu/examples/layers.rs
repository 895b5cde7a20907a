//! Tokens per CPU-second of MiniLM's six layers on one thread, random weights, by mode and
//! instruction set; the mean of the rounds, in which all take turns.
//!
//! `cargo run --release -p signalbox-kernels --example layers [ROUNDS [WANTED]]`, where
//! contestants have WANTED in their name (`amx I16`, say).

use std::{env, fs, time::Instant};

use signalbox_kernels::{
    Activations, Cpu, Heads, LayerWeights, Level, LinearWeights, Mode, Norm, ShapeError, Stack,
};

const HIDDEN: usize = 384;
const WIDE: usize = 1536;
const HEADS: Heads = Heads {
    count: 12,
    width: 32,
};

fn main() -> Result<(), ShapeError> {
    let rounds = env::args().nth(1).and_then(|a| a.parse().ok());
    let rounds: usize = rounds.unwrap_or(10);
    let wanted = env::args().nth(2).unwrap_or_default();
    let square = noise(HIDDEN * HIDDEN, 1);
    let oblong = noise(HIDDEN * WIDE, 2);
    let (zeros, ones) = (vec![0.0; WIDE], vec![1.0; HIDDEN]);
    let linear = |weight, outputs| LinearWeights {
        weight,
        bias: &zeros[..outputs],
    };
    let norm = Norm {
        scale: &ones,
        shift: &zeros[..HIDDEN],
        eps: 1e-12,
    };
    let layer = LayerWeights {
        query: linear(&square, HIDDEN),
        key: linear(&square, HIDDEN),
        value: linear(&square, HIDDEN),
        attention_out: linear(&square, HIDDEN),
        attention_norm: norm,
        widen: linear(&oblong, WIDE),
        narrow: linear(&oblong, HIDDEN),
        output_norm: norm,
    };
    let mut contestants = Vec::new();
    for level in [Level::Avx2, Level::Avx512, Level::Amx] {
        let Some(cpu) = Cpu::with(level) else {
            continue;
        };
        for mode in [Mode::F32, Mode::I16, Mode::Int8] {
            if !format!("{} {mode:?}", level.as_str()).contains(&wanted) {
                continue;
            }
            let mut stack = Stack::new(cpu, mode, HEADS, WIDE);
            for _ in 0..6 {
                stack.push(&layer)?;
            }
            contestants.push((cpu, mode, stack));
        }
    }
    let mut activations = Activations::default();
    let epoch = Instant::now();
    for lengths in [vec![8], vec![16; 16], vec![64; 4], vec![128; 2], vec![256]] {
        let tokens: usize = lengths.iter().sum();
        let repeats = (512 / tokens).clamp(2, 30);
        let input = noise(tokens * HIDDEN, 3);
        let mut total = vec![0.0f64; contestants.len()];
        for _ in 0..rounds {
            for ((_, _, stack), total) in contestants.iter().zip(&mut total) {
                let mut hidden = input.clone();
                let start = seconds(epoch);
                for _ in 0..repeats {
                    stack.run(&mut hidden, &lengths, None, &mut activations, || true)?;
                }
                *total += seconds(epoch) - start;
            }
        }
        print!("{:>2} x {:>3} tokens, tokens/s:", lengths.len(), lengths[0]);
        for ((cpu, mode, _), total) in contestants.iter().zip(total) {
            let rate = (repeats * rounds * tokens) as f64 / total;
            print!("  {} {mode:?} {rate:6.0}", cpu.level().as_str());
        }
        println!();
    }
    Ok(())
}

/// This thread's time on a processor where the system tells (Linux, to a few ms), else
/// time on the wall: other work on the machine then counts less.
fn seconds(epoch: Instant) -> f64 {
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let told = told.and_then(|line| line.split(' ').next()?.parse::<f64>().ok());
    told.map_or_else(|| epoch.elapsed().as_secs_f64(), |ns| ns / 1e9)
}

/// Values in -0.1..0.1 without a dependency.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as i32 as f32 / 21_474_836_480.0
    };
    std::iter::repeat_with(next).take(count).collect()
}
