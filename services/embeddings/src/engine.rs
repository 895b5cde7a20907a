//! Finds the model, checks the request against it, and has it computed.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use signalbox_encoder::{Encoder, EncoderOptions, InputType, LoadError};
use tokio::{
    task,
    time::{self, Instant},
};
use tracing::Instrument as _;

use crate::{
    cache::{Cache, CacheError, KeyPrefix},
    config::{EmbeddingsConfig, ServedModel},
    model::{Backend, Model, ModelCard},
    reduce::{Reductions, ReductionsError},
    remote::{self, Remote, RemoteConfigError, RemoteError},
    request::{
        EmbedError, EmbedRequest, EmbedResponse, Embedded, InputLimits, Inputs, Priority, Terms,
    },
    revision,
    scheduler::{BulkPlace, Computed, ModelId, Phases, Scheduler, Submission, estimate},
    telemetry,
};

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
    /// A remote model's configuration is not right.
    #[error(transparent)]
    Remote(#[from] RemoteConfigError),
    /// No model is configured.
    #[error("embeddings.model: is empty and there is no other; name a model or a remote one")]
    NoModel,
    /// Two models have the same name.
    #[error(
        "embeddings: `{model}` is there twice among model, models and remote_models; give each \
         model a name of its own"
    )]
    Twice {
        /// The name.
        model: String,
    },
    /// The system starts no more threads.
    #[error("threads cannot be started: {0}; lower embeddings.worker_threads")]
    Threads(std::io::Error),
    /// The cache's configuration is not right.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The reductions cannot be opened.
    #[error(transparent)]
    Reductions(#[from] ReductionsError),
    /// The runtime stopped meanwhile.
    #[error("loading was interrupted")]
    Interrupted,
}

/// Loaded models and the threads that run them. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    models: BTreeMap<String, Loaded>,
    limits: InputLimits,
    cache: Cache,
    reductions: Reductions,
    stream_window: usize,
    scheduler: Scheduler,
}

struct Loaded {
    card: ModelCard,
    name: Arc<str>,
    /// What vectors depend on beside the model, for the cache.
    options: &'static str,
    place: Place,
}

/// Who computes a model.
enum Place {
    Local(ModelId),
    Remote(Arc<Remote>),
}

