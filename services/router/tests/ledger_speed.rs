//! What one booking costs in time and in CPU. Not a test of speed: prints what this
//! machine does. Run it in release with `--ignored --nocapture`; it reads Linux's
//! `/proc`.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{fs, time::Instant};

use futures_util::{StreamExt as _, stream};
use signalbox_router::{
    chat::TokenUsage,
    ledger::{Booking, EmbeddedLedger, Ledger},
    money::UsdPicos,
};

/// Kernel clock ticks a second; 100 on every common Linux.
const TICKS_PER_SECOND: f64 = 100.0;

fn booking(index: u32) -> Booking {
    Booking {
        user: format!("user-{}", index % 100).into(),
        model: "model".into(),
        provider: "provider".into(),
        usage: TokenUsage {
            prompt: 100,
            cached_prompt: 0,
            completion: 50,
        },
        cost: UsdPicos::from_picos(1_000_000),
        estimated: false,
    }
}

/// Seconds of CPU that this process has used, user and system: fields 14 and 15 of
/// proc(5)'s `stat`, of which the second may hold blanks and ends with a parenthesis.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = fields.map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks / TICKS_PER_SECOND
}

async fn measure(name: &str, ledger: &dyn Ledger, concurrency: usize, bookings: u32) {
    let (started, cpu) = (Instant::now(), cpu_seconds());
    stream::iter(0..bookings)
        .for_each_concurrent(concurrency, |index| async move {
            ledger.book(booking(index)).await.unwrap();
        })
        .await;
    let each = |seconds: f64| seconds * 1e6 / f64::from(bookings);
    println!(
        "{name}, {concurrency} at a time: {:.1} us, {:.1} us of CPU a booking",
        each(started.elapsed().as_secs_f64()),
        each(cpu_seconds() - cpu),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let file = EmbeddedLedger::open(path, 1_000_000).await.unwrap();
    let memory = EmbeddedLedger::in_memory(1_000_000).await.unwrap();
    for (concurrency, scale) in [(1, 1), (8, 4), (64, 8), (512, 20)] {
        measure("memory", &memory, concurrency, 10_000 * scale).await;
        measure("file", &file, concurrency, 2_000 * scale).await;
    }
}
