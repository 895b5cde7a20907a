//! One call's texts, cut into groups that any thread can take.
//!
//! A job owns what it needs, so that threads that outlive the call may work on it; its
//! buffers are used again by later calls.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use signalbox_kernels::{Cpu, Pool, normalise};

use crate::{
    architecture::{Architecture, Scratch},
    error::EncodeError,
    ragged::Ragged,
    tokenizer::Tokenized,
};

/// A group with fewer tokens spends more time on fetching weights than on using
/// them, so work is not split finer than this.
const MIN_GROUP_TOKENS: usize = 64;

/// Buffers of a larger job are not kept: one request of 10,000 texts must not hold
/// its memory for ever.
const MOST_KEPT_BYTES: usize = 1 << 20;

/// A model and how its tokens' vectors become one.
pub(super) struct Model {
    pub(super) cpu: Cpu,
    pub(super) architecture: Box<dyn Architecture>,
    pub(super) pooling: Pool,
}

/// What a thread needs to compute; kept from group to group.
#[derive(Debug, Default)]
pub(super) struct Worker {
    group: Ragged,
    scratch: Scratch,
    vectors: Vec<Vec<f32>>,
}

/// Consecutive sequences, and where their ids lie.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    sequences: Range<usize>,
    ids: Range<usize>,
}

/// The texts of one call.
#[derive(Debug, Default)]
pub(super) struct Job {
    sequences: Ragged,
    groups: Vec<Group>,
    next: AtomicUsize,
    stopped: AtomicBool,
    outcome: Mutex<Outcome>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct Outcome {
    /// One for each sequence; empty until its group is done.
    vectors: Vec<Vec<f32>>,
    groups_left: usize,
    error: Option<EncodeError>,
}

impl Job {
    /// Takes a call's texts, to be shared by `threads`, in groups of at most
    /// `group_tokens`.
    pub(super) fn fill(&mut self, texts: &[Tokenized], threads: usize, group_tokens: usize) {
        self.sequences.clear();
        for text in texts {
            self.sequences.push(text.ids());
        }
        plan(
            &mut self.groups,
            self.sequences.lengths(),
            threads,
            group_tokens,
        );
        *self.next.get_mut() = 0;
        *self.stopped.get_mut() = false;
        let outcome = self
            .outcome
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        outcome.vectors = vec![Vec::new(); texts.len()];
        outcome.groups_left = self.groups.len();
        outcome.error = None;
    }

    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Whether its buffers are worth keeping.
    pub(super) fn is_worth_keeping(&self) -> bool {
        let groups = self.groups.capacity() * size_of::<Group>();
        self.sequences.held_bytes() + groups <= MOST_KEPT_BYTES
    }

    /// A group that nobody else has or gets.
    pub(super) fn claim(&self) -> Option<usize> {
        // Read first: a job without groups left may be asked often, and must not wrap.
        let left = self.next.load(Ordering::Relaxed) < self.groups.len();
        let group = left.then(|| self.next.fetch_add(1, Ordering::Relaxed))?;
        (group < self.groups.len()).then_some(group)
    }

    /// Whether each group is with some thread.
    pub(super) fn is_claimed(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.groups.len()
    }

    /// Lets the groups that are not done come to nothing.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Computes a claimed group. A panic in the model ends the job with an error, not
    /// the thread. `cancelled` is asked before each layer.
    pub(super) fn run(
        &self,
        group: usize,
        model: &Model,
        worker: &mut Worker,
        cancelled: impl Fn() -> bool,
    ) {
        let keep_on = || {
            if cancelled() {
                self.stop();
            }
            !self.stopped.load(Ordering::Relaxed)
        };
        let group = &self.groups[group];
        worker.vectors.clear();
        let work = AssertUnwindSafe(|| self.compute(group, model, worker, keep_on));
        // The worker holds buffers alone: a panic leaves nothing in them that matters.
        let done = catch_unwind(work).unwrap_or(Err(EncodeError::Worker));

        let mut outcome = self.outcome();
        match done {
            Ok(()) => {
                let places = &mut outcome.vectors[group.sequences.clone()];
                for (place, vector) in places.iter_mut().zip(worker.vectors.drain(..)) {
                    *place = vector;
                }
            }
            Err(error) => {
                self.stop();
                // Those that were stopped by another's failure are not the cause.
                if outcome.error.is_none() || error != EncodeError::Cancelled {
                    outcome.error = Some(error);
                }
            }
        }
        outcome.groups_left -= 1;
        if outcome.groups_left == 0 {
            self.done.notify_all();
        }
    }

