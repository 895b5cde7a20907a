//! Texts as a provider takes them, in runs of a bounded size, and its answers as texts
//! have them, one vector and one count of tokens each.

use super::{Answer, Batch};
use crate::request::Embedded;

/// The texts in runs of at most `most` texts and `most_bytes` bytes, each with the
/// position of its first.
pub(super) fn batches<'a>(
    texts: &'a [&'a str],
    most: usize,
    most_bytes: usize,
) -> impl Iterator<Item = (usize, &'a [&'a str])> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = texts.get(start..).filter(|rest| !rest.is_empty())?;
        let mut bytes = 0_usize;
        let fitting = rest.iter().take(most).take_while(|text| {
            bytes = bytes.saturating_add(text.len());
            bytes <= most_bytes
        });
        // A text that is too long alone is sent, for the provider to judge.
        let count = fitting.count().max(1);
        let first = start;
        start += count;
        Some((first, &rest[..count]))
    })
}

/// Vectors of length 1, each with its share of the tokens.
pub(super) fn embedded(batch: &Batch<'_>, answer: Answer) -> Vec<Embedded> {
    let tokens = shares(batch.texts, answer.tokens.unwrap_or(0));
    let vectors = answer.vectors.into_iter().zip(tokens);
    vectors
        .map(|(mut vector, tokens)| {
            normalise(&mut vector);
            Embedded {
                vector,
                tokens,
                truncated: false,
            }
        })
        .collect()
}

/// Shares a request's tokens out by the texts' lengths; the shares add up to the whole.
fn shares(texts: &[&str], tokens: u64) -> Vec<u32> {
    let all: u128 = texts.iter().map(|text| text.len() as u128).sum();
    let (mut read, mut given) = (0_u128, 0_u128);
    texts
        .iter()
        .map(|text| {
            read += text.len() as u128;
            // What all texts so far have, less what those before were given.
            let due = u128::from(tokens) * read / all.max(1);
            let share = due - given;
            given = due;
            u32::try_from(share).unwrap_or(u32::MAX)
        })
        .collect()
}

/// Scales to Euclidean length 1; a vector of zeros stays as it is.
fn normalise(vector: &mut [f32]) {
    let square: f64 = vector.iter().map(|value| f64::from(*value).powi(2)).sum();
    if square > 0.0 {
        let scale = square.sqrt().recip();
        for value in vector {
            *value = (f64::from(*value) * scale) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(lengths: &[usize]) -> Vec<&'static str> {
        lengths
            .iter()
            .map(|length| &"xxxxxxxx"[..*length])
            .collect()
    }

    proptest! {
        #[test]
        fn batches_are_the_texts_in_order_within_both_limits(
            lengths in prop::collection::vec(0usize..9, 0..40),
            most in 1usize..9,
            most_bytes in 1usize..20,
        ) {
            let texts = texts(&lengths);
            let mut next = 0;
            for (first, batch) in batches(&texts, most, most_bytes) {
                prop_assert_eq!(first, next);
                prop_assert!((1..=most).contains(&batch.len()));
                let bytes: usize = batch.iter().map(|text| text.len()).sum();
                prop_assert!(bytes <= most_bytes || batch.len() == 1);
                prop_assert_eq!(batch, &texts[first..first + batch.len()]);
                next += batch.len();
            }
            prop_assert_eq!(next, texts.len());
        }

        #[test]
        fn the_shares_of_tokens_add_up(
            lengths in prop::collection::vec(1usize..9, 1..40),
            tokens in 0u64..10_000,
        ) {
            let shares = shares(&texts(&lengths), tokens);
            prop_assert_eq!(shares.iter().map(|share| u64::from(*share)).sum::<u64>(), tokens);
        }
    }
}
