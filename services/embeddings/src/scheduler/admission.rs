//! Who gets in. What does not fit is refused before any work is done for it, and told
//! when to come back: a line that only grows helps nobody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rule::Class;
use crate::request::{EmbedError, WhenFull};

/// The rate that is assumed until one is measured, in tokens a second on one thread: low,
/// so that the first callers to be refused do not come back too early.
const ASSUMED_RATE: f64 = 1_500.0;

/// A new measurement's weight in the measured rate.
const SMOOTHING: f64 = 0.1;

/// Bounds of what a refused caller is told to wait.
const SOONEST_RETRY: Duration = Duration::from_millis(50);
const LATEST_RETRY: Duration = Duration::from_secs(60);

/// How much is let in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Interactive requests.
    pub(crate) requests: usize,
    /// Tokens of interactive requests.
    pub(crate) tokens: usize,
    /// Bulk requests.
    pub(crate) bulk_requests: usize,
}

/// Room for requests.
pub(super) struct Admission {
    interactive: Room,
    bulk: Room,
    /// Tokens that may be let in at a time, of interactive requests.
    tokens: Arc<Semaphore>,
    all_tokens: u32,
    threads: f64,
    /// Tokens a second on one thread, as the bits of an `f64`.
    rate: AtomicU64,
}

struct Room {
    requests: Arc<Semaphore>,
    all: usize,
    /// Estimated tokens of what is in and not done.
    outstanding: Arc<AtomicU64>,
}

/// A place for bulk work that comes bit by bit: a job's, or a long stream's. Free again
/// when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct BulkPlace {
    _permit: Arc<OwnedSemaphorePermit>,
}

/// A request's permission to be worked on; gives its room back when dropped.
pub(super) struct Permit {
    _request: Option<OwnedSemaphorePermit>,
    _place: Option<BulkPlace>,
    /// Room in tokens, where it is bounded.
    tokens: Option<OwnedSemaphorePermit>,
    outstanding: Arc<AtomicU64>,
    estimate: u64,
}

impl Permit {
    /// Less is left to do than was estimated, or than there was. The room is another's.
    pub(super) fn less(&mut self, tokens: u64) {
        let tokens = tokens.min(self.estimate);
        self.estimate -= tokens;
        self.outstanding.fetch_sub(tokens, Ordering::Relaxed);
        if let Some(room) = &mut self.tokens {
            drop(room.split((tokens as usize).min(room.num_permits())));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.less(self.estimate);
    }
}

impl Room {
    fn new(requests: usize) -> Self {
        let all = requests.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            requests: Arc::new(Semaphore::new(all)),
            all,
            outstanding: Arc::new(AtomicU64::new(0)),
        }
    }
}

impl Admission {
    pub(super) fn new(limits: Limits, threads: usize) -> Self {
        let all_tokens = u32::try_from(limits.tokens.clamp(1, Semaphore::MAX_PERMITS));
        let all_tokens = all_tokens.unwrap_or(u32::MAX >> 4);
        Self {
            interactive: Room::new(limits.requests),
            bulk: Room::new(limits.bulk_requests),
            tokens: Arc::new(Semaphore::new(all_tokens as usize)),
            all_tokens,
            threads: threads as f64,
            rate: AtomicU64::new(ASSUMED_RATE.to_bits()),
        }
    }

    /// Lets a request in whose inputs have about `estimate` tokens.
    pub(super) async fn enter(
        &self,
        class: Class,
        estimate: u64,
        when_full: WhenFull,
    ) -> Result<Permit, EmbedError> {
        let room = self.room(class);
        let requests = Arc::clone(&room.requests);
        // Bulk work is bounded by its requests alone: only a part of each is ever in
        // line, and one alone may exceed any bound.
        let wanted = match class {
            Class::Interactive => {
                let estimate = u32::try_from(estimate).unwrap_or(u32::MAX);
                Some(estimate.clamp(1, self.all_tokens))
            }
            Class::Bulk => None,
        };
        let (request, tokens) = match when_full {
            WhenFull::Refuse => {
                let full = |_| self.overloaded(class);
                let request = requests.try_acquire_owned().map_err(full)?;
                let tokens = wanted
                    .map(|wanted| Arc::clone(&self.tokens).try_acquire_many_owned(wanted))
                    .transpose()
                    .map_err(full)?;
                (request, tokens)
            }
            WhenFull::Wait => {
                let closed = |_| EmbedError::Cancelled;
                let request = requests.acquire_owned().await.map_err(closed)?;
                let tokens = match wanted {
                    Some(wanted) => {
                        let tokens = Arc::clone(&self.tokens).acquire_many_owned(wanted);
                        Some(tokens.await.map_err(closed)?)
                    }
                    None => None,
                };
                (request, tokens)
            }
        };
        room.outstanding.fetch_add(estimate, Ordering::Relaxed);
        Ok(Permit {
            _request: Some(request),
            _place: None,
            tokens,
            outstanding: Arc::clone(&room.outstanding),
            estimate,
        })
    }

    /// Takes a place for bulk work that comes bit by bit, waiting until there is one.
    pub(super) async fn place(&self) -> Result<BulkPlace, EmbedError> {
        let permit = Arc::clone(&self.bulk.requests).acquire_owned().await;
        let permit = permit.map_err(|_| EmbedError::Cancelled)?;
        Ok(BulkPlace {
            _permit: Arc::new(permit),
        })
    }

    /// Lets a part of bulk work in that has its place.
    pub(super) fn enter_with(&self, place: BulkPlace, estimate: u64) -> Permit {
        let outstanding = Arc::clone(&self.bulk.outstanding);
        outstanding.fetch_add(estimate, Ordering::Relaxed);
        Permit {
            _request: None,
            _place: Some(place),
            tokens: None,
            outstanding,
            estimate,
        }
    }

    /// Whether nothing is in.
    pub(super) fn is_idle(&self) -> bool {
        [&self.interactive, &self.bulk]
            .iter()
            .all(|room| room.requests.available_permits() == room.all)
    }

    /// A thread took `elapsed` for a batch of `tokens`.
    pub(super) fn measured(&self, tokens: u64, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        let rate = self.rate();
        let rate = rate + SMOOTHING * (tokens as f64 / seconds - rate);
        // Of two threads that store at the same time one is lost; the next makes up.
        self.rate.store(rate.to_bits(), Ordering::Relaxed);
    }

    /// Estimated tokens of a class that are in and not done.
    pub(super) fn outstanding(&self, class: Class) -> u64 {
        self.room(class).outstanding.load(Ordering::Relaxed)
    }

    fn rate(&self) -> f64 {
        f64::from_bits(self.rate.load(Ordering::Relaxed))
    }

    /// Half of what is in will be done by then, so there is room for as many callers as
    /// were refused since.
    fn overloaded(&self, class: Class) -> EmbedError {
        let ahead = match class {
            Class::Interactive => self.outstanding(Class::Interactive),
            Class::Bulk => self.outstanding(Class::Interactive) + self.outstanding(class),
        };
        let seconds = ahead as f64 / 2.0 / (self.rate() * self.threads).max(1.0);
        let retry_after = Duration::try_from_secs_f64(seconds).unwrap_or(LATEST_RETRY);
        EmbedError::Overloaded {
            retry_after: retry_after.clamp(SOONEST_RETRY, LATEST_RETRY),
        }
    }

    fn room(&self, class: Class) -> &Room {
        match class {
            Class::Interactive => &self.interactive,
            Class::Bulk => &self.bulk,
        }
    }
}
