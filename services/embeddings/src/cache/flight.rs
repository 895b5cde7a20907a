//! Equal texts at work at the same time are computed once.
//!
//! Whoever finds a text that nobody computes leads its flight; whoever comes later
//! follows and waits. A leader that goes away, or fails for a reason of its own, frees
//! the text, and a follower leads. A leader never waits for another flight before it has
//! ended its own, so that two requests cannot wait for each other.

use std::{
    collections::{HashMap, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::key::Key;
use crate::request::{EmbedError, Embedded};

/// How a flight ended, for its followers.
type Outcome = Result<Arc<Embedded>, EmbedError>;
type Flying = HashMap<Key, Flight>;

/// A flight with up to this many texts is followed by anyone.
const SMALL: usize = 32;
/// A larger one is followed by requests of at least this part of its size: one query
/// does not wait for ten thousand texts because one of them is equal.
const PART: usize = 4;

struct Flight {
    outcome: watch::Receiver<Option<Outcome>>,
    work: Work,
}

/// What a request computes together.
#[derive(Clone, Copy)]
struct Work {
    /// Texts.
    size: usize,
    /// Whether nobody waits for it.
    bulk: bool,
}

impl Work {
    /// Whether waiting for `other` takes about as long as this work itself.
    fn may_follow(self, other: Self) -> bool {
        let likely_short = other.size <= SMALL.max(PART.saturating_mul(self.size));
        likely_short && (self.bulk || !other.bulk)
    }
}

/// The texts at work.
#[derive(Default)]
pub(super) struct Flights {
    flying: Arc<Mutex<Flying>>,
}

/// What is to be done about one text.
pub(super) enum Part {
    /// Compute it, and tell the followers.
    Lead(Lead),
    /// Wait for it.
    Follow(Follow),
    /// Compute it and tell nobody.
    Solo,
}

/// A flight led by its holder; dropped without an outcome it makes way.
pub(super) struct Lead {
    key: Key,
    outcome: watch::Sender<Option<Outcome>>,
    flying: Arc<Mutex<Flying>>,
}

/// A flight led by somebody else.
pub(super) struct Follow(watch::Receiver<Option<Outcome>>);

impl Flights {
    /// The part to take in each of these texts, which must differ.
    pub(super) fn join(&self, keys: &[Key], bulk: bool) -> Vec<Part> {
        let mut flying = lock(&self.flying);
        let work = Work {
            size: keys.len(),
            bulk,
        };
        let part = |&key: &Key| match flying.entry(key) {
            hash_map::Entry::Vacant(entry) => {
                let (outcome, seen) = watch::channel(None);
                entry.insert(Flight {
                    outcome: seen,
                    work,
                });
                Part::Lead(Lead {
                    key,
                    outcome,
                    flying: Arc::clone(&self.flying),
                })
            }
            hash_map::Entry::Occupied(entry) => {
                let flight = entry.get();
                if work.may_follow(flight.work) {
                    Part::Follow(Follow(flight.outcome.clone()))
                } else {
                    Part::Solo
                }
            }
        };
        keys.iter().map(part).collect()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.flying).is_empty()
    }
}

impl Lead {
    /// Ends the flight for its followers. The result must be where the next request
    /// looks first, or it is computed again.
    pub(super) fn end(self, outcome: Outcome) {
        self.outcome.send_replace(Some(outcome));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        lock(&self.flying).remove(&self.key);
    }
}

impl Follow {
    /// How the flight ended; `None` when its leader left it.
    pub(super) async fn outcome(mut self) -> Option<Outcome> {
        let seen = self.0.wait_for(Option::is_some).await.ok()?;
        seen.clone()
    }
}

/// The map is whole whenever the lock is free, even after a panic.
fn lock(flying: &Mutex<Flying>) -> MutexGuard<'_, Flying> {
    flying.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const KEY: Key = Key([7; 16]);

    fn join(flights: &Flights) -> Part {
        flights.join(&[KEY], false).pop().unwrap()
    }

    #[tokio::test]
    async fn the_second_follows_the_first_and_gets_its_result() {
        let flights = Flights::default();
        let (Part::Lead(lead), Part::Follow(follow)) = (join(&flights), join(&flights)) else {
            panic!("the first leads, the second follows");
        };
        let result = Arc::new(Embedded {
            vector: vec![1.0],
            tokens: 1,
            truncated: false,
        });
        lead.end(Ok(Arc::clone(&result)));
        assert_eq!(follow.outcome().await, Some(Ok(result)));
        assert!(flights.is_empty());
    }

    #[tokio::test]
    async fn a_flight_that_its_leader_left_is_free_again() {
        let flights = Flights::default();
        let (first, Part::Follow(follow)) = (join(&flights), join(&flights)) else {
            panic!("the second follows");
        };
        drop(first);
        assert_eq!(follow.outcome().await, None);
        assert!(matches!(join(&flights), Part::Lead(_)));
    }

    #[test]
    fn one_text_does_not_wait_for_a_thousand_but_a_thousand_do() {
        let flights = Flights::default();
        let many: Vec<Key> = (0..1_000u32)
            .map(|at| {
                let mut key = [0; 16];
                key[..4].copy_from_slice(&at.to_le_bytes());
                Key(key)
            })
            .collect();
        let leads = flights.join(&many, false);
        assert!(matches!(flights.join(&many[..1], false)[0], Part::Solo));
        let again = flights.join(&many, false);
        assert!(again.iter().all(|part| matches!(part, Part::Follow(_))));
        drop(leads);
        assert!(flights.is_empty());
    }

    #[test]
    fn a_caller_does_not_wait_for_a_job_but_a_job_waits_for_a_caller() {
        let flights = Flights::default();
        let job = flights.join(&[KEY], true);
        assert!(matches!(flights.join(&[KEY], false)[0], Part::Solo));
        assert!(matches!(flights.join(&[KEY], true)[0], Part::Follow(_)));
        drop(job);
        let _caller = flights.join(&[KEY], false);
        assert!(matches!(flights.join(&[KEY], true)[0], Part::Follow(_)));
    }
}