    fn compute(
        &self,
        group: &Group,
        model: &Model,
        worker: &mut Worker,
        mut keep_on: impl FnMut() -> bool,
    ) -> Result<(), EncodeError> {
        if !keep_on() {
            return Err(EncodeError::Cancelled);
        }
        let (sequences, ids) = (group.sequences.clone(), group.ids.clone());
        worker.group.copy_part(&self.sequences, sequences, ids);
        let (architecture, scratch) = (&model.architecture, &mut worker.scratch);
        architecture.forward(&worker.group, scratch, &mut keep_on)?;
        let width = architecture.hidden();
        for rows in worker.group.ranges() {
            let tokens = &scratch.hidden[rows.start * width..rows.end * width];
            let mut vector = vec![0.0; width];
            model.cpu.pool(model.pooling, tokens, &mut vector)?;
            normalise(&mut vector);
            worker.vectors.push(vector);
        }
        Ok(())
    }

    /// Waits for groups that other threads still have, then gives the vectors.
    pub(super) fn finish(
        &self,
        cancelled: impl Fn() -> bool,
    ) -> Result<Vec<Vec<f32>>, EncodeError> {
        /// How soon a cancelled caller is let go.
        const POLL: Duration = Duration::from_millis(2);
        let mut outcome = self.outcome();
        while outcome.groups_left > 0 {
            if cancelled() {
                self.stop();
                return Err(EncodeError::Cancelled);
            }
            let waited = self.done.wait_timeout(outcome, POLL);
            outcome = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let vectors = std::mem::take(&mut outcome.vectors);
        outcome.error.take().map_or(Ok(vectors), Err)
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts sequences of these lengths into groups of at most `most` tokens; a longer
/// sequence is a group of its own. For several threads groups become smaller towards
/// the end, so that all threads end at nearly the same time (guided self-scheduling,
/// Polychronopoulos and Kuck, IEEE Trans. Comput. C-36(12), 1987).
fn plan(groups: &mut Vec<Group>, lengths: &[usize], threads: usize, most: usize) {
    groups.clear();
    let total: usize = lengths.iter().sum();
    let mut budget = 0;
    let mut end = 0;
    for (index, length) in lengths.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if group.ids.len() + length <= budget => {
                group.sequences.end += 1;
                group.ids.end += length;
            }
            _ => {
                budget = most;
                if threads > 1 {
                    let share = (total - end).div_ceil(2 * threads);
                    budget = most.min(share.max(MIN_GROUP_TOKENS));
                }
                groups.push(Group {
                    sequences: index..index + 1,
                    ids: end..end + length,
                });
            }
        }
        end += length;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn groups_keep_order_and_budget(
            lengths in prop::collection::vec(1usize..300, 0..50),
            threads in 1usize..5,
            most in 1usize..600,
        ) {
            let mut groups = Vec::new();
            plan(&mut groups, &lengths, threads, most);
            let (mut sequence, mut id) = (0, 0);
            for group in groups {
                prop_assert_eq!((group.sequences.start, group.ids.start), (sequence, id));
                (sequence, id) = (group.sequences.end, group.ids.end);
                let tokens: usize = lengths[group.sequences.clone()].iter().sum();
                prop_assert_eq!(tokens, group.ids.len());
                prop_assert!(tokens <= most || group.sequences.len() == 1);
            }
            prop_assert_eq!((sequence, id), (lengths.len(), lengths.iter().sum()));
        }
    }
}
