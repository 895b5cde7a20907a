//! Which chunk is whose in this process, and which comes next: the embedded store's
//! work list. It is not written down. A store is open in one process only, so when
//! that ends, all its claims have ended too, and the list is made anew from what has
//! no results.
//!
//! Jobs take turns, one chunk each, so that a small job does not wait for a large one.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::super::job::{JobId, UnixMs};

/// Chunks that wait, and chunks at work.
#[derive(Debug, Default)]
pub(super) struct WorkList {
    /// Jobs with chunks that wait, in the order of their turns; each once.
    turns: VecDeque<JobId>,
    waiting: HashMap<JobId, VecDeque<u32>>,
    claimed: HashMap<(JobId, u32), Held>,
    last_token: u64,
}

#[derive(Debug)]
struct Held {
    token: u64,
    until: UnixMs,
}

/// A chunk that was handed out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) job: JobId,
    pub(super) chunk: u32,
    pub(super) token: u64,
}

impl WorkList {
    /// Adds chunks of a job behind those that wait.
    pub(super) fn add(&mut self, job: &JobId, chunks: impl IntoIterator<Item = u32>) {
        let mut chunks = chunks.into_iter().peekable();
        if chunks.peek().is_none() {
            return;
        }
        if let Some(waiting) = self.waiting.get_mut(job) {
            waiting.extend(chunks);
        } else {
            self.waiting.insert(job.clone(), chunks.collect());
            self.turns.push_back(job.clone());
        }
    }

    /// Hands out the next chunk, those of expired leases included.
    pub(super) fn take(&mut self, now: UnixMs, lease: Duration) -> Option<Taken> {
        self.reclaim(now);
        let job = self.turns.pop_front()?;
        let waiting = self.waiting.get_mut(&job)?;
        let chunk = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&job);
        } else {
            self.turns.push_back(job.clone());
        }
        let chunk = chunk?;
        self.last_token += 1;
        let token = self.last_token;
        let until = now.after(lease);
        self.claimed
            .insert((job.clone(), chunk), Held { token, until });
        Some(Taken { job, chunk, token })
    }

    fn reclaim(&mut self, now: UnixMs) {
        let mut expired: Vec<(JobId, u32)> = self
            .claimed
            .extract_if(|_, held| held.until <= now)
            .map(|(chunk, _)| chunk)
            .collect();
        expired.sort_unstable();
        for (job, chunk) in expired {
            self.add(&job, [chunk]);
        }
    }

    /// Extends a lease that is still held.
    pub(super) fn renew(&mut self, taken: &Taken, now: UnixMs, lease: Duration) -> bool {
        match self.claimed.get_mut(&(taken.job.clone(), taken.chunk)) {
            Some(held) if held.token == taken.token => {
                held.until = now.after(lease);
                true
            }
            _ => false,
        }
    }

    /// Ends a lease; the chunk waits again if it is still this worker's and is not done.
    pub(super) fn end(&mut self, taken: &Taken, done: bool) {
        let chunk = (taken.job.clone(), taken.chunk);
        let ours = self
            .claimed
            .get(&chunk)
            .is_some_and(|held| held.token == taken.token);
        if ours {
            self.claimed.remove(&chunk);
        }
        if done {
            // Another may have it, or be about to.
            self.claimed.remove(&chunk);
            if let Some(waiting) = self.waiting.get_mut(&taken.job) {
                waiting.retain(|other| *other != taken.chunk);
            }
        } else if ours {
            self.add(&taken.job, [taken.chunk]);
        }
    }

    /// Forgets a job that has ended.
    pub(super) fn forget(&mut self, job: &JobId) {
        self.turns.retain(|other| other != job);
        self.waiting.remove(job);
        self.claimed.retain(|(other, _), _| other != job);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    const LEASE: Duration = Duration::from_millis(100);

    fn job(number: u64) -> JobId {
        JobId::from_ulid(ulid::Ulid::from_parts(number, 0))
    }

    #[test]
    fn jobs_take_turns() {
        let mut list = WorkList::default();
        list.add(&job(1), 0..3);
        list.add(&job(2), 0..1);
        let order: Vec<_> = std::iter::from_fn(|| list.take(UnixMs(0), LEASE))
            .map(|taken| (taken.job, taken.chunk))
            .collect();
        assert_eq!(order, [(job(1), 0), (job(2), 0), (job(1), 1), (job(1), 2)]);
    }

    #[test]
    fn a_lease_that_ran_out_is_handed_to_another_and_the_first_loses_it() {
        let mut list = WorkList::default();
        list.add(&job(1), [0]);
        let first = list.take(UnixMs(0), LEASE).unwrap();
        assert!(list.renew(&first, UnixMs(50), LEASE));
        assert_eq!(list.take(UnixMs(149), LEASE), None);
        let second = list.take(UnixMs(150), LEASE).unwrap();
        assert!(!list.renew(&first, UnixMs(150), LEASE));
        list.end(&first, false);
        assert!(list.renew(&second, UnixMs(150), LEASE));
        list.end(&second, false);
        assert_eq!(list.take(UnixMs(150), LEASE).unwrap().chunk, 0);
    }

    proptest! {
        /// Whatever happens, every chunk is done once in the end, and no two workers
        /// have the same one at a time.
        #[test]
        fn every_chunk_is_done_in_the_end(
            sizes in prop::collection::vec(1..6u32, 1..4),
            steps in prop::collection::vec((0..4u8, any::<prop::sample::Index>(), 0..60u64), 0..60),
        ) {
            let mut list = WorkList::default();
            for (number, size) in (0..).zip(&sizes) {
                list.add(&job(number), 0..*size);
            }
            let (mut now, mut hands, mut done) = (UnixMs(0), Vec::new(), Vec::new());
            for (step, which, wait) in steps {
                now = UnixMs(now.0 + wait);
                if step == 0 || hands.is_empty() {
                    hands.extend(list.take(now, LEASE));
                    continue;
                }
                let taken: Taken = hands.swap_remove(which.index(hands.len()));
                if step == 1 && list.renew(&taken, now, LEASE) {
                    done.push((taken.job.clone(), taken.chunk));
                    list.end(&taken, true);
                } else if step == 2 {
                    list.end(&taken, false);
                }
                // 3: the worker dies, and says nothing.
            }
            now = UnixMs(now.0 + 1_000);
            while let Some(taken) = list.take(now, LEASE) {
                done.push((taken.job.clone(), taken.chunk));
                list.end(&taken, true);
            }
            done.sort();
            let all: Vec<_> = (0..)
                .zip(&sizes)
                .flat_map(|(number, size)| (0..*size).map(move |chunk| (job(number), chunk)))
                .collect();
            prop_assert_eq!(done, all);
        }
    }
}
