//! What threads and requests share: the rule behind a lock, and who computes what.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use signalbox_encoder::Tokenized;
use tokio::{sync::mpsc, time::Instant};

use super::{
    admission::Admission,
    line::{Cut, Entry, Flow, RequestId},
    rule::{Class, Rule, Start},
};
use crate::{request::EmbedError, telemetry};

/// A sequence, and where its vector goes.
pub(super) struct Sequence {
    pub(super) tokens: Tokenized,
    /// Its position in its request.
    pub(super) index: usize,
    pub(super) answer: mpsc::UnboundedSender<Part>,
}

/// A request's part of a batch.
pub(super) struct Part {
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    pub(super) pooling: Duration,
    /// Each vector with its sequence's position.
    pub(super) vectors: Result<Vec<(usize, Vec<f32>)>, EmbedError>,
}

/// A batch on its way through a thread.
pub(super) struct Running {
    pub(super) cut: Cut<Sequence>,
    pub(super) cancel: Arc<AtomicBool>,
    number: u64,
    start: Start,
}

impl Running {
    /// Whose work it is.
    pub(super) fn class(&self) -> Class {
        self.start.class()
    }
}

pub(super) struct Shared {
    state: Mutex<State>,
    interactive: Condvar,
    bulk: Condvar,
    admission: Arc<Admission>,
}

struct State {
    rule: Rule<Sequence>,
    running: Vec<Work>,
    batches: u64,
    requests: RequestId,
    stopped: bool,
}

/// Which requests a running batch still computes for.
struct Work {
    number: u64,
    requests: Vec<RequestId>,
    cancel: Arc<AtomicBool>,
}

impl Shared {
    pub(super) fn new(slots: usize, budget: u64, admission: Arc<Admission>) -> Self {
        Self {
            state: Mutex::new(State {
                rule: Rule::new(slots, budget),
                running: Vec::new(),
                batches: 0,
                requests: 0,
                stopped: false,
            }),
            interactive: Condvar::new(),
            bulk: Condvar::new(),
            admission,
        }
    }

    /// A number for a new request.
    pub(super) fn number(&self) -> RequestId {
        let mut state = self.lock();
        state.requests += 1;
        state.requests
    }

    /// Puts sequences of a request in line.
    pub(super) fn push(&self, class: Class, flow: &Flow, sequences: Vec<Sequence>) {
        let mut state = self.lock();
        for item in sequences {
            let tokens = (item.tokens.ids().len() as u64).max(1);
            state.rule.push(class, flow, Entry { tokens, item });
        }
        self.wake(&state);
    }

    /// Takes a request out of the line, and stops batches that compute for nobody else.
    pub(super) fn cancel(&self, class: Class, flow: &Flow) {
        let mut state = self.lock();
        let gone = state.rule.cancel(class, flow);
        for work in &mut state.running {
            let before = work.requests.len();
            work.requests.retain(|request| *request != flow.request);
            if work.requests.is_empty() && before > 0 {
                work.cancel.store(true, Ordering::Relaxed);
            }
        }
        self.wake(&state);
        drop(state);
        drop(gone);
    }

    /// Waits for a batch; none once all is over.
    pub(super) fn next(&self, class: Class) -> Option<Running> {
        let bell = match class {
            Class::Interactive => &self.interactive,
            Class::Bulk => &self.bulk,
        };
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(batch) = state.rule.next(class) {
                state.batches += 1;
                let number = state.batches;
                let mut requests: Vec<RequestId> = batch
                    .cut
                    .entries
                    .iter()
                    .map(|(request, _)| *request)
                    .collect();
                requests.sort_unstable();
                requests.dedup();
                let cancel = Arc::new(AtomicBool::new(false));
                state.running.push(Work {
                    number,
                    requests,
                    cancel: Arc::clone(&cancel),
                });
                // One bell rings for one thread; there may be work for more.
                self.wake(&state);
                return Some(Running {
                    cut: batch.cut,
                    cancel,
                    number,
                    start: batch.start,
                });
            }
            state = bell.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A batch ended, after `elapsed` where it was computed.
    pub(super) fn done(&self, running: &Running, elapsed: Option<Duration>) {
        if let Some(elapsed) = elapsed {
            self.admission.measured(running.cut.tokens, elapsed);
        }
        let mut state = self.lock();
        state.rule.done(running.start);
        state.running.retain(|work| work.number != running.number);
        self.wake(&state);
    }

    /// Ends all threads after their present batch.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        for work in &state.running {
            work.cancel.store(true, Ordering::Relaxed);
        }
        self.interactive.notify_all();
        self.bulk.notify_all();
    }

    fn wake(&self, state: &State) {
        for class in [Class::Interactive, Class::Bulk] {
            telemetry::waiting(class.name(), state.rule.tokens(class));
        }
        if state.rule.can_start(Class::Interactive) {
            self.interactive.notify_one();
        }
        if state.rule.can_start(Class::Bulk) {
            self.bulk.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The rule does not panic; if it did, serving what is left is better than not.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
