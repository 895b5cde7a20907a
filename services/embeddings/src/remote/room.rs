//! Who may send a request, and who waits for it.
//!
//! Calls whose callers can come back are refused once too many wait; streams and jobs,
//! which bound themselves, wait. Bulk work never has more than half of the places, so
//! that a short text does not stand behind ten thousand.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::RemoteConfig;
use crate::request::WhenFull;

/// The places of one remote model. The semaphores are never closed, so that acquiring
/// cannot fail.
pub(super) struct Room {
    /// Calls at work or waiting that could be refused.
    calls: Semaphore,
    /// Requests on their way.
    places: Semaphore,
    /// Those of bulk work.
    bulk: Semaphore,
}

/// A call that was let in; out when dropped.
pub(super) struct Entered<'a>(#[expect(dead_code, reason = "held")] Option<SemaphorePermit<'a>>);

/// A place of one request; free when dropped.
pub(super) struct Place<'a>(#[expect(dead_code, reason = "held")] [Option<SemaphorePermit<'a>>; 2]);

impl Room {
    pub(super) fn new(config: &RemoteConfig) -> Self {
        let places = (config.max_concurrent_requests.get()).min(Semaphore::MAX_PERMITS);
        let calls = places.saturating_add(config.max_waiting);
        Self {
            calls: Semaphore::new(calls.min(Semaphore::MAX_PERMITS)),
            places: Semaphore::new(places),
            bulk: Semaphore::new(places.div_ceil(2)),
        }
    }

    /// Lets a call in; `None` where too many wait.
    pub(super) fn enter(&self, when_full: WhenFull) -> Option<Entered<'_>> {
        match when_full {
            WhenFull::Refuse => Some(Entered(Some(self.calls.try_acquire().ok()?))),
            WhenFull::Wait => Some(Entered(None)),
        }
    }

    /// Waits for a place.
    pub(super) async fn place(&self, bulk: bool) -> Place<'_> {
        let share = match bulk {
            true => self.bulk.acquire().await.ok(),
            false => None,
        };
        Place([share, self.places.acquire().await.ok()])
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use futures_util::FutureExt as _;

    use super::*;

    fn room(places: usize, waiting: usize) -> Room {
        Room::new(&RemoteConfig {
            max_concurrent_requests: places.try_into().unwrap(),
            max_waiting: waiting,
            ..RemoteConfig::default()
        })
    }

    #[test]
    fn bulk_work_leaves_half_of_the_places() {
        let room = room(4, 0);
        let place = |bulk| room.place(bulk).now_or_never();
        let held = [place(true), place(true)];
        assert!(held.iter().all(Option::is_some) && place(true).is_none());
        let held = [place(false), place(false)];
        assert!(held.iter().all(Option::is_some) && place(false).is_none());
    }

    #[test]
    fn a_single_place_is_for_bulk_work_too() {
        assert!(room(1, 0).place(true).now_or_never().is_some());
    }

    #[test]
    fn a_call_too_many_is_refused_unless_it_waits() {
        let room = room(1, 1);
        let held = [WhenFull::Refuse; 2].map(|when| room.enter(when));
        assert!(held.iter().all(Option::is_some));
        assert!(room.enter(WhenFull::Refuse).is_none());
        assert!(room.enter(WhenFull::Wait).is_some());
        drop(held);
        assert!(room.enter(WhenFull::Refuse).is_some());
    }
}
