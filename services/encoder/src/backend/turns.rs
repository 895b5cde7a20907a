//! Who computes when: as many threads at a time as the encoder was given, never more,
//! whoever calls.
//!
//! A thread computes only while it holds a [`Worker`], and there is one for each thread
//! that may. A caller takes one itself where one is free, so that a short text starts no
//! thread and wakes none; helpers, one fewer than there are workers, take what is left
//! and go through the open jobs in turn. A caller that finds no worker free stands in
//! line, and gets the first one that is put back after a group: a query waits for a
//! group's time, not for the whole of another call.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::job::{Job, Model, Worker};

/// How soon a caller who stands in line sees that it was cancelled.
const POLL: Duration = Duration::from_millis(2);

/// Jobs whose buffers are kept for later calls.
const MOST_SPARE: usize = 64;

pub(super) struct Turns {
    state: Mutex<State>,
    /// A worker was put back while callers stood in line.
    callers: Condvar,
    /// There may be work for a helper.
    helpers: Condvar,
}

struct State {
    idle: Vec<Box<Worker>>,
    /// Callers in line, by ticket.
    line: VecDeque<u64>,
    next_ticket: u64,
    /// Jobs with groups that nobody has taken.
    open: VecDeque<Arc<Job>>,
    spare: Vec<Arc<Job>>,
    closed: bool,
}

impl Turns {
    pub(super) fn new(threads: usize) -> Self {
        let idle = (0..threads).map(|_| Box::default()).collect();
        Self {
            state: Mutex::new(State {
                idle,
                line: VecDeque::new(),
                next_ticket: 0,
                open: VecDeque::new(),
                spare: Vec::new(),
                closed: false,
            }),
            callers: Condvar::new(),
            helpers: Condvar::new(),
        }
    }

    /// A job that nobody else has, after `fill` had its way with it.
    pub(super) fn job(&self, fill: impl FnOnce(&mut Job)) -> Arc<Job> {
        loop {
            let mut job = self.state().spare.pop().unwrap_or_default();
            // One that a helper has not let go of yet is left to it.
            if let Some(own) = Arc::get_mut(&mut job) {
                fill(own);
                return job;
            }
        }
    }

    /// Gives a job back to be filled again.
    pub(super) fn keep(&self, job: Arc<Job>) {
        let mut state = self.state();
        if state.spare.len() < MOST_SPARE && job.is_worth_keeping() {
            state.spare.push(job);
        }
    }

    /// Lets helpers take part in a job, and wakes those that can.
    pub(super) fn open(&self, job: &Arc<Job>) {
        let mut state = self.state();
        state.open.push_back(Arc::clone(job));
        // The caller takes one of each itself.
        let useful = (job.groups() - 1).min(state.idle.len().saturating_sub(1));
        drop(state);
        for _ in 0..useful {
            self.helpers.notify_one();
        }
    }

    /// A worker for a caller, who waits in line for it; none once it is cancelled.
    pub(super) fn take(&self, cancelled: impl Fn() -> bool) -> Option<Box<Worker>> {
        let mut state = self.state();
        if state.line.is_empty()
            && let Some(worker) = state.idle.pop()
        {
            return Some(worker);
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.line.push_back(ticket);
        loop {
            if cancelled() {
                state.line.retain(|other| *other != ticket);
                self.wake(&state);
                return None;
            }
            if state.line.front() == Some(&ticket)
                && let Some(worker) = state.idle.pop()
            {
                state.line.pop_front();
                self.wake(&state);
                return Some(worker);
            }
            let waited = self.callers.wait_timeout(state, POLL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Puts a worker back.
    pub(super) fn put_back(&self, worker: Box<Worker>) {
        let mut state = self.state();
        state.idle.push(worker);
        self.wake(&state);
    }

    /// Whether callers stand in line, and a thread should let them go first.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.state().line.is_empty()
    }

    /// A helper's life: takes groups until [`Self::close`].
    pub(super) fn help(&self, model: &Model) {
        let mut state = self.state();
        while !state.closed {
            let Some((job, group, mut worker)) = state.next_for_helper() else {
                state = self
                    .helpers
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            // Another helper may find more.
            self.wake(&state);
            drop(state);
            job.run(group, model, &mut worker, || false);
            drop(job);
            state = self.state();
            state.idle.push(worker);
            if !state.line.is_empty() {
                self.callers.notify_all();
            }
        }
    }

    /// Ends the helpers once their present group is done.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.helpers.notify_all();
    }

    /// Wakes whoever can use a free worker.
    fn wake(&self, state: &State) {
        if state.idle.is_empty() {
            return;
        }
        if !state.line.is_empty() {
            self.callers.notify_all();
        } else if !state.open.is_empty() {
            self.helpers.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A group of the job whose turn it is, and a worker for it. Callers go first.
    fn next_for_helper(&mut self) -> Option<(Arc<Job>, usize, Box<Worker>)> {
        if !self.line.is_empty() {
            return None;
        }
        while !self.idle.is_empty() {
            let job = self.open.pop_front()?;
            if let Some(group) = job.claim() {
                if !job.is_claimed() {
                    self.open.push_back(Arc::clone(&job));
                }
                return Some((job, group, self.idle.pop()?));
            }
        }
        None
    }
}
