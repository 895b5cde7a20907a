//! Work on whole rows: layer normalisation, embeddings, pooling, length 1.

use crate::{
    dispatch::{Cpu, dispatch},
    error::{ShapeError, length},
    kernel::Kernel,
};

/// A layer normalisation's parameters.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// `[width]`.
    pub scale: &'a [f32],
    /// `[width]`.
    pub shift: &'a [f32],
    /// Added to the variance.
    pub eps: f32,
}

impl Norm<'_> {
    pub(crate) fn check(&self, width: usize) -> Result<(), ShapeError> {
        length("scale", width, self.scale.len())?;
        length("shift", width, self.shift.len())
    }
}

/// How the vectors of a sequence's tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The mean over the tokens.
    Mean,
    /// The first token's.
    First,
    /// The last token's.
    Last,
    /// The largest of each element.
    Max,
}

/// The tables whose rows are added for each token.
#[derive(Clone, Copy, Debug)]
pub struct Embeddings<'a> {
    /// `[vocabulary, width]`.
    pub words: &'a [f32],
    /// `[positions, width]`, a segment's embedding already added where the model has
    /// only one.
    pub positions: &'a [f32],
    /// Values in a row.
    pub width: usize,
}

impl Cpu {
    /// Layer normalisation (arXiv 1607.06450) of each row of `rows`, `[n, width]`.
    ///
    /// # Errors
    ///
    /// Slices whose lengths do not fit each other.
    pub fn layer_norm(self, rows: &mut [f32], norm: &Norm<'_>) -> Result<(), ShapeError> {
        let width = norm.scale.len();
        if width == 0 {
            return Err(ShapeError::Empty { what: "scale" });
        }
        norm.check(width)?;
        length("rows", rows.len() / width * width, rows.len())?;
        dispatch!(self, kernel => for row in rows.chunks_exact_mut(width) {
            kernel.layer_norm(row, norm.scale, norm.shift, norm.eps);
        });
        Ok(())
    }

    /// The exact GELU of every value, within 2e-7 * max(1, |x|).
    pub fn gelu(self, values: &mut [f32]) {
        dispatch!(self, kernel => kernel.gelu(values));
    }

    /// Word and position embeddings of one sequence, added and normalised: `rows` is
    /// `[tokens, width]`, the first token's position `first_position` (0 for BERT, 2
    /// for RoBERTa's kind).
    ///
    /// # Errors
    ///
    /// A token or position that the tables do not have; slices whose lengths do not
    /// fit. `rows` may then be half written.
    pub fn embed(
        self,
        tables: &Embeddings<'_>,
        norm: &Norm<'_>,
        tokens: &[u32],
        first_position: usize,
        rows: &mut [f32],
    ) -> Result<(), ShapeError> {
        let width = tables.width;
        if width == 0 {
            return Err(ShapeError::Empty { what: "width" });
        }
        norm.check(width)?;
        length("rows", tokens.len() * width, rows.len())?;
        let positions = first_position..;
        for ((row, token), position) in rows.chunks_exact_mut(width).zip(tokens).zip(positions) {
            let word = table_row("words", tables.words, *token as usize, width)?;
            row.copy_from_slice(word);
            let position = table_row("positions", tables.positions, position, width)?;
            dispatch!(self, kernel => {
                kernel.add(row, position);
                kernel.layer_norm(row, norm.scale, norm.shift, norm.eps);
            });
        }
        Ok(())
    }

    /// Pools `tokens`, `[n, width]` with n >= 1, to `pooled`, `[width]`. Scale it to
    /// length 1 with [`normalise`].
    ///
    /// # Errors
    ///
    /// No token, or slices whose lengths do not fit.
    pub fn pool(self, pool: Pool, tokens: &[f32], pooled: &mut [f32]) -> Result<(), ShapeError> {
        let width = pooled.len();
        let empty = |what| Err(ShapeError::Empty { what });
        if width == 0 {
            return empty("pooled");
        }
        length("tokens", tokens.len() / width * width, tokens.len())?;
        let count = tokens.len() / width;
        let mut rows = tokens.chunks_exact(width);
        let Some(first) = rows.next() else {
            return empty("tokens");
        };
        pooled.copy_from_slice(match pool {
            Pool::Last => &tokens[(count - 1) * width..],
            Pool::Mean | Pool::First | Pool::Max => first,
        });
        match pool {
            Pool::First | Pool::Last => {}
            Pool::Mean => {
                dispatch!(self, kernel => rows.for_each(|row| kernel.add(pooled, row)));
                let share = (count as f32).recip();
                pooled.iter_mut().for_each(|value| *value *= share);
            }
            Pool::Max => rows.for_each(|row| {
                for (most, value) in pooled.iter_mut().zip(row) {
                    *most = most.max(*value);
                }
            }),
        }
        Ok(())
    }
}

/// Scales to Euclidean length 1; a vector of zeros stays as it is. Summed in f64, so
/// that the length is 1 to the last bits of f32.
pub fn normalise(vector: &mut [f32]) {
    let square: f64 = vector.iter().map(|v| f64::from(*v).powi(2)).sum();
    if square > 0.0 {
        let scale = square.sqrt().recip();
        for value in vector {
            *value = (f64::from(*value) * scale) as f32;
        }
    }
}

fn table_row<'a>(
    what: &'static str,
    table: &'a [f32],
    index: usize,
    width: usize,
) -> Result<&'a [f32], ShapeError> {
    let start = index.saturating_mul(width);
    table
        .get(start..start.saturating_add(width))
        .ok_or(ShapeError::Index {
            what,
            index,
            rows: table.len() / width,
        })
}
