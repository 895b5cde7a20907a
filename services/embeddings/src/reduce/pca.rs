//! Principal components of a user's own corpus.
//!
//! The directions in which the corpus varies most: the eigenvectors of its covariance
//! with the largest eigenvalues. A vector is taken from the corpus's mean and written in
//! these directions.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

use super::{Reducer, Rows};

/// Vectors whose covariance is added at a time: bounds the 64-bit copy.
const CHUNK: usize = 256;

/// Longest vectors that are fitted. The decomposition takes time with the third power:
/// of 384 dimensions some 0.1 s, of 2,048 some 20 s.
pub(super) const MAX_INPUT: usize = 2_048;

/// The leading principal components of a corpus.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pca {
    /// `[input]`: the mean of the corpus.
    pub(super) mean: Vec<f32>,
    /// `[dimensions, input]`, of length 1 and at right angles to each other.
    pub(super) components: Rows,
    /// `[dimensions]`: which part of the corpus's variance each of them holds,
    /// descending; together at most 1.
    pub(super) explained: Vec<f64>,
}

impl Pca {
    /// Fits `dimensions` components to vectors that all have the same length, which is
    /// not below `dimensions`.
    pub(super) fn fit(vectors: &[Vec<f32>], dimensions: usize) -> Self {
        let input = vectors.first().map_or(0, Vec::len);
        let mean = mean(vectors, input);
        let covariance = covariance(vectors, &mean);
        let total = covariance.trace();
        let SymmetricEigen {
            eigenvectors,
            eigenvalues,
        } = covariance.symmetric_eigen();
        let mut order: Vec<usize> = (0..input).collect();
        order.sort_by(|a, b| eigenvalues[*b].total_cmp(&eigenvalues[*a]));
        order.truncate(dimensions);
        let mut components = Vec::with_capacity(input * dimensions);
        for &index in &order {
            let column = eigenvectors.column(index);
            // A direction and its opposite are the same component; the sign is fixed,
            // so that equal corpora give equal reductions.
            let sign = column[column.iamax()].signum();
            components.extend(column.iter().map(|value| narrow(value * sign)));
        }
        let part = |&index: &usize| {
            let value = eigenvalues[index].max(0.0);
            if total > 0.0 { value / total } else { 0.0 }
        };
        Self {
            mean: mean.iter().copied().map(narrow).collect(),
            components: Rows::new(input, components),
            explained: order.iter().map(part).collect(),
        }
    }
}

impl Reducer for Pca {
    fn input_dimensions(&self) -> usize {
        self.components.width()
    }

    fn dimensions(&self) -> usize {
        self.components.count()
    }

    fn project(&self, vector: &[f32]) -> Vec<f32> {
        let centred: Vec<f32> = vector.iter().zip(&self.mean).map(|(v, m)| v - m).collect();
        self.components.times(&centred)
    }
}

fn mean(vectors: &[Vec<f32>], input: usize) -> DVector<f64> {
    let mut sum = DVector::zeros(input);
    for vector in vectors {
        for (total, value) in sum.iter_mut().zip(vector) {
            *total += f64::from(*value);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let count = vectors.len().max(1) as f64;
    sum / count
}

/// `[input, input]`, not divided by the count: only proportions are used.
fn covariance(vectors: &[Vec<f32>], mean: &DVector<f64>) -> DMatrix<f64> {
    let input = mean.len();
    let mut covariance = DMatrix::zeros(input, input);
    for chunk in vectors.chunks(CHUNK) {
        // One column a vector, which is how nalgebra lays out memory.
        let columns = DMatrix::from_fn(input, chunk.len(), |row, column| {
            f64::from(chunk[column][row]) - mean[row]
        });
        covariance.gemm(1.0, &columns, &columns.transpose(), 1.0);
    }
    covariance
}

#[expect(clippy::cast_possible_truncation, reason = "rounded on purpose")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reduce::{distance, dot};

    fn corpus() -> impl Strategy<Value = (Vec<Vec<f32>>, usize)> {
        (2usize..24, 1usize..60).prop_flat_map(|(input, count)| {
            let vector = prop::collection::vec(-1.0f32..1.0, input);
            (prop::collection::vec(vector, count), 1..=input)
        })
    }

    proptest! {
        #[test]
        fn components_are_orthonormal((vectors, dimensions) in corpus()) {
            let pca = Pca::fit(&vectors, dimensions);
            prop_assert_eq!(pca.dimensions(), dimensions);
            for i in 0..dimensions {
                for j in 0..=i {
                    let expected = if i == j { 1.0 } else { 0.0 };
                    let found = dot(pca.components.row(i), pca.components.row(j));
                    prop_assert!((found - expected).abs() < 1e-5, "{i} {j}: {found}");
                }
            }
        }

        #[test]
        fn variance_explained_descends_to_at_most_all_of_it((vectors, dimensions) in corpus()) {
            let explained = Pca::fit(&vectors, dimensions).explained;
            prop_assert!(explained.windows(2).all(|pair| pair[0] >= pair[1]));
            prop_assert!(explained.iter().all(|part| *part >= 0.0));
            prop_assert!(explained.iter().sum::<f64>() <= 1.0 + 1e-9);
        }

        #[test]
        fn what_is_explained_is_what_the_reduced_corpus_varies((vectors, dimensions) in corpus()) {
            let pca = Pca::fit(&vectors, dimensions);
            let square = |vector: &[f32]| f64::from(dot(vector, vector));
            let reduced: f64 = vectors.iter().map(|v| square(&pca.project(v))).sum();
            let full: f64 = vectors.iter().map(|v| f64::from(distance(v, &pca.mean)).powi(2)).sum();
            let explained: f64 = pca.explained.iter().sum();
            prop_assert!((reduced - explained * full).abs() <= 1e-3 * full + 1e-4);
        }

        #[test]
        fn with_all_components_every_distance_is_kept((vectors, _) in corpus()) {
            let pca = Pca::fit(&vectors, vectors[0].len());
            let after = |v: &[f32]| pca.project(v);
            for pair in vectors.windows(2) {
                let before = distance(&pair[0], &pair[1]);
                let found = distance(&after(&pair[0]), &after(&pair[1]));
                prop_assert!((before - found).abs() < 1e-4, "{before} {found}");
            }
        }
    }

    #[test]
    fn the_first_component_is_the_direction_of_the_corpus() {
        // Points along (3, 4) / 5, off by little.
        let vectors: Vec<Vec<f32>> = [-2.0f32, -1.0, 0.5, 3.0]
            .iter()
            .map(|t| vec![0.6 * t + 1.0, 0.8 * t - 1.0])
            .collect();
        let pca = Pca::fit(&vectors, 1);
        assert!(distance(pca.components.row(0), &[0.6, 0.8]) < 1e-5);
        assert!(pca.explained[0] > 0.999_999);
    }
}
