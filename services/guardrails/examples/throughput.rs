//! How fast texts are checked, in MB/s on one core, on ordinary and hostile texts.
//!
//! `cargo run --release --example throughput`

use std::{error::Error, hint::black_box, time::Instant};

use signalbox_guardrails::{Engine, GuardrailsConfig, Selection};

const MEGABYTE: usize = 1 << 20;

const MIXED: &str = "\
Dear Ms Okafor, thank you for calling on 14 March about order 8842-19, which left our \
warehouse at 09:12:44 and should reach you within 3 to 5 working days. Please write to \
orders@example.org or call (415) 555-2671 if it does not. The build 4.18.0-553 ran as \
550e8400-e29b-41d4-a716-446655440000 on 192.0.2.17 in 2.4 s; std::vector<int> v{1, 2, 3}; \
Die Rechnung über 1.204,50 € wurde am 03.02.2026 beglichen. 会议改到星期四下午三点。 \
My card is 4111 1111 1111 1111, exp 12/27, and my SSN 536-22-1234. \
Then the quick brown fox jumps over the lazy dog, over and over again, until nobody in \
the room remembers how many times it did, or why anybody had started to count at all.\n";

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new(&GuardrailsConfig::default())?;
    let texts = [
        ("mixed prose", MIXED),
        (
            "plain prose",
            "It was a bright cold day in spring, and all the clocks were wrong. ",
        ),
        ("digits and spaces", "1234 5678 9012 3456 "),
        ("one long number", "1234567890"),
        ("one long domain", "a@aa.aa.aa.aa.aa.aa"),
        ("short groups", "call 12 34 56 78 "),
        ("colons", ":a:b:c"),
        ("plus signs", "+1 +2 +3 "),
    ];
    println!("text                 MB/s   findings/MB  read back  candidates/kB");
    for (name, unit) in texts {
        let text = unit.repeat(MEGABYTE.div_ceil(unit.len()));
        let text = &text[..text.floor_char_boundary(MEGABYTE)];
        // Once to build the automaton's states.
        let report = engine.check(text, &Selection::default_on())?;
        let started = Instant::now();
        let mut bytes = 0;
        while started.elapsed().as_millis() < 500 {
            black_box(engine.redact(black_box(text), &Selection::default_on())?);
            bytes += text.len();
        }
        let rate = bytes as f64 / 1e6 / started.elapsed().as_secs_f64();
        let per_byte = report.stats.walked_bytes as f64 / text.len() as f64;
        let candidates = report.stats.candidates as f64 / text.len() as f64 * 1000.0;
        println!(
            "{name:<18} {rate:>6.0} {:>13} {per_byte:>10.2} {candidates:>14.1}",
            report.findings.len()
        );
    }
    Ok(())
}
