//! Chooses the next token from the model's scores.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, HashMap},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::chat::Sampling;

/// Temperature, nucleus (`top_p`; Holtzman et al. 2020) and the penalties of the
/// `OpenAI` API: a token that was generated `n > 0` times loses
/// `n * frequency_penalty + presence_penalty` of its score.
pub(super) struct Sampler {
    temperature: f64,
    top_p: f64,
    presence_penalty: f64,
    frequency_penalty: f64,
    generated: HashMap<u32, u32>,
    rng: StdRng,
}

/// A token and its unnormalised probability; the likeliest is the greatest, and of two
/// equally likely the one with the smaller id.
struct Candidate {
    weight: f64,
    token: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.weight
            .total_cmp(&other.weight)
            .then(other.token.cmp(&self.token))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

impl Sampler {
    /// A sampler for one answer. The same seed and the same scores give the same
    /// tokens; no seed gives others every time.
    pub(super) fn new(sampling: &Sampling, default_temperature: f64, default_top_p: f64) -> Self {
        let rng = match sampling.seed {
            Some(seed) => StdRng::seed_from_u64(seed.cast_unsigned()),
            None => StdRng::from_os_rng(),
        };
        Self {
            temperature: sampling.temperature.unwrap_or(default_temperature),
            top_p: sampling.top_p.unwrap_or(default_top_p),
            presence_penalty: sampling.presence_penalty.unwrap_or(0.0),
            frequency_penalty: sampling.frequency_penalty.unwrap_or(0.0),
            generated: HashMap::new(),
            rng,
        }
    }

    /// The next token. `scores` are the model's logits, `[vocabulary]`; `None` if
    /// none of them is a number.
    pub(super) fn next(&mut self, scores: &mut [f32]) -> Option<u32> {
        self.penalise(scores);
        let best = likeliest(scores)?;
        let token = if self.temperature > 0.0 {
            self.draw(scores, f64::from(scores[best]))
        } else {
            best
        };
        let token = u32::try_from(token).ok()?;
        *self.generated.entry(token).or_default() += 1;
        Some(token)
    }

    #[expect(clippy::cast_possible_truncation, reason = "logits are f32 anyway")]
    fn penalise(&self, scores: &mut [f32]) {
        for (token, count) in &self.generated {
            let penalty = f64::from(*count) * self.frequency_penalty + self.presence_penalty;
            if let Some(score) = scores.get_mut(*token as usize) {
                *score -= penalty as f32;
            }
        }
    }

