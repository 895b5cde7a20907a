//! The engine as a worker of `tools/bench-guardrails`: it reads a JSON list of texts, says
//! that it is ready, and then takes turns.
//!
//! `scan_worker TEXTS.json`, then a line `{"from": 0, "to": 400, "times": 3}` for each turn:
//! check these texts so often. It answers `{"bytes", "findings",
//! "walked_bytes", "candidates", "cpu_s", "wall_s"}`.

use std::{
    error::Error,
    fs::File,
    hint::black_box,
    io::{self, BufRead as _, BufReader, Write as _},
    time::Instant,
};

use serde::Deserialize;
use signalbox_guardrails::{Engine, GuardrailsConfig, Selection};

#[derive(Deserialize)]
struct Turn {
    from: usize,
    to: usize,
    times: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name the file of texts")?;
    let texts: Vec<String> = serde_json::from_reader(BufReader::new(File::open(path)?))?;
    let engine = Engine::new(&GuardrailsConfig::default())?;
    let selection = Selection::default_on();
    for text in &texts {
        engine.check(text, &selection)?;
    }
    println!("{}", serde_json::json!({"ready": "all default detectors"}));
    for line in io::stdin().lock().lines() {
        let turn: Turn = serde_json::from_str(&line?)?;
        let chosen = texts.get(turn.from..turn.to).ok_or("no such texts")?;
        let (mut bytes, mut findings) = (0, 0);
        let (mut walked, mut candidates) = (0, 0);
        let (cpu, wall) = (cpu_seconds()?, Instant::now());
        for _ in 0..turn.times {
            for text in chosen {
                let report = black_box(engine.check(black_box(text), &selection)?);
                findings += report.findings.len();
                walked += report.stats.walked_bytes;
                candidates += report.stats.candidates;
                bytes += text.len();
            }
        }
        let answer = serde_json::json!({
            "bytes": bytes,
            "findings": findings,
            "walked_bytes": walked,
            "candidates": candidates,
            "cpu_s": cpu_seconds()? - cpu,
            "wall_s": wall.elapsed().as_secs_f64(),
        });
        println!("{answer}");
        io::stdout().flush()?;
    }
    Ok(())
}

/// CPU seconds of this thread, from the kernel's count of nanoseconds.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = statistics
        .split_ascii_whitespace()
        .next()
        .ok_or("schedstat is empty")?;
    Ok(nanos.parse::<f64>()? / 1e9)
}
