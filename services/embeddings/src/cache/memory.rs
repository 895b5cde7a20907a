//! Results kept in this process, bounded by their bytes.
//!
//! The eviction policy (S3-FIFO) keeps what was asked for more than once over what a
//! bulk request passes through.

use std::{sync::Arc, time::Duration};

use quick_cache::{Weighter, sync};
use tokio::time::Instant;

use super::key::Key;
use crate::request::Embedded;

/// What an entry takes beside its numbers: key, table slot, counters, allocations.
const ENTRY_BYTES: u64 = 160;

#[derive(Clone)]
struct Entry {
    embedded: Arc<Embedded>,
    expires: Instant,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Entry> for Bytes {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        ENTRY_BYTES + 4 * entry.embedded.vector.len() as u64
    }
}

pub(super) struct Memory {
    entries: sync::Cache<Key, Entry, Bytes>,
    ttl: Duration,
}

impl Memory {
    /// Keeps results for `ttl` in at most `max_bytes`.
    pub(super) fn new(max_bytes: u64, ttl: Duration) -> Self {
        // An estimate only; the bound is in bytes.
        let expected = usize::try_from(max_bytes / 2_048)
            .unwrap_or(usize::MAX)
            .max(16);
        Self {
            entries: sync::Cache::with_weighter(expected, max_bytes, Bytes),
            ttl,
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Embedded>> {
        let entry = self.entries.get(key)?;
        if Instant::now() < entry.expires {
            return Some(entry.embedded);
        }
        // Unless another has just stored a fresh one.
        self.entries
            .remove_if(key, |found| found.expires == entry.expires);
        None
    }

    pub(super) fn put(&self, key: Key, embedded: Arc<Embedded>) {
        // A clock that cannot hold the time never keeps anything.
        if let Some(expires) = Instant::now().checked_add(self.ttl) {
            self.entries.insert(key, Entry { embedded, expires });
        }
    }

    /// Bytes that results take.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedded(dimensions: usize) -> Arc<Embedded> {
        Arc::new(Embedded {
            vector: vec![0.5; dimensions],
            tokens: 3,
            truncated: false,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_is_kept_for_its_time_and_no_longer() {
        let memory = Memory::new(1 << 20, Duration::from_secs(60));
        memory.put(Key([1; 16]), embedded(8));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(memory.get(&Key([1; 16])), Some(embedded(8)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(memory.get(&Key([1; 16])), None);
        assert_eq!(memory.bytes(), 0);
    }

    #[tokio::test]
    async fn it_never_takes_more_than_its_bytes() {
        let bound = 200_000;
        let memory = Memory::new(bound, Duration::from_secs(60));
        for at in 0..2_000u64 {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&at.to_le_bytes());
            memory.put(Key(key), embedded(384));
            assert!(memory.bytes() <= bound, "{}", memory.bytes());
        }
        assert!(memory.bytes() > bound / 2, "{}", memory.bytes());
    }
}
