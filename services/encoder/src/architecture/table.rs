//! A table of vectors, one for each token, and nothing else: the models of model2vec
//! (Tulkens and van Dongen, 2024, <https://github.com/MinishLab/model2vec>) and the
//! static embeddings of sentence-transformers. A text's vector is the mean of its
//! tokens' rows, so it costs a thousandth of a transformer's.

use std::path::Path;

use super::{Architecture, Scratch};
use crate::{
    config::ModelConfig,
    error::{EncodeError, LoadError},
    ragged::Ragged,
    weights::Weights,
};

/// The names that the table has in files of model2vec and of sentence-transformers.
const NAMES: [&str; 2] = ["embeddings", "embedding.weight"];

/// The rows, and which of them a token has.
pub(super) struct Table {
    hidden: usize,
    /// `[rows + 1, hidden]`; the last row, of zeros, is what a text without tokens has.
    rows: Vec<f32>,
    /// `[vocabulary + 1]`: where a token's row begins, and what it is multiplied by.
    tokens: Vec<(usize, f32)>,
}

impl Table {
    /// Loads the table, the tokens' weights and, where tokens share rows, which row a
    /// token has.
    pub(super) fn load(path: &Path, config: &ModelConfig) -> Result<Self, LoadError> {
        let (hidden, vocabulary) = (config.hidden, config.vocabulary);
        let (mut weights, name, [count, _]) = open(path)?;
        let mut rows = weights.matrix(name, count, hidden)?;
        rows.resize((count + 1) * hidden, 0.0);
        let places = match weights.has("mapping") {
            true => weights.indices("mapping", vocabulary, count)?,
            false => (0..count).collect(),
        };
        let factors = match weights.has("weights") {
            true => weights.vector("weights", vocabulary)?,
            false => vec![1.0; vocabulary],
        };
        let tokens = places.into_iter().zip(factors);
        let tokens = tokens.map(|(place, factor)| (place * hidden, factor));
        Ok(Self {
            hidden,
            rows,
            tokens: tokens.chain([(count * hidden, 1.0)]).collect(),
        })
    }
}

/// Opens a table's file: the table's name and its shape, `[rows, hidden]`.
fn open(path: &Path) -> Result<(Weights, &'static str, [usize; 2]), LoadError> {
    let (weights, name) = match Weights::open(path, &[""], NAMES[0]) {
        Ok(weights) => (weights, NAMES[0]),
        Err(LoadError::MissingTensor { .. }) => (Weights::open(path, &[""], NAMES[1])?, NAMES[1]),
        Err(error) => return Err(error),
    };
    let shape = match weights.shape(name) {
        Some([rows, hidden]) => [*rows, *hidden],
        _ => return Err(weights.refused(name, "it must have two dimensions")),
    };
    Ok((weights, name, shape))
}

/// The tokens that a table's file is for, and the length of its rows.
pub(crate) fn shape(path: &Path) -> Result<[usize; 2], LoadError> {
    let (weights, _, [rows, hidden]) = open(path)?;
    match weights.shape("mapping") {
        Some([vocabulary]) => Ok([*vocabulary, hidden]),
        Some(_) => Err(weights.refused("mapping", "it must have one dimension")),
        None => Ok([rows, hidden]),
    }
}

impl Architecture for Table {
    fn hidden(&self) -> usize {
        self.hidden
    }

    fn forward(
        &self,
        group: &Ragged,
        scratch: &mut Scratch,
        _keep_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), EncodeError> {
        let values = group.tokens() * self.hidden;
        if scratch.hidden.len() < values {
            scratch.hidden.resize(values, 0.0);
        }
        let ids = group.sequences().flat_map(|(_, ids)| ids);
        let rows = scratch.hidden.chunks_exact_mut(self.hidden);
        for (row, id) in rows.zip(ids) {
            let (start, factor) = self.tokens[*id as usize];
            row.copy_from_slice(&self.rows[start..start + self.hidden]);
            row.iter_mut().for_each(|value| *value *= factor);
        }
        Ok(())
    }
}
