//! The CPU back end: sequences in groups, groups spread over threads.
//!
//! A group is as many whole sequences as fit a token budget. The budget bounds the
//! memory of a worker, keeps matrix products large enough to be efficient, and is
//! how finely work is shared out.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use super::Backend;
use crate::{
    architecture::{Architecture, Scratch},
    error::EncodeError,
    pooling::Pooling,
    ragged::Ragged,
};

/// A group with fewer tokens spends more time on fetching weights than on using
/// them, so work is not split finer than this.
const MIN_GROUP_TOKENS: usize = 64;

/// A group's position and its vectors.
type Done = (usize, Vec<Vec<f32>>);

/// A model on this machine's processor.
pub(crate) struct Cpu {
    architecture: Box<dyn Architecture>,
    pooling: Pooling,
    threads: NonZeroUsize,
    group_tokens: usize,
}

impl Cpu {
    /// Runs `architecture` on at most `threads` threads a call, with about
    /// `group_tokens` tokens in work on each (more only where one sequence is
    /// longer).
    pub(crate) fn new(
        architecture: Box<dyn Architecture>,
        pooling: Pooling,
        threads: NonZeroUsize,
        group_tokens: usize,
    ) -> Self {
        Self {
            architecture,
            pooling,
            threads,
            group_tokens,
        }
    }

    fn encode_group(
        &self,
        group: &[&[u32]],
        scratch: &mut Scratch,
        cancel: &AtomicBool,
    ) -> Result<Vec<Vec<f32>>, EncodeError> {
        if cancel.load(Ordering::Relaxed) {
            return Err(EncodeError::Cancelled);
        }
        let ragged = Ragged::new(group);
        self.architecture.forward(&ragged, scratch, cancel)?;
        let hidden = self.architecture.hidden();
        Ok(ragged
            .ranges
            .iter()
            .map(|rows| {
                let tokens = &scratch.hidden[rows.start * hidden..rows.end * hidden];
                self.pooling.pool(tokens, hidden)
            })
            .collect())
    }

    /// Takes groups from the common counter until none is left.
    fn work(
        &self,
        groups: &[&[&[u32]]],
        next: &AtomicUsize,
        cancel: &AtomicBool,
    ) -> Result<Vec<Done>, EncodeError> {
        let mut scratch = Scratch::default();
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(group) = groups.get(index) else {
                return Ok(done);
            };
            done.push((index, self.encode_group(group, &mut scratch, cancel)?));
        }
    }
}

impl Backend for Cpu {
    fn encode(
        &self,
        sequences: &[&[u32]],
        cancel: &AtomicBool,
    ) -> Result<Vec<Vec<f32>>, EncodeError> {
        let tokens: usize = sequences.iter().map(|ids| ids.len()).sum();
        let share = tokens.div_ceil(self.threads.get());
        let budget = share.max(MIN_GROUP_TOKENS).min(self.group_tokens);
        let groups = split(sequences, budget);
        let workers = self.threads.get().min(groups.len());
        let next = AtomicUsize::new(0);

        // The caller's thread is the first worker, so that a short text starts none.
        let outcomes = thread::scope(|scope| {
            let others: Vec<_> = (1..workers)
                .map(|_| scope.spawn(|| self.work(&groups, &next, cancel)))
                .collect();
            let mut outcomes = vec![self.work(&groups, &next, cancel)];
            outcomes.extend(
                others
                    .into_iter()
                    .map(|other| other.join().unwrap_or(Err(EncodeError::Worker))),
            );
            outcomes
        });

        let mut done: Vec<Done> = Vec::with_capacity(groups.len());
        for outcome in outcomes {
            done.extend(outcome?);
        }
        done.sort_unstable_by_key(|(index, _)| *index);
        Ok(done.into_iter().flat_map(|(_, vectors)| vectors).collect())
    }
}

/// Cuts `sequences` into runs of at most `budget` tokens; a longer sequence is a run
/// of its own.
fn split<'a, 'b>(sequences: &'a [&'b [u32]], budget: usize) -> Vec<&'a [&'b [u32]]> {
    let mut groups = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (index, ids) in sequences.iter().enumerate() {
        if index > start && tokens + ids.len() > budget {
            groups.push(&sequences[start..index]);
            (start, tokens) = (index, 0);
        }
        tokens += ids.len();
    }
    if start < sequences.len() {
        groups.push(&sequences[start..]);
    }
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::split;

    proptest! {
        #[test]
        fn groups_keep_order_and_budget(
            lengths in prop::collection::vec(1usize..300, 0..50),
            budget in 1usize..600,
        ) {
            let sequences: Vec<Vec<u32>> = lengths.iter().map(|n| vec![7; *n]).collect();
            let sequences: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
            let groups = split(&sequences, budget);
            prop_assert_eq!(&groups.concat(), &sequences);
            for group in groups {
                let tokens: usize = group.iter().map(|ids| ids.len()).sum();
                prop_assert!(!group.is_empty() && (tokens <= budget || group.len() == 1));
            }
        }
    }
}
