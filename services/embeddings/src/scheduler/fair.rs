//! Whose turn it is: start-time fair queueing over keys (Goyal, Vin and Cheng, "Start-time
//! Fair Queuing", SIGCOMM 1996).
//!
//! Deficit round robin gives the same long-run shares, but within a round a key with a
//! short item waits for every other key's quantum. Here every key has a tag, the tokens
//! that it was served on a clock that all keys share; the smallest tag is next. A key that
//! was away starts at the clock, neither rewarded for its absence nor punished, so a
//! newcomer's short item is among the very next. While two keys both have work, what they
//! were served differs by at most the largest item of each.

use std::collections::{BTreeMap, BTreeSet};

/// Keys with work, by turn. Holds no work itself.
#[derive(Debug)]
pub(super) struct Fair<K> {
    /// Tags of keys with work.
    tags: BTreeMap<K, u64>,
    /// The same, smallest tag first.
    turns: BTreeSet<(u64, K)>,
    /// Keys that left while their tag was ahead of the clock: who leaves and returns
    /// must not be ahead of who stayed.
    left: BTreeMap<K, u64>,
    left_by_tag: BTreeSet<(u64, K)>,
    /// The tag of the latest turn.
    clock: u64,
}

impl<K> Default for Fair<K> {
    fn default() -> Self {
        Self {
            tags: BTreeMap::new(),
            turns: BTreeSet::new(),
            left: BTreeMap::new(),
            left_by_tag: BTreeSet::new(),
            clock: 0,
        }
    }
}

impl<K: Clone + Ord> Fair<K> {
    /// The key has work from now on. No effect where it has already.
    pub(super) fn enter(&mut self, key: &K) {
        if self.tags.contains_key(key) {
            return;
        }
        let mut tag = self.clock;
        if let Some(own) = self.left.remove(key) {
            self.left_by_tag.remove(&(own, key.clone()));
            tag = tag.max(own);
        }
        self.tags.insert(key.clone(), tag);
        self.turns.insert((tag, key.clone()));
    }

    /// The key has no work any more.
    pub(super) fn leave(&mut self, key: &K) {
        let Some(tag) = self.tags.remove(key) else {
            return;
        };
        self.turns.remove(&(tag, key.clone()));
        if self.tags.is_empty() {
            // Nobody is left to be unfair to.
            *self = Self::default();
        } else if tag > self.clock {
            self.left.insert(key.clone(), tag);
            self.left_by_tag.insert((tag, key.clone()));
        }
    }

    /// Whose turn it is.
    pub(super) fn next(&self) -> Option<&K> {
        self.turns.first().map(|(_, key)| key)
    }

    /// The key had its turn and was served `tokens`.
    pub(super) fn serve(&mut self, key: &K, tokens: u64) {
        let Some(tag) = self.tags.get_mut(key) else {
            return;
        };
        let before = *tag;
        *tag = before.saturating_add(tokens);
        let after = *tag;
        self.turns.remove(&(before, key.clone()));
        self.turns.insert((after, key.clone()));
        self.clock = self.clock.max(before);
        while let Some((tag, _)) = self.left_by_tag.first()
            && *tag <= self.clock
            && let Some((_, key)) = self.left_by_tag.pop_first()
        {
            self.left.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_newcomer_is_next_and_not_ahead_for_having_been_away() {
        let mut fair = Fair::default();
        fair.enter(&"old");
        fair.enter(&"other");
        for _ in 0..10 {
            let key = *fair.next().unwrap();
            fair.serve(&key, 100);
        }
        fair.enter(&"new");
        let mut served = Vec::new();
        for _ in 0..6 {
            let key = *fair.next().unwrap();
            served.push(key);
            fair.serve(&key, 100);
        }
        // It starts where the latest turn started, so it is at most one item ahead.
        assert!(served[..2].contains(&"new"), "{served:?}");
        let turns = served.iter().filter(|key| **key == "new").count();
        assert!((2..=3).contains(&turns), "{served:?}");
    }

    #[test]
    fn leaving_and_returning_wins_nothing() {
        let mut fair = Fair::default();
        fair.enter(&"stays");
        fair.enter(&"hops");
        let mut tokens = BTreeMap::from([("stays", 0), ("hops", 0)]);
        for _ in 0..100 {
            let key = *fair.next().unwrap();
            let cost = if key == "hops" { 500 } else { 10 };
            *tokens.get_mut(key).unwrap() += cost;
            fair.serve(&key, cost);
            if key == "hops" {
                fair.leave(&"hops");
                fair.enter(&"hops");
            }
        }
        assert!(tokens["hops"] <= tokens["stays"] + 510, "{tokens:?}");
    }

    proptest! {
        #[test]
        fn keys_with_work_are_served_alike_up_to_the_largest_items(
            costs in prop::collection::vec(1u64..512, 1..400),
            keys in 2usize..6,
        ) {
            let mut fair = Fair::default();
            for key in 0..keys {
                fair.enter(&key);
            }
            let mut served = vec![0; keys];
            for cost in costs {
                let key = *fair.next().unwrap();
                served[key] += cost;
                fair.serve(&key, cost);
                let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
                prop_assert!(most - least <= 2 * 512, "{served:?}");
            }
        }
    }
}
