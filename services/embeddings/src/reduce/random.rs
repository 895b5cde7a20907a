//! Projection onto random directions.
//!
//! By the lemma of Johnson and Lindenstrauss, distances between n points survive a
//! projection to k dimensions within 1 ± e when k >= (4 + 2b) ln n / (e²/2 - e³/3), with
//! probability at least 1 - n^-b; Achlioptas (Database-friendly random projections, JCSS
//! 66, 2003, theorem 1.1) shows it for a matrix of nothing but signs, which needs no
//! arithmetic that could differ between machines.

use super::{Reducer, Rows};

/// A `[dimensions, input]` matrix of `±1/sqrt(dimensions)`.
#[derive(Debug)]
pub(super) struct Random {
    rows: Rows,
}

impl Random {
    /// The projection of this seed.
    pub(super) fn new(input: usize, dimensions: usize, seed: u64) -> Self {
        // Lengths of vectors fit into 32 bits.
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        #[expect(clippy::cast_possible_truncation, reason = "rounded on purpose")]
        let size = (1.0 / (dimensions as f64).sqrt()) as f32;
        let mut bits = SplitMix64(seed);
        let mut numbers = Vec::with_capacity(input * dimensions);
        while numbers.len() < input * dimensions {
            let word = bits.next();
            let left = input * dimensions - numbers.len();
            let sign = |at| if word >> at & 1 == 1 { size } else { -size };
            numbers.extend((0..left.min(64)).map(sign));
        }
        Self {
            rows: Rows::new(input, numbers),
        }
    }
}

impl Reducer for Random {
    fn input_dimensions(&self) -> usize {
        self.rows.width()
    }

    fn dimensions(&self) -> usize {
        self.rows.count()
    }

    fn project(&self, vector: &[f32]) -> Vec<f32> {
        self.rows.times(vector)
    }
}

/// Steele, Lea and Flood, Fast splittable pseudorandom number generators (OOPSLA 2014):
/// the same numbers in every version and on every machine, which no library promises.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, test_runner::RngSeed};

    use super::*;
    use crate::reduce::distance;

    #[test]
    fn the_generator_is_the_published_one() {
        // Its first outputs for the seed 0.
        let mut bits = SplitMix64(0);
        assert_eq!(bits.next(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(bits.next(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn a_seed_is_a_projection() {
        let project = |seed| Random::new(40, 8, seed).project(&[0.5; 40]);
        assert_eq!(project(7), project(7));
        assert_ne!(project(7), project(8));
    }

    proptest! {
        // The lemma is about most projections, not all: the draws are fixed, so that
        // this passes always or never.
        #![proptest_config(ProptestConfig {
            cases: 24,
            rng_seed: RngSeed::Fixed(5),
            ..ProptestConfig::default()
        })]
        #[test]
        fn distances_survive_within_the_bound_of_johnson_and_lindenstrauss(
            seed: u64,
            points in prop::collection::vec(prop::collection::vec(-1.0f32..1.0, 600), 20),
        ) {
            // n = 20, e = 0.5, b = 3: 10 ln 20 / (0.125 - 0.041667) = 359.5.
            let projection = Random::new(600, 360, seed);
            let projected: Vec<_> = points.iter().map(|point| projection.project(point)).collect();
            for (i, j) in (0..20).flat_map(|i| (0..i).map(move |j| (i, j))) {
                // The lemma speaks of squared distances.
                let before = distance(&points[i], &points[j]).powi(2);
                let after = distance(&projected[i], &projected[j]).powi(2);
                prop_assert!((after / before - 1.0).abs() <= 0.5, "{after} of {before}");
            }
        }
    }
}
