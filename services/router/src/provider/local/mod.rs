//! A small language model inside this process, so that Signalbox answers with no
//! account, no server and no network: a GGUF file, run on the CPU by candle's
//! quantized llama.
//!
//! Generation is minutes of arithmetic, so none of it happens on the async runtime:
//! a few worker threads take jobs from a bounded queue, and a full queue is a typed
//! refusal. A caller that leaves is noticed before the next token, and between the
//! chunks of a long prompt.
//!
//! The model's chat template knows `system`, `user` and `assistant`. It was never
//! trained on tool results, so a `tool` message is given to it as the user's; a
//! message's `name` is not part of the template and is left out.

mod config;
mod error;
mod generate;
mod loader;
mod model;
mod prompt;
mod queue;
mod sampler;
mod stats;
mod stop;
mod template;
mod threads;
mod tokenizer;
mod utf8;
mod weights;
mod worker;

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

pub use config::{LoadPolicy, LocalConfig};
pub use error::LoadError;
pub use stats::LocalStats;

use self::{
    generate::Limits,
    loader::Loader,
    model::LanguageModel,
    prompt::PromptError,
    queue::{JobQueue, Refused},
    sampler::Sampler,
    stats::Counters,
    worker::{Job, Workers},
};
use super::{ChatFuture, ChatStream, Provider, ProviderError};
use crate::chat::ChatRequest;

/// What a caller learns of a [`LoadError`].
const NOT_LOADED: &str = "its model could not be loaded; the server's log says why";

/// Answers with a model that runs in this process.
pub struct LocalProvider {
    config: LocalConfig,
    name: Arc<str>,
    loader: Arc<Loader>,
    workers: Workers,
    counters: Arc<Counters>,
}

impl LocalProvider {
    /// A provider of this name over the model at `config.path`. Returns at once: the file is read
    /// on a thread of its own, from now on or at the first request as `config.load`
    /// says, and a request that comes meanwhile waits for it.
    pub fn new(name: &str, config: LocalConfig) -> Self {
        let name: Arc<str> = name.into();
        let counters = Arc::new(Counters::new(name.clone()));
        let loader = Arc::new(Loader::new(config.path.clone(), name.clone()));
        if config.load == LoadPolicy::Eager {
            loader.start();
        }
        let queue = JobQueue::new(config.max_concurrent.get(), config.max_queue);
        Self {
            workers: Workers::new(Arc::new(queue), counters.clone()),
            config,
            name,
            loader,
            counters,
        }
    }

    /// What the workers have done so far and do now.
    pub fn stats(&self) -> LocalStats {
        self.counters.snapshot()
    }

    /// Waits until the model is loaded, starting that if nobody has.
    ///
    /// # Errors
    /// Why the file could not be loaded.
    pub async fn ready(&self) -> Result<(), LoadError> {
        self.loader.model().await.map(drop)
    }

    async fn start(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        let model = self
            .loader
            .model()
            .await
            // Its text names a file of this machine: the loader has logged it.
            .map_err(|_| self.failed(NOT_LOADED))?;
        let context = model.context_limit(self.config.context_tokens.get());
        let (model, prompt, sampling) = tokio::task::spawn_blocking(move || {
            let prompt = model.encode(&request.messages, context);
            (model, prompt, request.sampling)
        })
        .await
        .map_err(|error| {
            tracing::error!(%error, "the prompt's tokenization ended");
            self.failed("its prompt could not be read; the server's log says why")
        })?;
        let prompt = prompt.map_err(|error| self.rejected(&error))?;

        let room = context - prompt.len();
        let wanted = sampling
            .max_tokens
            .unwrap_or(self.config.default_max_tokens);
        let limits = Limits {
            max_tokens: usize::try_from(wanted).unwrap_or(usize::MAX).min(room),
            stop: sampling.stop.clone(),
        };
        let sampler = Sampler::new(
            &sampling,
            self.config.default_temperature,
            self.config.default_top_p,
        );
        self.submit(model, prompt, limits, sampler)
    }

    fn submit(
        &self,
        model: Arc<LanguageModel>,
        prompt: Vec<u32>,
        limits: Limits,
        sampler: Sampler,
    ) -> Result<ChatStream, ProviderError> {
        let (events, answer) = mpsc::unbounded_channel();
        let job = Job {
            model,
            provider: self.name.clone(),
            prompt,
            limits,
            sampler,
            events,
            span: tracing::info_span!(
                "local_generate",
                prompt_tokens = tracing::field::Empty,
                generated_tokens = tracing::field::Empty,
                cancelled = tracing::field::Empty,
            ),
        };
        self.workers
            .submit(job)
            .map_err(|refused| self.refused(&refused))?;
        Ok(UnboundedReceiverStream::new(answer).boxed())
    }

    fn failed(&self, error: impl ToString) -> ProviderError {
        ProviderError::Failed {
            provider: self.name.to_string(),
            detail: error.to_string(),
        }
    }

    fn refused(&self, refused: &Refused) -> ProviderError {
        match refused {
            Refused::Full { .. } => ProviderError::Overloaded {
                provider: self.name.to_string(),
                detail: refused.to_string(),
                retry_after: Some(self.counters.last_answer().max(Duration::from_secs(1))),
            },
            Refused::Closed => self.failed(refused),
        }
    }

    fn rejected(&self, error: &PromptError) -> ProviderError {
        ProviderError::Rejected {
            provider: self.name.to_string(),
            field: Some("messages".to_owned()),
            detail: error.to_string(),
        }
    }
}

impl Provider for LocalProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn chat(&self, request: ChatRequest) -> ChatFuture<'_> {
        Box::pin(self.start(request))
    }
}