/// Loads the configured models, each from the folder of its name in `models_dir`, and
/// sets up the remote ones. `environment` gives the value of an environment variable.
///
/// # Errors
///
/// [`StartError`] names the file or the setting at fault and what to do about it.
pub async fn load(
    config: &EmbeddingsConfig,
    models_dir: &Path,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Engine, StartError> {
    let mut models: Vec<(ModelCard, Backend)> = Vec::new();
    // First what takes no time.
    for (name, remote) in &config.remote_models {
        let remote = remote::build(name, remote, &environment)?;
        models.push((remote.card(), remote.into()));
    }
    for served in config.served() {
        if config.remote_models.contains_key(&served.name) {
            let model = served.name;
            return Err(StartError::Twice { model });
        }
        let (card, model) = load_model(config, &served, models_dir).await?;
        models.push((card, model.into()));
    }
    if models.is_empty() {
        return Err(StartError::NoModel);
    }
    Engine::new(config, models)
}

async fn load_model(
    config: &EmbeddingsConfig,
    served: &ServedModel,
    models_dir: &Path,
) -> Result<(ModelCard, Arc<dyn Model>), StartError> {
    let options = EncoderOptions {
        // The scheduler computes one batch on each thread.
        threads: NonZeroUsize::MIN,
        group_tokens: config.max_batch_tokens,
        arithmetic: config.arithmetic,
    };
    let dir = models_dir.join(&served.name);
    let same_dir = dir.clone();
    let encoder = task::spawn_blocking(move || Encoder::load_with(&dir, options));
    // Beside the loading: weights that no pull has checked are read once more.
    let revision = task::spawn_blocking(move || revision::of(&same_dir));
    let encoder = encoder
        .await
        .map_err(|_| StartError::Interrupted)?
        .map_err(|source| StartError::Model {
            model: served.name.clone(),
            source,
        })?;
    let info = encoder.info();
    let mut matryoshka: Vec<u32> = (info.matryoshka_dimensions.iter())
        .filter_map(|length| u32::try_from(*length).ok())
        .collect();
    matryoshka.sort_unstable();
    let card = ModelCard {
        name: served.name.clone(),
        revision: revision.await.map_err(|_| StartError::Interrupted)?,
        matryoshka,
        dimensions: u32::try_from(info.dimensions).unwrap_or(u32::MAX),
        max_input_tokens: u32::try_from(info.max_tokens).unwrap_or(u32::MAX),
        pooling: info.pooling.as_str().to_owned(),
        license: served.license.clone(),
    };
    Ok((card, Arc::new(encoder)))
}

impl Engine {
    /// An engine over these models. With a Redis configured, to be called within a
    /// tokio runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`] if two have one name, no thread can be started, or the cache or
    /// the reductions cannot be opened.
    pub fn new<B: Into<Backend>>(
        config: &EmbeddingsConfig,
        models: impl IntoIterator<Item = (ModelCard, B)>,
    ) -> Result<Self, StartError> {
        let mut by_name = BTreeMap::new();
        let mut engines = Vec::new();
        for (card, backend) in models {
            let (place, options) = match backend.into() {
                Backend::Local(model) => {
                    engines.push(model);
                    (Place::Local(engines.len() - 1), config.arithmetic.as_str())
                }
                Backend::Remote(remote) => (Place::Remote(remote), ""),
            };
            let loaded = Loaded {
                name: card.name.as_str().into(),
                card,
                options,
                place,
            };
            if let Some(other) = by_name.insert(loaded.card.name.clone(), loaded) {
                let model = other.card.name;
                return Err(StartError::Twice { model });
            }
        }
        let scheduler =
            Scheduler::new(config.scheduling(), engines).map_err(StartError::Threads)?;
        Ok(Self {
            inner: Arc::new(Inner {
                models: by_name,
                limits: InputLimits {
                    inputs: config.max_inputs.get(),
                    text_bytes: config.max_text_bytes.get(),
                },
                cache: Cache::new(&config.cache)?,
                reductions: Reductions::open(&config.reductions)?,
                stream_window: config.stream_window.get(),
                scheduler,
            }),
        })
    }

    /// The models, by name.
    pub fn models(&self) -> impl Iterator<Item = &ModelCard> {
        self.inner.models.values().map(|loaded| &loaded.card)
    }

    /// The model of this name.
    ///
    /// # Errors
    ///
    /// When there is none; the error lists those that there are.
    pub fn card(&self, name: &str) -> Result<&ModelCard, EmbedError> {
        Ok(&self.find(name)?.card)
    }

    /// The reductions of all callers.
    pub fn reductions(&self) -> &Reductions {
        &self.inner.reductions
    }

    /// Most inputs in one request.
    pub fn max_inputs(&self) -> usize {
        self.inner.limits.inputs
    }

    /// Whether no request is at work or waiting.
    pub fn is_idle(&self) -> bool {
        self.inner.scheduler.is_idle()
    }

    /// Takes a place for bulk work that comes bit by bit, such as a job's, waiting until
    /// there is one. With it in their terms, requests need no room of their own.
    ///
    /// # Errors
    ///
    /// [`EmbedError::Cancelled`] when the service is stopping.
    pub async fn bulk_place(&self) -> Result<BulkPlace, EmbedError> {
        self.inner.scheduler.place().await
    }

    /// Whether texts of so many tokens are bulk work, whoever asks.
    pub(crate) fn is_bulk(&self, tokens: usize) -> bool {
        self.inner.scheduler.is_bulk(tokens)
    }

    /// Whether the model of this name is computed by a provider.
    pub(crate) fn is_remote(&self, name: &str) -> bool {
        let loaded = self.inner.models.get(name);
        loaded.is_some_and(|loaded| matches!(loaded.place, Place::Remote(_)))
    }

    /// Texts of one stream that are embedded at a time.
    pub(crate) fn stream_window(&self) -> usize {
        self.inner.stream_window
    }

    /// Embeds the inputs. Dropping the future stops the work.
    ///
    /// # Errors
    ///
    /// [`EmbedError`] says what is wrong with the request, or that there is no room.
    pub async fn embed(&self, request: EmbedRequest) -> Result<EmbedResponse, EmbedError> {
        request.check(self.inner.limits)?;
        let loaded = self.find(&request.model)?;
        if let (Place::Remote(_), Inputs::TokenIds(_)) = (&loaded.place, &request.inputs) {
            let field = format!("{}[0]", request.inputs.field());
            let fix = "is of token ids, and the model's vocabulary is its provider's; send texts";
            return Err(EmbedError::invalid(field, fix));
        }
        let plan = self.inner.reductions.plan(
            &loaded.card,
            &request.owner,
            request.dimensions,
            &request.reduction,
        )?;

        let span = telemetry::span(&loaded.name, request.inputs.len(), &request.user);
        let result = self.run(loaded, request).instrument(span.clone()).await;
        match &result {
            Ok(response) => telemetry::done(&span, response),
            Err(error) => {
                span.record("error.type", error.kind());
                if let EmbedError::Overloaded { .. }
                | EmbedError::Remote(RemoteError::Overloaded { .. }) = error
                {
                    telemetry::overloaded(&loaded.name);
                }
            }
        }
        let response = result?;
        Ok(EmbedResponse {
            reduction: plan.id().map(str::to_owned),
            data: plan.apply(response.data).await?,
            ..response
        })
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
    ) -> Result<EmbedResponse, EmbedError> {
        let arrived = Instant::now();
        let card = &loaded.card;
        let dimensions = card.dimensions as usize;
        let (name, revision) = (&card.name, &card.revision);
        let (input_type, options) = (request.input_type, loaded.options);
        let prefix = KeyPrefix::new(name, revision, dimensions, input_type, options);
        let inputs = Arc::new(request.inputs);
        let phases = Mutex::new(Phases::default());
        let phases_now = || phases.lock().unwrap_or_else(PoisonError::into_inner);
        let submit = async |positions: Vec<usize>| {
            let terms = request.terms.clone();
            let computed = match &loaded.place {
                Place::Local(model) => {
                    let submission = Submission {
                        model: *model,
                        max_tokens: card.max_input_tokens as usize,
                        inputs: Arc::clone(&inputs),
                        input_type,
                        select: (positions.len() < inputs.len()).then_some(positions),
                        terms,
                    };
                    self.inner.scheduler.submit(submission).await?
                }
                Place::Remote(remote) => {
                    self.ask(remote, &inputs, &positions, input_type, &terms)
                        .await?
                }
            };
            *phases_now() = computed.phases;
            Ok(computed.data)
        };
        let cache = &self.inner.cache;
        let priority = match request.terms.place {
            Some(_) => Priority::Bulk,
            None => request.terms.priority,
        };
        let data = cache.embed(&prefix, &inputs, priority, submit).await?;
        Ok(EmbedResponse {
            model: Arc::clone(&loaded.name),
            reduction: None,
            tokens: count_tokens(&data),
            data,
            phases: Phases {
                total: arrived.elapsed(),
                ..*phases_now()
            },
        })
    }

    /// Has a provider compute the texts at these positions.
    async fn ask(
        &self,
        remote: &Remote,
        inputs: &Inputs,
        positions: &[usize],
        input_type: InputType,
        terms: &Terms,
    ) -> Result<Computed, EmbedError> {
        let begun = Instant::now();
        let texts = inputs.texts();
        let texts = positions.iter().filter_map(|at| texts.get(*at));
        let texts: Vec<&str> = texts.map(String::as_str).collect();
        let tokens = texts.iter().map(|text| estimate(text)).sum();
        let bulk = terms.place.is_some() || terms.priority == Priority::Bulk;
        let how = remote::Terms {
            input_type,
            bulk: bulk || self.is_bulk(tokens),
            when_full: terms.when_full,
        };
        let work = remote.embed(&texts, how);
        let answer = match terms.deadline {
            Some(deadline) => time::timeout_at(deadline, work)
                .await
                .map_err(|_| EmbedError::DeadlineExceeded)?,
            None => work.await,
        };
        Ok(Computed {
            data: answer.map_err(|error| error.at(positions))?,
            phases: Phases {
                infer: begun.elapsed(),
                ..Phases::default()
            },
        })
    }
}

fn count_tokens(data: &[Embedded]) -> u32 {
    let tokens = data.iter().map(|embedded| embedded.tokens);
    tokens.fold(0, u32::saturating_add)
}
