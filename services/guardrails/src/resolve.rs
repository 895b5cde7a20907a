//! Which of the overlapping hits are reported. The surer one wins, then the longer,
//! then the one that begins first; the order of detectors and patterns decides only
//! what is equal in all of these.
//!
//! Hits that overlap, directly or over others, are a *cluster* and decided together, so
//! that a stream decides them as a whole text does: when nothing more can join. A
//! cluster ends at [`MAX_CLUSTER`] bytes after its beginning, whatever overlaps there;
//! hits that reach back into what an ended cluster kept lose. Without that a row of
//! overlapping numbers could hold back a stream without end.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::scan::Hit;

/// Bytes from a cluster's first byte within which its hits begin.
pub(crate) const MAX_CLUSTER: usize = 2048;

/// Hits that are not yet decided. Offsets are those of the scan.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    /// Found and not decided, in no order.
    waiting: Vec<Hit>,
    /// Where the last hit that was kept ends.
    kept_to: usize,
}

impl Resolver {
    /// Where the scan puts its hits.
    pub(crate) fn waiting(&mut self) -> &mut Vec<Hit> {
        &mut self.waiting
    }

    /// Calls `keep` with the hits that remain, in text order, none overlapping another,
    /// as far as they are decided when no hit to come begins before `undecided`.
    /// Answers up to where everything is decided.
    ///
    /// Takes O(n log n) for `n` hits that wait.
    pub(crate) fn decide(&mut self, undecided: usize, mut keep: impl FnMut(Hit)) -> usize {
        if self.waiting.is_empty() {
            return undecided;
        }
        // Stable: what is equal stays as the scan found it.
        self.waiting.sort_by_key(|hit| hit.start);
        let mut cluster: Vec<Hit> = Vec::new();
        let mut reach = 0;
        let mut hits = std::mem::take(&mut self.waiting).into_iter().peekable();
        while let Some(hit) = hits.next() {
            if hit.start >= self.kept_to {
                reach = reach.max(hit.end);
                cluster.push(hit);
            }
            let Some(first) = cluster.first().map(|hit| hit.start) else {
                continue;
            };
            let limit = first + MAX_CLUSTER;
            let is_over = hits
                .peek()
                .is_some_and(|next| next.start >= reach.min(limit))
                || undecided >= reach.min(limit) && hits.peek().is_none();
            if is_over {
                for hit in resolve(&mut cluster) {
                    self.kept_to = hit.end;
                    keep(hit);
                }
                reach = 0;
            }
        }
        self.waiting = cluster;
        let first = self.waiting.first();
        first.map_or(undecided, |hit| hit.start.min(undecided))
    }

    /// The text lost its first `bytes`.
    pub(crate) fn rebase(&mut self, bytes: usize) {
        self.kept_to = self.kept_to.saturating_sub(bytes);
        for hit in &mut self.waiting {
            hit.start -= bytes;
            hit.end -= bytes;
        }
    }
}

