//! Embeds the lines of standard input and says how long loading and embedding took.
//!
//! `cargo run --release -p signalbox-encoder --example embed -- MODEL_DIR < texts.txt`

#![forbid(unsafe_code)]

use std::{
    env,
    error::Error,
    fs,
    io::{BufRead as _, stdin},
    path::Path,
    sync::atomic::AtomicBool,
    time::Instant,
};

use signalbox_encoder::Encoder;

/// Resident and peak memory in MiB, where the system tells (Linux).
fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    match (field("VmRSS:"), field("VmHWM:")) {
        (Some(now), Some(peak)) => format!("{} MiB resident, {} at most", now >> 10, peak >> 10),
        _ => "memory unknown".to_owned(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = env::args()
        .nth(1)
        .ok_or("the first argument is the model's folder")?;
    let start = Instant::now();
    let encoder = Encoder::load(Path::new(&dir))?;
    println!("loaded in {:?}; {}", start.elapsed(), memory());

    let lines: Vec<String> = stdin().lock().lines().collect::<Result<_, _>>()?;
    let start = Instant::now();
    let texts = lines
        .iter()
        .map(|line| encoder.tokenize(line))
        .collect::<Result<Vec<_>, _>>()?;
    println!("tokenized in {:?}", start.elapsed());

    let tokens: usize = texts.iter().map(|text| text.ids().len()).sum();
    let start = Instant::now();
    let vectors = encoder.encode(&texts, &AtomicBool::new(false))?;
    let took = start.elapsed();
    let rate = tokens as f64 / took.as_secs_f64();
    println!(
        "{} texts, {tokens} tokens in {took:?}: {rate:.0} tokens/s; {}",
        vectors.len(),
        memory()
    );
    Ok(())
}
