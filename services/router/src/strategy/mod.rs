//! How a route chooses: one trait, one file for each strategy, one line for each in
//! [`StrategyKind`].
//!
//! A choice is a pure function of what is known about the prompt and the candidates
//! and of the randomness handed in, so that it can be tested, explained and replayed.

mod cost;
mod latency;

use std::sync::Arc;

use rand::{Rng as _, RngCore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{catalog::Model, stats::Snapshot};

/// The strategies that a route may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StrategyKind {
    /// The model with the lowest expected price for this prompt.
    Cost,
    /// The model that is expected to answer soonest.
    Latency,
}

impl StrategyKind {
    pub(crate) fn build(self) -> Box<dyn Strategy> {
        match self {
            Self::Cost => Box::new(cost::Cost),
            Self::Latency => Box::new(latency::Latency),
        }
    }
}

/// What is known about a prompt before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PromptFeatures {
    /// Estimated tokens of the prompt.
    pub(crate) prompt_tokens: u32,
    /// Most tokens that the caller wants.
    pub(crate) max_tokens: Option<u32>,
}

/// Answer length to expect where no model has answered yet, in tokens.
const UNKNOWN_OUTPUT_TOKENS: f64 = 256.0;

impl PromptFeatures {
    /// Tokens that each candidate is expected to generate. A model that has not
    /// answered yet is taken for an average one: a fixed guess would favour whoever
    /// happened to answer first.
    fn expected_output(&self, candidates: &[Candidate]) -> Vec<f64> {
        let known = || {
            let stats = candidates.iter().map(|candidate| &candidate.stats);
            stats.filter_map(|stats| stats.output_tokens)
        };
        let average = match known().count() {
            0 => UNKNOWN_OUTPUT_TOKENS,
            count => known().sum::<f64>() / count as f64,
        };
        let most = self.max_tokens.map_or(f64::INFINITY, f64::from);
        candidates
            .iter()
            .map(|candidate| candidate.stats.output_tokens.unwrap_or(average).min(most))
            .collect()
    }
}

/// A model that may be chosen, and how it did so far.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) model: Arc<Model>,
    pub(crate) stats: Snapshot,
}

/// A choice, with all that explains it. Scores and propensities are in the order of
/// the candidates.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    /// The candidate that was chosen.
    pub(crate) index: usize,
    /// Each candidate's score; lower is better.
    pub(crate) scores: Vec<f64>,
    /// The probability with which each was chosen, 0 to 1; their sum is 1.
    pub(crate) propensities: Vec<f64>,
}

impl Decision {
    /// The candidates in the order in which to try them: the chosen one, then the
    /// others by score.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut order: Vec<_> = (0..self.scores.len()).collect();
        order.sort_by(|a, b| self.scores[*a].total_cmp(&self.scores[*b]));
        order.sort_by_key(|index| *index != self.index);
        order
    }
}

/// Chooses one of several models.
pub(crate) trait Strategy: Send + Sync {
    /// The name in the configuration and in answers.
    fn name(&self) -> &'static str;

    /// Chooses one of `candidates`, of which there is at least one.
    fn choose(
        &self,
        prompt: &PromptFeatures,
        candidates: &[Candidate],
        random: &mut dyn RngCore,
    ) -> Decision;
}

/// The candidate with the lowest score; equals share the prompts evenly.
fn lowest(scores: Vec<f64>, random: &mut dyn RngCore) -> Decision {
    let best = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let ties: Vec<_> = (0..scores.len())
        .filter(|index| scores[*index].total_cmp(&best).is_le())
        .collect();
    let mut propensities = vec![0.0; scores.len()];
    for index in &ties {
        propensities[*index] = 1.0 / ties.len() as f64;
    }
    let index = match ties[..] {
        [] => 0,
        [only] => only,
        _ => ties[random.random_range(..ties.len())],
    };
    Decision {
        index,
        scores,
        propensities,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;
    use crate::money::Price;

    /// A model with prices in dollars a million tokens.
    pub(super) fn candidate(name: &str, input: &str, output: &str, stats: Snapshot) -> Candidate {
        let model = Model {
            name: name.into(),
            provider: "p".into(),
            upstream_name: name.into(),
            price: Price {
                input: input.parse().unwrap(),
                cached_input: input.parse().unwrap(),
                output: output.parse().unwrap(),
            },
            context_window: None,
        };
        Candidate {
            model: Arc::new(model),
            stats,
        }
    }

    pub(super) fn random() -> StdRng {
        StdRng::seed_from_u64(7)
    }

    #[test]
    fn the_others_follow_the_chosen_one_by_score() {
        let decision = Decision {
            index: 2,
            scores: vec![5.0, 1.0, 3.0, 2.0],
            propensities: vec![0.0, 0.0, 1.0, 0.0],
        };
        assert_eq!(decision.order(), [2, 1, 3, 0]);
    }

    #[test]
    fn equals_share_the_prompts_evenly() {
        let mut random = random();
        let mut chosen = [0; 3];
        for _ in 0..10_000 {
            let decision = lowest(vec![1.0, 2.0, 1.0], &mut random);
            assert_eq!(decision.propensities, [0.5, 0.0, 0.5]);
            chosen[decision.index] += 1;
        }
        assert_eq!(chosen[1], 0);
        // Five standard deviations of a fair coin.
        assert!((4_750..=5_250).contains(&chosen[0]), "{chosen:?}");
    }

    proptest! {
        #[test]
        fn a_decision_is_one_of_the_candidates_and_its_probabilities_sum_to_one(
            scores in proptest::collection::vec(any::<f64>(), 1..8),
        ) {
            let decision = lowest(scores.clone(), &mut random());
            prop_assert!(decision.index < scores.len());
            let mut order = decision.order();
            prop_assert_eq!(order[0], decision.index);
            order.sort_unstable();
            prop_assert_eq!(order, (0..scores.len()).collect::<Vec<_>>());
            if scores.iter().all(|score| score.is_finite()) {
                prop_assert!((decision.propensities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                prop_assert!(scores.iter().all(|score| *score >= scores[decision.index]));
            }
        }
    }
}
