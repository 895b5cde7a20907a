//! Finds the model, checks the request against it, and finds a worker.
//!
//! Work blocks a thread, so it must not run on the runtime's own. A request first
//! takes a place (or is refused at once: a line that only grows helps nobody), then
//! waits for a worker, then runs on a blocking thread. A caller that goes away drops
//! the future, which stops the work within a layer's time.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use signalbox_encoder::{Encoder, EncoderOptions, LoadError};
use tokio::{sync::Semaphore, task, time::Instant};
use tracing::Instrument as _;

use crate::{
    config::EmbeddingsConfig,
    model::{Model, ModelCard},
    request::{EmbedError, EmbedRequest, EmbedResponse, Embedded},
    telemetry,
};

/// What a refused caller is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why the engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The model's folder is not right.
    #[error("model `{model}` cannot be loaded: {source}")]
    Model {
        /// The model's name.
        model: String,
        /// What is wrong.
        source: LoadError,
    },
    /// The runtime stopped meanwhile.
    #[error("loading was interrupted")]
    Interrupted,
}

/// Loaded models and the room to run them. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    models: BTreeMap<String, Loaded>,
    max_inputs: usize,
    /// Requests at work and waiting.
    places: Arc<Semaphore>,
    all_places: usize,
    /// Requests at work.
    workers: Arc<Semaphore>,
}

struct Loaded {
    card: ModelCard,
    name: Arc<str>,
    model: Arc<dyn Model>,
}

/// Loads the configured model from its folder, `model_dir`.
///
/// # Errors
///
/// [`StartError`] names the file at fault and what to do about it.
pub async fn load(config: &EmbeddingsConfig, model_dir: &Path) -> Result<Engine, StartError> {
    let options = EncoderOptions {
        threads: config.workers(),
        group_tokens: config.max_batch_tokens,
        arithmetic: config.arithmetic.into(),
    };
    let dir = model_dir.to_owned();
    let encoder = task::spawn_blocking(move || Encoder::load_with(&dir, options))
        .await
        .map_err(|_| StartError::Interrupted)?
        .map_err(|source| StartError::Model {
            model: config.model.clone(),
            source,
        })?;
    let info = encoder.info();
    let card = ModelCard {
        name: config.model.clone(),
        dimensions: u32::try_from(info.dimensions).unwrap_or(u32::MAX),
        max_input_tokens: u32::try_from(info.max_tokens).unwrap_or(u32::MAX),
        pooling: info.pooling.as_str().to_owned(),
        license: config.license.clone(),
    };
    Ok(Engine::new(config, [(card, Arc::new(encoder) as _)]))
}

impl Engine {
    /// An engine over these models.
    pub fn new(
        config: &EmbeddingsConfig,
        models: impl IntoIterator<Item = (ModelCard, Arc<dyn Model>)>,
    ) -> Self {
        let models = models
            .into_iter()
            .map(|(card, model)| {
                let name = card.name.as_str().into();
                (card.name.clone(), Loaded { card, name, model })
            })
            .collect();
        let workers = config.workers().get().min(Semaphore::MAX_PERMITS);
        let all_places = workers
            .saturating_add(config.max_waiting)
            .min(Semaphore::MAX_PERMITS);
        Self {
            inner: Arc::new(Inner {
                models,
                max_inputs: config.max_inputs.get(),
                places: Arc::new(Semaphore::new(all_places)),
                all_places,
                workers: Arc::new(Semaphore::new(workers)),
            }),
        }
    }

    /// The models, by name.
    pub fn models(&self) -> impl Iterator<Item = &ModelCard> {
        self.inner.models.values().map(|loaded| &loaded.card)
    }

    /// Whether no request is at work or waiting.
    pub fn is_idle(&self) -> bool {
        self.inner.places.available_permits() == self.inner.all_places
    }

    /// Embeds the inputs. Dropping the future stops the work.
    ///
    /// # Errors
    ///
    /// [`EmbedError`] says what is wrong with the request, or that there is no room.
    pub async fn embed(&self, request: EmbedRequest) -> Result<EmbedResponse, EmbedError> {
        request.check(self.inner.max_inputs)?;
        let loaded = self.find(&request.model)?;
        check_dimensions(&loaded.card, request.dimensions)?;

        let span = telemetry::span(&loaded.name, request.inputs.len(), &request.user);
        let result = self.run(loaded, request).instrument(span.clone()).await;
        match &result {
            Ok((_, done)) => done.report(&span, &loaded.name),
            Err(error) => {
                span.record("error.type", error.kind());
            }
        }
        result.map(|(response, _)| response)
    }

    fn find(&self, name: &str) -> Result<&Loaded, EmbedError> {
        let missing = || EmbedError::UnknownModel {
            name: name.to_owned(),
            available: self.inner.models.keys().cloned().collect(),
        };
        self.inner.models.get(name).ok_or_else(missing)
    }

    async fn run(
        &self,
        loaded: &Loaded,
        request: EmbedRequest,
    ) -> Result<(EmbedResponse, telemetry::Done), EmbedError> {
        let arrived = Instant::now();
        let Ok(place) = Arc::clone(&self.inner.places).try_acquire_owned() else {
            telemetry::overloaded(&loaded.name);
            return Err(EmbedError::Overloaded {
                retry_after: RETRY_AFTER,
            });
        };
        let worker = Arc::clone(&self.inner.workers)
            .acquire_owned()
            .await
            .map_err(|_| EmbedError::Cancelled)?;
        let started = Instant::now();

        let guard = CancelOnDrop(Arc::new(AtomicBool::new(false)));
        let cancel = Arc::clone(&guard.0);
        let model = Arc::clone(&loaded.model);
        let span = tracing::Span::current();
        let work = task::spawn_blocking(move || {
            // Held until the work has really ended, even if the caller is gone.
            let _room = (place, worker);
            span.in_scope(|| model.embed(&request.inputs, &cancel))
        });
        let data = work
            .await
            .map_err(|_| EmbedError::Failed("a worker stopped unexpectedly".to_owned()))??;
        drop(guard);

        let done = telemetry::Done {
            inputs: data.len(),
            tokens: data.iter().map(|embedded| embedded.tokens).sum(),
            truncated: count_truncated(&data),
            waited: started - arrived,
            worked: started.elapsed(),
        };
        let response = EmbedResponse {
            model: Arc::clone(&loaded.name),
            tokens: done.tokens,
            data,
        };
        Ok((response, done))
    }
}

/// Sets its flag when the future that holds it is dropped.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn count_truncated(data: &[Embedded]) -> usize {
    data.iter().filter(|embedded| embedded.truncated).count()
}

/// A model that was not trained so that its leading dimensions stand alone
/// (matryoshka, arXiv 2205.13147) has its own size only.
fn check_dimensions(card: &ModelCard, wanted: Option<u32>) -> Result<(), EmbedError> {
    match wanted {
        Some(wanted) if wanted != card.dimensions => {
            let fix = format!(
                "is {wanted}; `{}` has {} dimensions and cannot be shortened: leave this out \
                 or send {}",
                card.name, card.dimensions, card.dimensions
            );
            Err(EmbedError::invalid("dimensions", fix))
        }
        _ => Ok(()),
    }
}
