//! Loads: clients that wait for each answer before they send again, and arrivals that
//! wait for nobody.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    Failure,
    client::{Client, Ended},
    server::Server,
    texts::Random,
};

/// How long a client rests that was refused.
const BACK_OFF: Duration = Duration::from_millis(50);

/// What a load came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    pub(crate) answered: usize,
    pub(crate) tokens: u64,
    pub(crate) shed: usize,
    /// Of those shed, who were not told when to come back.
    pub(crate) shed_untold: usize,
    pub(crate) failures: Vec<String>,
    /// Of answered calls, in milliseconds, ascending.
    latencies_ms: Vec<f64>,
    /// Processor time of the server, in seconds.
    pub(crate) server_cpu: f64,
}

impl Report {
    pub(crate) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds
    }

    pub(crate) fn calls_per_second(&self) -> f64 {
        self.answered as f64 / self.seconds
    }

    pub(crate) fn tokens_per_cpu_second(&self) -> f64 {
        self.tokens as f64 / self.server_cpu
    }

    /// A quantile of the latency in milliseconds, by the nearest rank.
    pub(crate) fn latency_ms(&self, quantile: f64) -> f64 {
        let rank = (quantile * self.latencies_ms.len() as f64).ceil() as usize;
        let at = rank.saturating_sub(1);
        self.latencies_ms.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// A call and the time from when it should have been sent to its end.
type Call = (Ended, Duration);

fn report(calls: Vec<Call>, elapsed: Duration, server_cpu: Duration) -> Report {
    let mut report = Report {
        seconds: elapsed.as_secs_f64(),
        server_cpu: server_cpu.as_secs_f64(),
        ..Report::default()
    };
    for (ended, latency) in calls {
        match ended {
            Ended::Answered { tokens, .. } => {
                report.answered += 1;
                report.tokens += tokens;
                report.latencies_ms.push(latency.as_secs_f64() * 1e3);
            }
            Ended::Shed { retry_after } => {
                report.shed += 1;
                report.shed_untold += usize::from(retry_after.is_none());
            }
            Ended::Failed(error) => report.failures.push(error),
        }
    }
    report.latencies_ms.sort_by(f64::total_cmp);
    report
}

/// What to send next.
pub(crate) type Source = fn(&mut Random) -> Vec<String>;

/// Every client sends, waits for the answer, and sends again until the time is over. All
/// calls count until the last answer: those that are still at work when the time is over
/// are the large ones, and leaving them out would leave out a good part of the work.
pub(crate) async fn closed(
    server: &Server,
    clients: &[Arc<Client>],
    source: Source,
    time: Duration,
) -> Result<Report, Failure> {
    let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
    let cpu = server.cpu()?;
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (index, client) in clients.iter().enumerate() {
        let (client, calls) = (Arc::clone(client), Arc::clone(&calls));
        tasks.spawn(async move {
            let mut random = Random::new(index as u64);
            while begun.elapsed() < time {
                let texts = source(&mut random);
                let sent = Instant::now();
                let ended = client.embed(texts).await;
                let latency = sent.elapsed();
                if let Ended::Shed { .. } = ended {
                    // Sixty-four clients ought to find room; one that does not must not
                    // become a storm.
                    tokio::time::sleep(BACK_OFF).await;
                }
                lock(&calls).push((ended, latency));
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    let (elapsed, cpu) = (begun.elapsed(), server.cpu()? - cpu);
    let calls = std::mem::take(&mut *lock(&calls));
    Ok(report(calls, elapsed, cpu))
}

/// Calls arrive `rate` times a second on average whether or not earlier ones were
/// answered, and go round the clients. A call's latency counts from when it was due.
pub(crate) async fn open(
    server: &Server,
    clients: &[Arc<Client>],
    source: Source,
    rate: f64,
    time: Duration,
) -> Result<Report, Failure> {
    let mut random = Random::new(4711);
    let cpu = server.cpu()?;
    let begun = Instant::now();
    let mut due = Duration::ZERO;
    let mut tasks = JoinSet::new();
    for client in clients.iter().cycle() {
        due += Duration::from_secs_f64(random.gap(rate));
        if due >= time {
            break;
        }
        let texts = source(&mut random);
        let due_at = begun + due;
        tokio::time::sleep_until(due_at.into()).await;
        let client = Arc::clone(client);
        tasks.spawn(async move {
            let ended = client.embed(texts).await;
            (ended, due_at.elapsed())
        });
    }
    let mut calls = Vec::new();
    while let Some(call) = tasks.join_next().await {
        calls.push(call?);
    }
    Ok(report(calls, begun.elapsed(), server.cpu()? - cpu))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
