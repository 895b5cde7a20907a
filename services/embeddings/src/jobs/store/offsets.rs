//! Which of a partition's messages are done, so that an offset is committed only when
//! all before it are. Chunks end in any order; a commit says "all up to here".

use std::collections::{BTreeMap, HashMap};

/// Where a message lies in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Position {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// The messages that were received and not committed, by partition.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    partitions: HashMap<i32, BTreeMap<i64, bool>>,
}

impl Offsets {
    /// A message was received.
    pub(super) fn begin(&mut self, at: Position) {
        self.partitions
            .entry(at.partition)
            .or_default()
            .entry(at.offset)
            .or_insert(false);
    }

    /// A message is done. Returns the offset to commit for its partition, where that
    /// moves: the first that is not done.
    pub(super) fn finish(&mut self, at: Position) -> Option<i64> {
        let messages = self.partitions.get_mut(&at.partition)?;
        // Unknown: the partition went to another worker meanwhile, and came back.
        *messages.get_mut(&at.offset)? = true;
        let mut next = None;
        while let Some(first) = messages.first_entry().filter(|entry| *entry.get()) {
            next = Some(first.key() + 1);
            first.remove();
        }
        next
    }

    /// Another worker has the partition now, or will read it anew.
    pub(super) fn forget(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(offset: i64) -> Position {
        Position {
            partition: 3,
            offset,
        }
    }

    proptest! {
        #[test]
        fn nothing_undone_is_committed_and_all_is_in_the_end(
            order in Just((10..40i64).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut offsets = Offsets::default();
            (10..40).for_each(|offset| offsets.begin(at(offset)));
            let (mut done, mut committed) = (Vec::new(), 10);
            for offset in order {
                done.push(offset);
                if let Some(next) = offsets.finish(at(offset)) {
                    prop_assert!(next > committed);
                    prop_assert!((10..next).all(|before| done.contains(&before)));
                    committed = next;
                }
                prop_assert!(!done.contains(&committed));
            }
            prop_assert_eq!(committed, 40);
        }
    }

    #[test]
    fn a_partition_that_was_lost_commits_nothing() {
        let mut offsets = Offsets::default();
        offsets.begin(at(5));
        offsets.forget(3);
        assert_eq!(offsets.finish(at(5)), None);
    }

    #[test]
    fn a_message_that_comes_twice_is_done_once() {
        let mut offsets = Offsets::default();
        offsets.begin(at(5));
        offsets.begin(at(5));
        assert_eq!(offsets.finish(at(5)), Some(6));
        assert_eq!(offsets.finish(at(5)), None);
    }
}
