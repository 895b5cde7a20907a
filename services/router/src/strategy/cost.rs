//! The model with the lowest expected price for this prompt: what the prompt costs
//! there, and what the answer costs at the length that this model usually gives.
//!
//! A chatty model with a low price a token is not cheap; that is why the length is
//! learned for each model.

use rand::RngCore;

use super::{Candidate, Decision, PromptFeatures, Strategy, lowest};

/// See the [module](self).
pub(crate) struct Cost;

impl Strategy for Cost {
    fn name(&self) -> &'static str {
        "cost"
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
            .map(|(candidate, output)| expected_picos(prompt, candidate, output));
        lowest(scores.collect(), random)
    }
}

/// An expectation, so floating point is enough here; what is booked is exact.
fn expected_picos(prompt: &PromptFeatures, candidate: &Candidate, output: f64) -> f64 {
    let price = &candidate.model.price;
    f64::from(price.input.picos()) * f64::from(prompt.prompt_tokens)
        + f64::from(price.output.picos()) * output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        stats::Snapshot,
        strategy::tests::{candidate, random},
    };

    fn choose(prompt: PromptFeatures, candidates: &[Candidate]) -> usize {
        Cost.choose(&prompt, candidates, &mut random()).index
    }

    fn prompt(prompt_tokens: u32, max_tokens: Option<u32>) -> PromptFeatures {
        PromptFeatures {
            prompt_tokens,
            max_tokens,
        }
    }

    #[test]
    fn a_long_prompt_goes_where_input_is_cheap_and_a_short_one_where_output_is() {
        let candidates = [
            candidate("cheap-input", "0.1", "10", Snapshot::default()),
            candidate("cheap-output", "1", "1", Snapshot::default()),
        ];
        assert_eq!(choose(prompt(100_000, None), &candidates), 0);
        assert_eq!(choose(prompt(10, None), &candidates), 1);
    }

    #[test]
    fn a_limit_on_the_answer_changes_the_choice() {
        let candidates = [
            candidate("cheap-input", "0.1", "10", Snapshot::default()),
            candidate("cheap-output", "1", "1", Snapshot::default()),
        ];
        assert_eq!(choose(prompt(1_000, None), &candidates), 1);
        assert_eq!(choose(prompt(1_000, Some(1)), &candidates), 0);
    }

    #[test]
    fn a_chatty_model_is_dearer_than_its_price_a_token() {
        let answers = |tokens| Snapshot {
            output_tokens: Some(tokens),
            ..Snapshot::default()
        };
        let candidates = [
            candidate("chatty", "0.1", "0.5", answers(2_000.0)),
            candidate("terse", "0.1", "1", answers(100.0)),
        ];
        assert_eq!(choose(prompt(100, None), &candidates), 1);
    }

    #[test]
    fn a_model_that_never_answered_is_taken_for_an_average_one() {
        let terse = Snapshot {
            output_tokens: Some(4.0),
            ..Snapshot::default()
        };
        let candidates = [
            candidate("cheap", "0.1", "0.5", Snapshot::default()),
            candidate("dear", "1", "0.6", terse),
        ];
        assert_eq!(choose(prompt(10, None), &candidates), 0);
    }

    #[test]
    fn the_score_is_the_expected_price_in_pico_dollars() {
        let candidates = [candidate("m", "0.15", "0.6", Snapshot::default())];
        let decision = Cost.choose(&prompt(1_000, Some(50)), &candidates, &mut random());
        assert_eq!(decision.scores, [1_000.0 * 150_000.0 + 50.0 * 600_000.0]);
        assert_eq!(decision.propensities, [1.0]);
    }
}