    fn draw(&mut self, scores: &[f32], best: f64) -> usize {
        let weigh = |(token, score): (usize, &f32)| Candidate {
            weight: ((f64::from(*score) - best) / self.temperature).exp(),
            token,
        };
        let candidates: Vec<_> = scores
            .iter()
            .enumerate()
            .filter(|(_, score)| !score.is_nan())
            .map(weigh)
            .collect();
        let total: f64 = candidates.iter().map(|candidate| candidate.weight).sum();

        // A heap, because the nucleus is a few tokens of tens of thousands and
        // sorting all of them for each token costs more than the draw.
        let mut heap = BinaryHeap::from(candidates);
        let mut nucleus = Vec::new();
        let mut mass = 0.0;
        while let Some(candidate) = heap.pop() {
            mass += candidate.weight;
            nucleus.push(candidate);
            if mass >= self.top_p * total {
                break;
            }
        }

        let mut left = self.rng.random::<f64>() * mass;
        let drawn = nucleus.iter().find(|candidate| {
            left -= candidate.weight;
            left < 0.0
        });
        // Rounding may leave a crumb after the last one.
        drawn
            .or(nucleus.last())
            .map_or(0, |candidate| candidate.token)
    }
}

/// The highest score's index, the first of equals.
fn likeliest(scores: &[f32]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (token, score) in scores.iter().copied().enumerate() {
        let better = best.is_none_or(|(_, highest)| score > highest);
        if score.is_finite() && better {
            best = Some((token, score));
        }
    }
    best.map(|(token, _)| token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sampler(sampling: Sampling) -> Sampler {
        Sampler::new(&sampling, 1.0, 1.0)
    }

    fn draws(sampling: Sampling, scores: &[f32], count: usize) -> Vec<u32> {
        let mut sampler = sampler(sampling);
        (0..count)
            .filter_map(|_| sampler.next(&mut scores.to_vec()))
            .collect()
    }

    fn seeded(seed: i64) -> Sampling {
        Sampling {
            seed: Some(seed),
            ..Sampling::default()
        }
    }

    #[test]
    fn zero_temperature_takes_the_likeliest_and_the_first_of_equals() {
        let greedy = Sampling {
            temperature: Some(0.0),
            ..Sampling::default()
        };
        assert_eq!(draws(greedy.clone(), &[0.0, 2.0, 1.0], 3), [1, 1, 1]);
        assert_eq!(draws(greedy, &[f32::NAN, 2.0, 2.0], 1), [1]);
    }

    #[test]
    fn scores_that_are_no_numbers_choose_nothing() {
        assert_eq!(
            sampler(seeded(1)).next(&mut [f32::NAN, f32::NEG_INFINITY]),
            None
        );
        assert_eq!(sampler(seeded(1)).next(&mut []), None);
    }

    #[test]
    fn a_seed_repeats_and_another_seed_differs() {
        let scores = [0.0; 50];
        let first = draws(seeded(-7), &scores, 20);
        assert_eq!(first, draws(seeded(-7), &scores, 20));
        assert_ne!(first, draws(seeded(8), &scores, 20));
    }

    #[test]
    fn draws_follow_the_probabilities() {
        // Odds of 3 to 1; 4000 draws leave a standard error of 0.7 %.
        let scores = [3f32.ln(), 0.0];
        let drawn = draws(seeded(1), &scores, 4000);
        let share = drawn.iter().filter(|token| **token == 0).count() as f64 / 4000.0;
        assert!((share - 0.75).abs() < 0.03, "{share}");
    }

    #[test]
    fn top_p_keeps_the_smallest_set_that_reaches_it() {
        // Probabilities 0.5, 0.3, 0.2: 0.7 needs the first two.
        let scores = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let sampling = Sampling {
            top_p: Some(0.7),
            ..seeded(1)
        };
        let drawn = draws(sampling, &scores, 500);
        assert!(drawn.contains(&0) && drawn.contains(&1) && !drawn.contains(&2));
    }

    #[test]
    fn penalties_make_the_sampler_move_on() {
        let frequency = Sampling {
            temperature: Some(0.0),
            frequency_penalty: Some(0.6),
            ..Sampling::default()
        };
        // 1.0; 0.4 against 0.5; then 0.4 against -0.1; and so on.
        assert_eq!(draws(frequency, &[1.0, 0.5], 4), [0, 1, 0, 1]);
        let presence = Sampling {
            temperature: Some(0.0),
            presence_penalty: Some(0.6),
            ..Sampling::default()
        };
        // A presence penalty is taken once, however often a token came.
        assert_eq!(draws(presence, &[1.0, 0.5], 4), [0, 1, 0, 0]);
    }

    proptest! {
        #[test]
        fn a_draw_is_always_a_token_of_the_vocabulary(
            mut scores in prop::collection::vec(-50f32..50.0, 1..40),
            temperature in 0f64..2.0,
            top_p in 0.01f64..=1.0,
            seed in any::<i64>(),
        ) {
            let sampling = Sampling {
                temperature: Some(temperature),
                top_p: Some(top_p),
                ..seeded(seed)
            };
            let count = scores.len();
            let token = sampler(sampling).next(&mut scores);
            prop_assert!(token.is_some_and(|token| (token as usize) < count));
        }
    }
}
