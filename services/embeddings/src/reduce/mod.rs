//! Shorter vectors: less to store and to compare, at a price in accuracy.
//!
//! Three ways, one file each: the leading dimensions of a model that was trained for it
//! (`matryoshka`), the principal components of a user's own corpus (`pca`), and random
//! directions (`random`). A way turns a vector of the model's own length into a shorter
//! one; a [`Plan`] applies it and brings the result back to length 1.

mod config;
mod fit;
mod matryoshka;
mod pca;
mod random;
mod registry;
mod store;

use std::{fmt, sync::Arc};

use tokio::task;

pub use self::{
    config::{ReductionsConfig, SharedKind, SharedReduction},
    fit::{Corpus, NewReduction, fit},
    registry::{Reduction, Reductions, ReductionsError},
};
use crate::request::{EmbedError, Embedded};

/// More vectors than this are reduced on a thread that may block.
const INLINE: usize = 64;

/// A way to make vectors shorter.
pub trait Reducer: Send + Sync + fmt::Debug {
    /// Length of the vectors that go in.
    fn input_dimensions(&self) -> usize;

    /// Length of the vectors that come out. Their leading dimensions hold the most.
    fn dimensions(&self) -> usize;

    /// `[input_dimensions]` to `[dimensions]`, of whatever length.
    fn project(&self, vector: &[f32]) -> Vec<f32>;
}

/// What happens to each vector of one answer.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    reducer: Option<Arc<dyn Reducer>>,
    /// Of what comes out, the leading dimensions that are kept.
    keep: usize,
    /// What is told to the caller: the id of the reduction that was named.
    id: Option<String>,
}

impl Plan {
    /// The id of the reduction that the request named, with its version.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Reduces all vectors.
    ///
    /// # Errors
    ///
    /// When the thread that reduces ends early.
    pub async fn apply(&self, mut data: Vec<Embedded>) -> Result<Vec<Embedded>, EmbedError> {
        let Some(reducer) = self.reducer.clone() else {
            return Ok(data);
        };
        let (keep, few) = (self.keep, data.len() <= INLINE);
        let reduce = move || {
            for embedded in &mut data {
                let mut vector = reducer.project(&embedded.vector);
                vector.truncate(keep);
                normalize(&mut vector);
                embedded.vector = vector;
            }
            data
        };
        if few {
            return Ok(reduce());
        }
        let reduced = task::spawn_blocking(reduce).await;
        reduced.map_err(|_| EmbedError::Failed("a reduction stopped unexpectedly".to_owned()))
    }
}

/// A matrix by rows.
#[derive(Clone, Debug, PartialEq)]
struct Rows {
    width: usize,
    numbers: Vec<f32>,
}

impl Rows {
    /// `numbers` is a whole number of rows.
    fn new(width: usize, numbers: Vec<f32>) -> Self {
        Self { width, numbers }
    }

    fn width(&self) -> usize {
        self.width
    }

    fn count(&self) -> usize {
        self.numbers.len().checked_div(self.width).unwrap_or(0)
    }

    fn all(&self) -> impl Iterator<Item = &[f32]> {
        self.numbers.chunks_exact(self.width.max(1))
    }

    #[cfg(test)]
    fn row(&self, index: usize) -> &[f32] {
        &self.numbers[index * self.width..][..self.width]
    }

    /// The matrix times a column, `[count]`.
    fn times(&self, vector: &[f32]) -> Vec<f32> {
        self.all().map(|row| dot(row, vector)).collect()
    }
}

/// Summed in eight lanes, which the compiler keeps in one register.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

/// To length 1; a vector of zeros stays one.
fn normalize(vector: &mut [f32]) {
    let length = dot(vector, vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
}

#[cfg(test)]
fn distance(a: &[f32], b: &[f32]) -> f32 {
    let square = |(a, b): (&f32, &f32)| (a - b).powi(2);
    a.iter().zip(b).map(square).sum::<f32>().sqrt()
}
