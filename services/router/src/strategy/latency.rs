//! The model that is expected to answer soonest: its time to first token and its time
//! a token at the length it usually gives, both peak averages, times the requests it
//! already holds.
//!
//! A model that nothing is known of is tried first, but one request at a time, so
//! that a burst does not land on a stranger.

use rand::RngCore;

use super::{Candidate, Decision, PromptFeatures, Strategy, lowest};

/// Seconds that each request under way adds to a model that has not yet answered.
const STRANGER_SECONDS: f64 = 5.0;

/// See the [module](self).
pub(crate) struct Latency;

impl Strategy for Latency {
    fn name(&self) -> &'static str {
        "latency"
    }

    fn choose(
        &self,
        prompt: &PromptFeatures,
        candidates: &[Candidate],
        random: &mut dyn RngCore,
    ) -> Decision {
        let scores = candidates
            .iter()
            .zip(prompt.expected_output(candidates))
            .map(|(candidate, output)| expected_seconds(candidate, output));
        lowest(scores.collect(), random)
    }
}

fn expected_seconds(candidate: &Candidate, tokens: f64) -> f64 {
    let stats = &candidate.stats;
    let held = f64::from(stats.in_flight);
    let Some(first_token) = stats.first_token_seconds else {
        return held * STRANGER_SECONDS;
    };
    (first_token + stats.token_seconds.unwrap_or(0.0) * tokens) * (held + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        stats::Snapshot,
        strategy::tests::{candidate, random},
    };

    const PROMPT: PromptFeatures = PromptFeatures {
        prompt_tokens: 10,
        max_tokens: Some(100),
    };

    fn stats(first_token: f64, token: f64, in_flight: u32) -> Snapshot {
        Snapshot {
            first_token_seconds: Some(first_token),
            token_seconds: Some(token),
            output_tokens: Some(100.0),
            in_flight,
        }
    }

    fn choose(prompt: PromptFeatures, stats: &[Snapshot]) -> usize {
        let candidates: Vec<_> = stats
            .iter()
            .map(|stats| candidate("m", "0", "0", *stats))
            .collect();
        Latency.choose(&prompt, &candidates, &mut random()).index
    }

    #[test]
    fn a_short_answer_wants_a_quick_start_and_a_long_one_quick_tokens() {
        let models = [stats(0.1, 0.05, 0), stats(1.0, 0.01, 0)];
        assert_eq!(
            choose(
                PromptFeatures {
                    max_tokens: Some(5),
                    ..PROMPT
                },
                &models
            ),
            0
        );
        assert_eq!(choose(PROMPT, &models), 1);
    }

    #[test]
    fn a_model_nobody_knows_is_tried_first() {
        assert_eq!(
            choose(PROMPT, &[stats(0.1, 0.01, 0), Snapshot::default()]),
            1
        );
    }

    #[test]
    fn a_burst_does_not_land_on_a_stranger() {
        let busy_stranger = Snapshot {
            in_flight: 1,
            ..Snapshot::default()
        };
        assert_eq!(choose(PROMPT, &[stats(0.1, 0.01, 0), busy_stranger]), 0);
    }

    #[test]
    fn load_counts_against_a_fast_model() {
        assert_eq!(
            choose(PROMPT, &[stats(0.1, 0.01, 9), stats(0.5, 0.02, 0)]),
            1
        );
    }
}
