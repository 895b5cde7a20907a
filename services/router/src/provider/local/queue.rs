//! The line in front of the workers: bounded, first come first served, and a job whose
//! caller has left gives its place to the next.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// A job that may lose its caller while it waits.
pub(super) trait Abandonable {
    /// Whether nobody waits for the result any more.
    fn abandoned(&self) -> bool;
}

/// A job was not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// The line is full.
    #[error("{running} answers are being generated and {waiting} requests wait, the most allowed")]
    Full {
        /// Jobs at work.
        running: usize,
        /// Jobs in the line.
        waiting: usize,
    },
    /// No worker will ever take it.
    #[error("no worker is there to generate answers")]
    Closed,
}

/// Jobs for a fixed number of workers.
pub(super) struct JobQueue<J> {
    workers: usize,
    max_waiting: usize,
    state: Mutex<State<J>>,
    changed: Condvar,
}

struct State<J> {
    waiting: VecDeque<J>,
    running: usize,
    closed: bool,
}

impl<J: Abandonable> JobQueue<J> {
    /// A line in front of `workers` workers where `max_waiting` jobs may wait.
    pub(super) fn new(workers: usize, max_waiting: usize) -> Self {
        Self {
            workers,
            max_waiting,
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                running: 0,
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// How many workers serve this line.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// Adds a job. Gives back how many abandoned jobs made room and how many wait now.
    pub(super) fn push(&self, job: J) -> Result<Pushed, Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        let before = state.waiting.len();
        state.waiting.retain(|job| !job.abandoned());
        let dropped = before - state.waiting.len();
        if state.running + state.waiting.len() >= self.workers.saturating_add(self.max_waiting) {
            return Err(Refused::Full {
                running: state.running,
                waiting: state.waiting.len(),
            });
        }
        state.waiting.push_back(job);
        let waiting = state.waiting.len();
        drop(state);
        self.changed.notify_one();
        Ok(Pushed { dropped, waiting })
    }

    /// The next job, waiting for one; `None` once the line is closed. Every job must be
    /// followed by [`done`](Self::done).
    pub(super) fn pop(&self) -> Option<(J, usize)> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                state.running += 1;
                return Some((job, state.waiting.len()));
            }
            if state.closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A worker is free again.
    pub(super) fn done(&self) {
        let mut state = self.lock();
        state.running = state.running.saturating_sub(1);
    }

    /// Takes no more jobs, and lets the workers go once the line is empty.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // No code that runs under the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What adding a job did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pushed {
    /// Abandoned jobs that were thrown out.
    pub(super) dropped: usize,
    /// Jobs that wait now.
    pub(super) waiting: usize,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct TestJob(Arc<AtomicBool>);

    impl Abandonable for TestJob {
        fn abandoned(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn job() -> TestJob {
        TestJob::default()
    }

    #[test]
    fn one_more_than_fits_is_refused_and_fits_once_a_worker_is_free() {
        let queue = JobQueue::new(1, 1);
        queue.push(job()).unwrap();
        assert!(queue.pop().is_some());
        queue.push(job()).unwrap();
        let full = Refused::Full {
            running: 1,
            waiting: 1,
        };
        assert_eq!(queue.push(job()), Err(full));
        queue.done();
        queue.push(job()).unwrap();
    }

    #[test]
    fn an_abandoned_job_gives_its_place_to_the_next() {
        let queue = JobQueue::new(1, 1);
        let left = job();
        queue.push(left.clone()).unwrap();
        queue.push(job()).unwrap();
        queue.push(job()).unwrap_err();
        left.0.store(true, Ordering::Relaxed);
        let pushed = queue.push(job()).unwrap();
        assert_eq!(
            pushed,
            Pushed {
                dropped: 1,
                waiting: 2
            }
        );
    }

    #[test]
    fn a_queue_of_zero_still_serves_a_free_worker() {
        let queue = JobQueue::new(1, 0);
        queue.push(job()).unwrap();
        queue.push(job()).unwrap_err();
    }

    #[test]
    fn a_closed_queue_is_served_to_its_end_and_takes_no_more() {
        let queue = JobQueue::new(1, 1);
        queue.push(job()).unwrap();
        queue.close();
        assert_eq!(queue.push(job()), Err(Refused::Closed));
        assert!(queue.pop().is_some());
        assert!(queue.pop().is_none());
    }
}
