//! Principal components of a user's own corpus.
//!
//! The directions in which the corpus varies most: the eigenvectors of its covariance
//! with the largest eigenvalues. A vector is taken from the corpus's mean and written in
//! these directions.
//!
//! Of a corpus with fewer vectors than dimensions the same directions come from the
//! products of the vectors with each other, a smaller matrix with the same eigenvalues
//! (Turk and Pentland, Eigenfaces for recognition, 1991, section 2).

use nalgebra::{DMatrix, DVector};

use super::{Reducer, Rows};

/// Vectors whose covariance is added at a time: bounds the 64-bit copy.
const CHUNK: usize = 256;

/// Longest vectors that are fitted: the decomposition takes time with the third power.
pub(super) const MAX_INPUT: usize = 2_048;

/// Directions with less than this part of the first one's variance come from the
/// covariance only: the way by products would lose their right angles to rounding.
const LEAST_PART: f64 = 1e-10;

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
        let few = vectors.len() < input;
        let by_products = few
            .then(|| by_products(vectors, &mean, dimensions))
            .flatten();
        let spread = by_products.unwrap_or_else(|| by_covariance(vectors, &mean, dimensions));
        let mut components = Vec::with_capacity(input * dimensions);
        for direction in &spread.directions {
            // A direction and its opposite are the same component; the sign is fixed,
            // so that equal corpora give equal reductions.
            let sign = direction[direction.iamax()].signum();
            components.extend(direction.iter().map(|value| narrow(value * sign)));
        }
        let part = |variance: &f64| match spread.total > 0.0 {
            true => variance.max(0.0) / spread.total,
            false => 0.0,
        };
        Self {
            mean: mean.iter().copied().map(narrow).collect(),
            components: Rows::new(input, components),
            explained: spread.variances.iter().map(part).collect(),
        }
    }
}

/// How a corpus varies, by its leading directions; variances times the count.
struct Spread {
    /// `[dimensions]`, descending.
    variances: Vec<f64>,
    /// `[dimensions]` of `[input]`.
    directions: Vec<DVector<f64>>,
    /// Of all directions together.
    total: f64,
}

fn by_covariance(vectors: &[Vec<f32>], mean: &DVector<f64>, dimensions: usize) -> Spread {
    let covariance = covariance(vectors, mean);
    let total = covariance.trace();
    let eigen = covariance.symmetric_eigen();
    let order = descending(&eigen.eigenvalues, dimensions);
    let direction = |&index: &usize| eigen.eigenvectors.column(index).into_owned();
    Spread {
        variances: order
            .iter()
            .map(|&index| eigen.eigenvalues[index])
            .collect(),
        directions: order.iter().map(direction).collect(),
        total,
    }
}

/// `None` where the corpus hardly varies in as many directions.
fn by_products(vectors: &[Vec<f32>], mean: &DVector<f64>, dimensions: usize) -> Option<Spread> {
    let columns = centred(vectors, mean);
    let products = columns.tr_mul(&columns);
    let total = products.trace();
    let eigen = products.symmetric_eigen();
    let order = descending(&eigen.eigenvalues, dimensions);
    let variances: Vec<f64> = order
        .iter()
        .map(|&index| eigen.eigenvalues[index])
        .collect();
    let (first, last) = (*variances.first()?, *variances.last()?);
    if variances.len() < dimensions || last <= first * LEAST_PART {
        return None;
    }
    let direction = |(&index, variance): (&usize, &f64)| {
        &columns * eigen.eigenvectors.column(index) / variance.sqrt()
    };
    Some(Spread {
        directions: order.iter().zip(&variances).map(direction).collect(),
        variances,
        total,
    })
}

/// Positions of the largest values.
fn descending(values: &DVector<f64>, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    order.truncate(count);
    order
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
        let columns = centred(chunk, mean);
        covariance.gemm(1.0, &columns, &columns.transpose(), 1.0);
    }
    covariance
}

/// `[input, count]`: a column a vector, which is how nalgebra lays out memory.
fn centred(vectors: &[Vec<f32>], mean: &DVector<f64>) -> DMatrix<f64> {
    DMatrix::from_fn(mean.len(), vectors.len(), |row, column| {
        f64::from(vectors[column][row]) - mean[row]
    })
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

    proptest! {
        #[test]
        fn both_ways_give_the_same_directions(
            vectors in prop::collection::vec(prop::collection::vec(-1.0f32..1.0, 12), 4..9),
        ) {
            let mean = mean(&vectors, 12);
            let covariance = by_covariance(&vectors, &mean, 2);
            let Some(products) = by_products(&vectors, &mean, 2) else {
                return Ok(());
            };
            prop_assert!((covariance.total - products.total).abs() < 1e-9);
            for at in 0..2 {
                let difference = covariance.variances[at] - products.variances[at];
                prop_assert!(difference.abs() < 1e-9 * covariance.total);
                // A direction shared by two equal variances is no direction of its own.
                let gap = products.variances[0] - products.variances[1];
                if gap > 1e-3 * products.total && at == 0 {
                    let cosine = covariance.directions[at].dot(&products.directions[at]);
                    prop_assert!((cosine.abs() - 1.0).abs() < 1e-6, "{cosine}");
                }
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
