//! What was observed of each model, for strategies to judge by.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    catalog::Model,
    ewma::{Ewma, PeakEwma},
};

/// How long a slow answer is remembered: it counts a third after this time.
const DECAY: Duration = Duration::from_secs(30);

/// What one more answer adds to the usual length.
const OUTPUT_WEIGHT: f64 = 0.1;

/// A failed attempt counts as a first token after this many seconds, so that a model
/// which fails fast does not look fast.
const FAILURE_SECONDS: f64 = 10.0;

/// What is known about a model at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Snapshot {
    /// Seconds to the first token; `None` before the first answer.
    pub(crate) first_token_seconds: Option<f64>,
    /// Seconds for each further token.
    pub(crate) token_seconds: Option<f64>,
    /// Tokens of an answer.
    pub(crate) output_tokens: Option<f64>,
    /// Requests that it holds now.
    pub(crate) in_flight: u32,
}

/// The observations of one model.
#[derive(Debug)]
pub(crate) struct ModelStats {
    in_flight: AtomicU32,
    averages: Mutex<Averages>,
}

#[derive(Debug)]
struct Averages {
    first_token: PeakEwma,
    token: PeakEwma,
    output: Ewma,
}

impl Default for ModelStats {
    fn default() -> Self {
        let averages = Averages {
            first_token: PeakEwma::new(DECAY),
            token: PeakEwma::new(DECAY),
            output: Ewma::new(OUTPUT_WEIGHT),
        };
        Self {
            in_flight: AtomicU32::new(0),
            averages: Mutex::new(averages),
        }
    }
}

impl ModelStats {
    /// What is known at `now`.
    pub(crate) fn snapshot(&self, now: Instant) -> Snapshot {
        let averages = self.averages();
        Snapshot {
            first_token_seconds: averages.first_token.at(now),
            token_seconds: averages.token.at(now),
            output_tokens: averages.output.get(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
        }
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// The first token came after `elapsed`.
    pub(crate) fn first_token(&self, elapsed: Duration, now: Instant) {
        self.averages()
            .first_token
            .observe(elapsed.as_secs_f64(), now);
    }

    /// A whole answer of `tokens` was generated in `elapsed` after its first token.
    pub(crate) fn answered(&self, tokens: u32, elapsed: Duration, now: Instant) {
        let mut averages = self.averages();
        averages.output.observe(f64::from(tokens));
        if tokens > 1 {
            let each = elapsed.as_secs_f64() / f64::from(tokens - 1);
            averages.token.observe(each, now);
        }
    }

    /// An attempt failed.
    pub(crate) fn failed(&self, now: Instant) {
        self.averages().first_token.observe(FAILURE_SECONDS, now);
    }

    fn averages(&self) -> MutexGuard<'_, Averages> {
        // An average is never half-written, so a poisoned one is as good as any.
        self.averages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that a model holds.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<ModelStats>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The observations of every model.
#[derive(Debug)]
pub(crate) struct Stats(HashMap<Arc<str>, Arc<ModelStats>>);

impl Stats {
    /// Nothing observed yet of these models.
    pub(crate) fn new<'a>(models: impl IntoIterator<Item = &'a Arc<Model>>) -> Self {
        let names = models.into_iter().map(|model| Arc::clone(&model.name));
        Self(names.map(|name| (name, Arc::default())).collect())
    }

    /// The observations of this model.
    pub(crate) fn of(&self, model: &Model) -> Arc<ModelStats> {
        self.0.get(&model.name).map(Arc::clone).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_answer_teaches_its_start_its_pace_and_its_length() {
        let (stats, now) = (ModelStats::default(), Instant::now());
        assert_eq!(stats.snapshot(now), Snapshot::default());
        stats.first_token(Duration::from_millis(200), now);
        stats.answered(11, Duration::from_secs(1), now);
        let snapshot = stats.snapshot(now);
        assert_eq!(snapshot.first_token_seconds, Some(0.2));
        assert_eq!(snapshot.token_seconds, Some(0.1));
        assert_eq!(snapshot.output_tokens, Some(11.0));
    }

    #[test]
    fn an_answer_of_one_token_has_no_pace() {
        let (stats, now) = (ModelStats::default(), Instant::now());
        stats.answered(1, Duration::from_secs(1), now);
        assert_eq!(stats.snapshot(now).token_seconds, None);
    }

    #[test]
    fn a_failure_makes_a_model_slow_for_a_while() {
        let (stats, now) = (ModelStats::default(), Instant::now());
        stats.first_token(Duration::from_millis(10), now);
        stats.failed(now);
        let then = |seconds| stats.snapshot(now + Duration::from_secs(seconds));
        assert_eq!(then(0).first_token_seconds, Some(10.0));
        assert!(then(300).first_token_seconds.unwrap() < 0.01);
    }

    #[test]
    fn a_request_is_in_flight_until_it_is_dropped() {
        let stats = Arc::new(ModelStats::default());
        let now = Instant::now();
        let (first, second) = (stats.enter(), stats.enter());
        assert_eq!(stats.snapshot(now).in_flight, 2);
        drop((first, second));
        assert_eq!(stats.snapshot(now).in_flight, 0);
    }
}
