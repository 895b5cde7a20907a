//! What the multipliers of this processor do when nothing else is in the way: the kernels'
//! loops over registers alone, for each kind of arithmetic that an engine could use.
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
use signalbox_kernels::{Cpu, Multiplier};

use crate::worker::{Result, say};

#[derive(Deserialize)]
struct Order {
    kind: String,
    threads: usize,
    ms: u64,
}

pub(crate) fn serve() -> Result<()> {
    say(&json!({"load_s": 0.0}))?;
    for line in stdin().lock().lines() {
        let order: Order = serde_json::from_str(&line?)?;
        let time = Duration::from_millis(order.ms);
        let operations = multiplier(&order.kind).and_then(|kind| all(kind, order.threads, time));
        say(&json!({"operations": operations}))?;
    }
    Ok(())
}

fn multiplier(name: &str) -> Option<Multiplier> {
    Some(match name {
        "f32" => Multiplier::F32,
        "i16" => Multiplier::I16,
        "int8" => Multiplier::Int8,
        "amx-int8" => Multiplier::TilesInt8,
        "amx-bf16" => Multiplier::TilesBf16,
        _ => return None,
    })
}

fn all(kind: Multiplier, threads: usize, time: Duration) -> Option<f64> {
    thread::scope(|scope| {
        let each: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| one(kind, time)))
            .collect();
        let done = each.into_iter().map(|thread| thread.join().unwrap_or(None));
        done.sum()
    })
}

fn one(kind: Multiplier, time: Duration) -> Option<f64> {
    const STEPS: u64 = 50_000;
    let cpu = Cpu::detect();
    let start = Instant::now();
    let mut operations = 0.0;
    while start.elapsed() < time {
        operations += cpu.multiply(kind, STEPS)?;
    }
    Some(operations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loop_that_this_processor_has_does_work_and_no_other_is_offered() {
        for name in ["f32", "i16", "int8", "amx-int8", "amx-bf16"] {
            let done = multiplier(name).and_then(|kind| all(kind, 2, Duration::from_millis(1)));
            assert!(done.is_none_or(|operations| operations > 0.0), "{name}");
        }
        assert_eq!(multiplier("f64"), None);
    }
}
