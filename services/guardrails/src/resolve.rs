//! Which of the overlapping hits are reported. The surer one wins, then the longer,
//! then the one that begins first; the order of detectors and patterns decides only
//! what is equal in all of these.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::scan::Hit;

/// The hits that remain, in text order, none overlapping another.
///
/// Takes O(n log n) for `n` hits.
pub(crate) fn resolve(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by(|a, b| {
        let rest = |hit: &Hit| (Reverse(hit.end - hit.start), hit.start, hit.detector);
        b.score
            .total_cmp(&a.score)
            .then_with(|| rest(a).cmp(&rest(b)))
    });
    let mut kept: BTreeMap<usize, Hit> = BTreeMap::new();
    for hit in hits {
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

    fn spans(hits: Vec<Hit>) -> Vec<(usize, usize)> {
        let kept = resolve(hits);
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

    proptest! {
        #[test]
        fn every_dropped_hit_overlaps_a_kept_one_that_beats_it(
            raw in prop::collection::vec((0usize..60, 1usize..12, 0u8..4), 0..40)
        ) {
            let make = || raw.iter().map(|&(start, length, score)| {
                hit(start, start + length, f64::from(score) / 4.0)
            });
            let kept = resolve(make().collect());
            for pair in kept.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            for hit in make() {
                let beaten = kept.iter().any(|winner| {
                    winner.start < hit.end && hit.start < winner.end && winner.score >= hit.score
                });
                prop_assert!(beaten);
            }
        }
    }
}
