//! Moving averages that know the time.
//!
//! A model's speed is judged by a *peak* EWMA, as in Twitter's Finagle: a worse
//! sample counts at once and in full, a better one only as time passes. Asked
//! without new samples the average fades to zero, so a model that was once slow is
//! tried again instead of being shunned for ever. Time comes in as an argument.

use std::time::Duration;

use tokio::time::Instant;

/// Rises to a peak at once, falls with time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeakEwma {
    decay: Duration,
    state: Option<(f64, Instant)>,
}

impl PeakEwma {
    /// An average in which a sample's weight falls to `1/e` after `decay`.
    pub(crate) const fn new(decay: Duration) -> Self {
        Self { decay, state: None }
    }

    /// Takes a sample, in whatever unit.
    pub(crate) fn observe(&mut self, sample: f64, now: Instant) {
        let value = match self.state {
            Some((value, at)) if sample < value => {
                let old = self.weight(now.saturating_duration_since(at));
                value * old + sample * (1.0 - old)
            }
            _ => sample,
        };
        self.state = Some((value, now));
    }

    /// The average faded to `now`; `None` before the first sample.
    pub(crate) fn at(&self, now: Instant) -> Option<f64> {
        let (value, at) = self.state?;
        Some(value * self.weight(now.saturating_duration_since(at)))
    }

    fn weight(&self, age: Duration) -> f64 {
        (-age.as_secs_f64() / self.decay.as_secs_f64().max(f64::MIN_POSITIVE)).exp()
    }
}

/// An average by sample count, for what does not age with time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ewma {
    weight: f64,
    value: Option<f64>,
}

impl Ewma {
    /// An average to which each new sample adds `weight`, above 0 and at most 1.
    pub(crate) const fn new(weight: f64) -> Self {
        Self {
            weight,
            value: None,
        }
    }

    /// Takes a sample.
    pub(crate) fn observe(&mut self, sample: f64) {
        self.value = Some(match self.value {
            Some(value) => value + self.weight * (sample - value),
            None => sample,
        });
    }

    /// The average; `None` before the first sample.
    pub(crate) fn get(&self) -> Option<f64> {
        self.value
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const DECAY: Duration = Duration::from_secs(10);

    #[test]
    fn a_peak_counts_at_once_and_fades_by_e_in_one_decay() {
        let start = Instant::now();
        let mut average = PeakEwma::new(DECAY);
        assert_eq!(average.at(start), None);
        average.observe(0.1, start);
        average.observe(5.0, start);
        assert_eq!(average.at(start), Some(5.0));
        let faded = average.at(start + DECAY).unwrap();
        assert!((faded - 5.0 / std::f64::consts::E).abs() < 1e-12, "{faded}");
    }

    #[test]
    fn a_better_sample_counts_as_time_passes() {
        let start = Instant::now();
        let mut average = PeakEwma::new(DECAY);
        average.observe(5.0, start);
        average.observe(1.0, start);
        assert_eq!(average.at(start), Some(5.0), "no time has passed");
        let later = start + 100 * DECAY;
        average.observe(1.0, later);
        assert!((average.at(later).unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn time_that_runs_backwards_changes_nothing() {
        let start = Instant::now() + DECAY;
        let mut average = PeakEwma::new(DECAY);
        average.observe(2.0, start);
        assert_eq!(average.at(start - DECAY), Some(2.0));
    }

    #[test]
    fn a_plain_average_moves_by_its_weight() {
        let mut average = Ewma::new(0.25);
        assert_eq!(average.get(), None);
        average.observe(100.0);
        average.observe(200.0);
        assert_eq!(average.get(), Some(125.0));
    }
}
