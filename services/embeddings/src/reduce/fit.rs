//! Fitting a reduction to a user's own corpus.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use signalbox_encoder::InputType;
use tokio::task;

use super::{
    Reduction, Reductions,
    pca::{MAX_INPUT, Pca},
    registry::Fitted,
};
use crate::{
    engine::Engine,
    model::ModelCard,
    request::{EmbedError, EmbedRequest, Inputs, Terms},
};

/// What a refused caller is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What a reduction is fitted to.
#[derive(Clone, Debug, PartialEq)]
pub enum Corpus {
    /// Texts, which are embedded first.
    Texts(Vec<String>),
    /// Vectors that the model has given.
    Vectors(Vec<Vec<f32>>),
}

/// A reduction to fit.
#[derive(Clone, Debug)]
pub struct NewReduction {
    /// Whose it will be.
    pub owner: Arc<str>,
    /// Its name.
    pub name: String,
    /// The model's name.
    pub model: String,
    /// Length of the vectors that come out.
    pub dimensions: u32,
    /// What the texts are for.
    pub input_type: InputType,
    /// What it is fitted to.
    pub corpus: Corpus,
    /// How urgently the texts are embedded.
    pub terms: Terms,
}

/// Fits principal components to the corpus, keeps them as the next version of their
/// name, and tells about them.
///
/// # Errors
///
/// [`EmbedError`] names the field at fault, or says that a fit is under way.
pub async fn fit(
    engine: &Engine,
    reductions: &Reductions,
    new: NewReduction,
) -> Result<Reduction, EmbedError> {
    reductions.check_name(&new.name)?;
    let card = engine.card(&new.model)?.clone();
    check_size(&card, new.dimensions, &new.corpus)?;
    let bytes = 4 * u64::from(card.dimensions) * (1 + u64::from(new.dimensions));
    reductions.check_room(&new.owner, bytes)?;
    let _one = reductions
        .fits()
        .try_acquire()
        .map_err(|_| EmbedError::Overloaded {
            retry_after: RETRY_AFTER,
        })?;
    let vectors = match new.corpus {
        Corpus::Vectors(vectors) => {
            check_vectors(&card, &vectors)?;
            vectors
        }
        Corpus::Texts(texts) => {
            let request = EmbedRequest {
                input_type: new.input_type,
                terms: new.terms,
                ..EmbedRequest::new(new.model, Inputs::Texts(texts))
            };
            let data = engine.embed(request).await?.data;
            data.into_iter().map(|embedded| embedded.vector).collect()
        }
    };
    let fitted_to = u32::try_from(vectors.len()).unwrap_or(u32::MAX);
    let dimensions = new.dimensions as usize;
    let pca = task::spawn_blocking(move || Pca::fit(&vectors, dimensions)).await;
    let stopped = |_| EmbedError::Failed("a fit stopped unexpectedly".to_owned());
    reductions
        .keep(Fitted {
            caller: new.owner.to_string(),
            name: new.name,
            // Given when it is kept.
            version: 0,
            model: card.name,
            revision: card.revision,
            fitted_to,
            created: now(),
            pca: Arc::new(pca.map_err(stopped)?),
        })
        .await
}

/// In whole milliseconds, as it is kept on disk.
fn now() -> SystemTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn check_size(card: &ModelCard, wanted: u32, corpus: &Corpus) -> Result<(), EmbedError> {
    let full = card.dimensions;
    if full as usize > MAX_INPUT {
        let fix = format!(
            "`{}` has {full} dimensions; reductions are fitted to at most {MAX_INPUT}",
            card.name
        );
        return Err(EmbedError::invalid("model", fix));
    }
    if !(1..=full).contains(&wanted) {
        let fix = format!("is {wanted}; send 1 to {full}, what `{}` has", card.name);
        return Err(EmbedError::invalid("dimensions", fix));
    }
    let (field, count) = match corpus {
        Corpus::Texts(texts) => ("input", texts.len()),
        Corpus::Vectors(vectors) => ("vectors", vectors.len()),
    };
    // n points span n - 1 directions.
    if count <= wanted as usize {
        let fix = format!(
            "has {count} entries; {wanted} dimensions need at least {} of them",
            wanted + 1
        );
        return Err(EmbedError::invalid(field, fix));
    }
    Ok(())
}

fn check_vectors(card: &ModelCard, vectors: &[Vec<f32>]) -> Result<(), EmbedError> {
    let length = card.dimensions as usize;
    for (index, vector) in vectors.iter().enumerate() {
        if vector.len() != length {
            let fix = format!(
                "has {} numbers; vectors of `{}` have {length}",
                vector.len(),
                card.name
            );
            return Err(EmbedError::invalid(format!("vectors[{index}]"), fix));
        }
        // As long as a unit vector, about: covariances stay far from overflow.
        if !vector.iter().all(|value| value.abs() <= 1e6) {
            let fix = "holds a number that is none or is above 1,000,000";
            return Err(EmbedError::invalid(format!("vectors[{index}]"), fix));
        }
    }
    Ok(())
}
