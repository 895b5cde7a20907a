//! What the local model has done, for tests and for metrics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, counter, gauge};

use crate::provider::telemetry;

/// A moment's view of the local model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalStats {
    /// Answers being generated now.
    pub active: u64,
    /// Tokens generated since start, end-of-sequence tokens not counted.
    pub generated_tokens: u64,
    /// Requests whose stream was dropped before its end.
    pub cancelled: u64,
}

/// The counters behind [`LocalStats`] and their metrics.
pub(super) struct Counters {
    active: AtomicU64,
    generated: AtomicU64,
    cancelled: AtomicU64,
    last_answer_ms: AtomicU64,
    provider: Arc<str>,
}

impl Counters {
    pub(super) fn new(provider: Arc<str>) -> Self {
        Self {
            active: AtomicU64::new(0),
            generated: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            last_answer_ms: AtomicU64::new(0),
            provider,
        }
    }

    pub(super) fn snapshot(&self) -> LocalStats {
        LocalStats {
            active: self.active.load(Relaxed),
            generated_tokens: self.generated.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
        }
    }

    pub(super) fn started(&self) {
        self.active.fetch_add(1, Relaxed);
        self.gauge(telemetry::LOCAL_ACTIVE).increment(1.0);
    }

    pub(super) fn ended(&self, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.last_answer_ms.store(millis, Relaxed);
        self.active.fetch_sub(1, Relaxed);
        self.gauge(telemetry::LOCAL_ACTIVE).decrement(1.0);
    }

    pub(super) fn read(&self, tokens: u64) {
        self.counter(telemetry::LOCAL_PROMPT_TOKENS)
            .increment(tokens);
    }

    pub(super) fn generated(&self) {
        self.generated.fetch_add(1, Relaxed);
        self.counter(telemetry::LOCAL_GENERATED_TOKENS).increment(1);
    }

    pub(super) fn cancelled(&self, requests: usize) {
        let requests = requests as u64;
        self.cancelled.fetch_add(requests, Relaxed);
        self.counter(telemetry::LOCAL_CANCELLED).increment(requests);
    }

    pub(super) fn refused(&self) {
        self.counter(telemetry::LOCAL_REFUSED).increment(1);
    }

    #[expect(clippy::cast_precision_loss, reason = "a queue holds a few")]
    pub(super) fn waiting(&self, requests: usize) {
        self.gauge(telemetry::LOCAL_QUEUED).set(requests as f64);
    }

    /// How long the last answer took, the best guess for when there is room again.
    pub(super) fn last_answer(&self) -> Duration {
        Duration::from_millis(self.last_answer_ms.load(Relaxed))
    }

    fn counter(&self, name: &'static str) -> Counter {
        counter!(name, "provider" => self.provider.clone())
    }

    fn gauge(&self, name: &'static str) -> Gauge {
        gauge!(name, "provider" => self.provider.clone())
    }
}