/// The hits of a cluster that remain, in text order.
fn resolve(hits: &mut Vec<Hit>) -> Vec<Hit> {
    if hits.len() == 1 {
        return std::mem::take(hits);
    }
    hits.sort_by(|a, b| {
        let rest = |hit: &Hit| (Reverse(hit.end - hit.start), hit.start, hit.detector);
        b.score
            .total_cmp(&a.score)
            .then_with(|| rest(a).cmp(&rest(b)))
    });
    let mut kept: BTreeMap<usize, Hit> = BTreeMap::new();
    for hit in hits.drain(..) {
        // Kept hits do not overlap, so only the last that begins before this one's
        // end can reach into it.
        let free = kept
            .range(..hit.end)
            .next_back()
            .is_none_or(|(_, before)| before.end <= hit.start);
        if free {
            kept.insert(hit.start, hit);
        }
    }
    kept.into_values().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hit(start: usize, end: usize, score: f64) -> Hit {
        Hit {
            detector: 0,
            start,
            end,
            score,
            reasons: Vec::new(),
        }
    }

    fn decided(hits: Vec<Hit>) -> Vec<Hit> {
        let mut resolver = Resolver {
            waiting: hits,
            kept_to: 0,
        };
        let mut kept = Vec::new();
        assert_eq!(resolver.decide(1 << 20, |hit| kept.push(hit)), 1 << 20);
        kept
    }

    fn spans(hits: Vec<Hit>) -> Vec<(usize, usize)> {
        let kept = decided(hits);
        kept.iter().map(|hit| (hit.start, hit.end)).collect()
    }

    #[test]
    fn the_surer_wins_then_the_longer_then_the_earlier() {
        assert_eq!(spans(vec![hit(0, 9, 0.5), hit(2, 4, 0.9)]), [(2, 4)]);
        assert_eq!(spans(vec![hit(2, 4, 0.5), hit(0, 9, 0.5)]), [(0, 9)]);
        assert_eq!(spans(vec![hit(2, 6, 0.5), hit(0, 4, 0.5)]), [(0, 4)]);
        assert_eq!(
            spans(vec![hit(4, 6, 0.1), hit(0, 4, 0.5)]),
            [(0, 4), (4, 6)]
        );
    }

    #[test]
    fn a_cluster_waits_for_what_may_join_and_not_for_ever() {
        let mut resolver = Resolver::default();
        resolver.waiting().push(hit(10, 20, 0.5));
        assert_eq!(
            resolver.decide(15, |_| panic!("a surer one may follow")),
            10
        );
        resolver.waiting().push(hit(15, 25, 0.9));
        let mut kept = Vec::new();
        assert_eq!(resolver.decide(25, |hit| kept.push(hit.start)), 25);
        assert_eq!(kept, [15]);
        // Each overlaps the next: without a limit they were one cluster.
        let chain = |place: usize| hit(place * 10, place * 10 + 11, 0.5);
        let kept = spans((0..1_000).map(chain).collect());
        assert_eq!(kept.len(), 500);
    }

    /// Starts, lengths and scores, the lengths near the limit of a cluster too.
    fn raw() -> impl Strategy<Value = Vec<(usize, usize, u8)>> {
        let length = prop_oneof![4 => 1..12usize, 1 => 700..1_200usize];
        prop::collection::vec((0..4_000usize, length, 0..4u8), 0..60)
    }

    fn make(raw: &[(usize, usize, u8)]) -> Vec<Hit> {
        let each = raw.iter();
        each.map(|&(start, length, score)| hit(start, start + length, f64::from(score) / 4.0))
            .collect()
    }

    proptest! {
        #[test]
        fn every_dropped_hit_overlaps_a_kept_one_that_beats_it(
            raw in prop::collection::vec((0usize..60, 1usize..12, 0u8..4), 0..40)
        ) {
            let kept = decided(make(&raw));
            for pair in kept.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            for hit in make(&raw) {
                let beaten = kept.iter().any(|winner| {
                    winner.start < hit.end && hit.start < winner.end && winner.score >= hit.score
                });
                prop_assert!(beaten);
            }
        }

        #[test]
        fn hits_that_come_bit_by_bit_are_decided_as_if_at_once(
            raw in raw(),
            steps in prop::collection::vec(0..4_000usize, 0..12),
        ) {
            let mut hits = make(&raw);
            hits.sort_by_key(|hit| hit.start);
            let expected = spans(hits);
            let mut hits = make(&raw);
            hits.sort_by_key(|hit| hit.start);
            let mut hits = hits.into_iter().peekable();
            let mut steps = steps;
            steps.sort_unstable();
            steps.push(1 << 20);
            let mut resolver = Resolver::default();
            let mut kept = Vec::new();
            for undecided in steps {
                while let Some(hit) = hits.next_if(|hit| hit.start < undecided) {
                    resolver.waiting().push(hit);
                }
                let safe = resolver.decide(undecided, |hit| kept.push((hit.start, hit.end)));
                prop_assert!(safe <= undecided && safe + MAX_CLUSTER >= undecided);
            }
            prop_assert_eq!(kept, expected);
        }
    }
}
