//! Measures JSON to protobuf bytes and back, on the messages that Signalbox
//! moves most: our direct codec, prost-reflect's dynamic messages, and
//! pbjson's generated serde types.
//!
//! The three take turns within each round, so that whatever else the machine does
//! hits all alike; the median of the rounds is reported.

mod alloc;
mod cases;
mod table;

use std::{error::Error, hint::black_box, time::Instant};

use cases::{Case, Codec};

#[global_allocator]
static COUNTING: alloc::Counting = alloc::Counting;

/// Rounds in which every codec takes one turn at every case.
const ROUNDS: usize = 21;
/// How long one turn aims to last, in nanoseconds.
const TURN_NS: u128 = 20_000_000;

/// What one codec did on one case.
struct Measured {
    case: &'static str,
    codec: &'static str,
    /// Bytes of JSON, read or written.
    json_bytes: usize,
    ns_per_op: f64,
    allocations_per_op: f64,
}

impl Measured {
    fn megabytes_per_second(&self) -> f64 {
        self.json_bytes as f64 / self.ns_per_op * 1e3
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let cases = cases::all()?;
    let mut results = Vec::new();
    for case in &cases {
        case.check()?;
        results.extend(measure(case)?);
    }
    let path = table::write_json(&results)?;
    table::print(&results);
    println!("\nwritten to {}", path.display());
    Ok(())
}

fn measure(case: &Case) -> Result<Vec<Measured>, Box<dyn Error>> {
    eprintln!("measuring {} ...", case.name);
    let mut turns = Vec::new();
    for codec in &case.codecs {
        // One warm-up turn says how many operations a turn holds.
        let once = time(codec, 3)?.max(1);
        turns.push((TURN_NS / once).clamp(1, 1_000_000) as u32);
    }
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); case.codecs.len()];
    for _ in 0..ROUNDS {
        for ((codec, turn), samples) in case.codecs.iter().zip(&turns).zip(&mut samples) {
            samples.push(time(codec, *turn)? as f64);
        }
    }
    let mut results = Vec::new();
    for (codec, mut samples) in case.codecs.iter().zip(samples) {
        samples.sort_by(f64::total_cmp);
        let before = alloc::count();
        black_box((codec.run)()?);
        results.push(Measured {
            case: case.name,
            codec: codec.name,
            json_bytes: case.json_bytes,
            ns_per_op: samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN),
            allocations_per_op: (alloc::count() - before) as f64,
        });
    }
    Ok(results)
}

/// Nanoseconds of one operation, averaged over `times`.
fn time(codec: &Codec, times: u32) -> Result<u128, Box<dyn Error>> {
    let start = Instant::now();
    for _ in 0..times {
        black_box((codec.run)()?);
    }
    Ok(start.elapsed().as_nanos() / u128::from(times))
}
