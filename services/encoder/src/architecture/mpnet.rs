//! MPNet (Song et al., arXiv 2004.09297): BERT with a bias on attention by the distance
//! of two tokens, in the buckets of T5 (Raffel et al., arXiv 1910.10683, section 2.1).
//! All layers share one bias. Positions begin at 2, and there are no segments.

use super::bert::{LayerNames, Layout};
use crate::config::RelativeBuckets;

pub(super) const LAYOUT: Layout = Layout {
    prefixes: &["", "mpnet."],
    layer: LayerNames {
        query: "attention.attn.q",
        key: "attention.attn.k",
        value: "attention.attn.v",
        attention_out: "attention.attn.o",
        attention_norm: "attention.LayerNorm",
    },
    relative_bias: Some("encoder.relative_attention_bias.weight"),
};

/// Lays a bias by bucket, `[buckets, heads]`, out by distance, `[heads, 2 * reach - 1]`:
/// entry `reach - 1 + j - i` is for query i and key j.
pub(super) fn by_distance(
    by_bucket: &[f32],
    heads: usize,
    buckets: RelativeBuckets,
    reach: usize,
) -> Vec<f32> {
    let mut bias = Vec::with_capacity(heads * (2 * reach - 1));
    for head in 0..heads {
        let before = (1..reach)
            .rev()
            .map(|distance| bucket(distance, false, buckets));
        let after = (0..reach).map(|distance| bucket(distance, true, buckets));
        bias.extend(
            before
                .chain(after)
                .map(|bucket| by_bucket[bucket * heads + head]),
        );
    }
    bias
}

/// The bucket of a key that is so many tokens `after` the query, or before it. Half of
/// the buckets are for either side; half of these hold one distance each, the rest
/// ranges that grow with the logarithm, the last one all from `max_distance` on.
fn bucket(distance: usize, after: bool, buckets: RelativeBuckets) -> usize {
    let side = buckets.count / 2;
    let exact = side / 2;
    let place = if distance < exact {
        distance
    } else {
        // In single precision and cut towards zero, as the models were trained.
        let steps = (distance as f32 / exact as f32).ln()
            / (buckets.max_distance as f32 / exact as f32).ln()
            * (side - exact) as f32;
        (exact + steps as usize).min(side - 1)
    };
    place + if after && distance > 0 { side } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKETS: RelativeBuckets = RelativeBuckets {
        count: 32,
        max_distance: 128,
    };

    /// Where T5's formula changes its value, worked out by hand: 8 * 16^(n / 8), rounded
    /// up, begins bucket 8 + n.
    #[test]
    fn buckets_begin_where_the_formula_says() {
        let begins = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91];
        for (place, begin) in begins.into_iter().enumerate() {
            assert_eq!(bucket(begin, false, BUCKETS), place, "{begin}");
            if begin > 0 {
                assert_eq!(bucket(begin, true, BUCKETS), 16 + place, "{begin}");
                assert_eq!(bucket(begin - 1, false, BUCKETS), place - 1, "{begin}");
            }
        }
        assert_eq!(bucket(100_000, true, BUCKETS), 31);
    }

    #[test]
    fn a_bias_lies_from_the_farthest_before_to_the_farthest_after() {
        let by_bucket: Vec<f32> = (0..64).map(|value| value as f32).collect();
        let bias = by_distance(&by_bucket, 2, BUCKETS, 3);
        // Bucket b of head h has the value 2 b + h.
        assert_eq!(bias[..5], [4.0, 2.0, 0.0, 34.0, 36.0]);
        assert_eq!(bias[5..], [5.0, 3.0, 1.0, 35.0, 37.0]);
    }
}
