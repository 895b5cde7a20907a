//! Whether a store that failed is asked again.
//!
//! After a few failures in a row nobody asks it. After a pause, which doubles up to a
//! bound, one probe goes out beside the requests; when it is answered, all ask again. So
//! a dead store costs a request nothing but the first few time-outs.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Failures in a row that end the asking.
const FAILURES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask.
    Ask,
    /// Do not ask.
    Skip,
    /// Do not ask for yourself, but send a probe and report how it went.
    Probe,
}

#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    /// While open: when to probe next, and the pause after that.
    open: Option<(Instant, Duration)>,
}

impl Breaker {
    pub(super) fn verdict(&self) -> Verdict {
        let mut state = self.lock();
        let Some((probe_at, pause)) = state.open else {
            return Verdict::Ask;
        };
        let now = Instant::now();
        if now < probe_at {
            return Verdict::Skip;
        }
        // The next probe is due a pause from now, whether or not this one reports.
        state.open = Some((now + pause, (pause * 2).min(LONGEST_PAUSE)));
        Verdict::Probe
    }

    pub(super) fn succeeded(&self) {
        *self.lock() = State::default();
    }

    pub(super) fn failed(&self) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES && state.open.is_none() {
            state.open = Some((Instant::now() + FIRST_PAUSE, FIRST_PAUSE * 2));
        }
    }

    /// The state is whole whenever the lock is free, even after a panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn three_failures_in_a_row_end_the_asking() {
        let breaker = Breaker::default();
        breaker.failed();
        breaker.failed();
        breaker.succeeded();
        breaker.failed();
        breaker.failed();
        assert_eq!(breaker.verdict(), Verdict::Ask);
        breaker.failed();
        assert_eq!(breaker.verdict(), Verdict::Skip);
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_goes_out_after_each_pause_and_pauses_double_to_a_bound() {
        let breaker = Breaker::default();
        (0..3).for_each(|_| breaker.failed());
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            after(pause - 1).await;
            assert_eq!(breaker.verdict(), Verdict::Skip);
            after(1).await;
            assert_eq!(breaker.verdict(), Verdict::Probe, "{pause}");
            assert_eq!(breaker.verdict(), Verdict::Skip);
            breaker.failed();
        }
        after(30).await;
        assert_eq!(breaker.verdict(), Verdict::Probe);
        breaker.succeeded();
        assert_eq!(breaker.verdict(), Verdict::Ask);
    }
}
