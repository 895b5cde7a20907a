//! What all providers have in common: requests of the right size, sent again when that
//! helps, within limits of rate, number, time and bytes.

use std::{io, path::Path, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::{Client, Url};
use signalbox_chassis::config::Secret;
use signalbox_encoder::InputType;
use tokio::time::{Instant, sleep};

use super::{
    Api, Batch, RemoteConfig, RemoteConfigError, RemoteError, batches, retry, room::Room, setup,
};
use crate::{
    model::ModelCard,
    request::{Embedded, WhenFull},
    revision, telemetry,
};

/// What a caller is told to wait where too many wait already.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A model that is asked over HTTP.
pub struct Remote {
    pub(super) name: String,
    pub(super) config: RemoteConfig,
    pub(super) api: &'static dyn Api,
    pub(super) client: Client,
    pub(super) url: Url,
    pub(super) key: Option<Secret>,
    pub(super) room: Room,
    pub(super) rate: Option<DefaultDirectRateLimiter>,
}

/// How a call to a remote model is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What the texts are for.
    pub input_type: InputType,
    /// Nobody waits for it: it has half of the places, and `timeout_ms` for each request
    /// instead of for the call.
    pub bulk: bool,
    /// What happens where too many calls wait already.
    pub when_full: WhenFull,
}

impl Remote {
    /// A remote model of this name over one HTTP client with a pool of connections.
    pub(super) fn new(
        name: &str,
        config: &RemoteConfig,
        environment: impl Fn(&str) -> Option<String>,
        read: impl Fn(&Path) -> io::Result<String>,
    ) -> Result<Self, RemoteConfigError> {
        setup::check(name, config)?;
        let url = setup::endpoint(name, config)?;
        Ok(Self {
            name: name.to_owned(),
            api: config.kind.api(),
            client: setup::client(name, config, &url)?,
            url,
            key: setup::key(name, config, environment, read)?,
            room: Room::new(config),
            rate: config
                .requests_per_minute
                .map(|rate| RateLimiter::direct(Quota::per_minute(rate))),
            config: config.clone(),
        })
    }

    /// What the model takes and gives. Its revision says which model of which server it
    /// is: that a provider puts other weights behind a name is not seen from here.
    pub fn card(&self) -> ModelCard {
        let config = &self.config;
        let mut matryoshka = config.matryoshka_dimensions.clone();
        matryoshka.sort_unstable();
        matryoshka.dedup();
        let dimensions = config.dimensions.to_string();
        ModelCard {
            name: self.name.clone(),
            revision: revision::of_parts(&[self.url.as_str(), &config.model, &dimensions]),
            dimensions: config.dimensions,
            matryoshka,
            max_input_tokens: config.max_input_tokens,
            // The provider's own matter.
            pooling: String::new(),
            license: config.license.clone(),
        }
    }

    /// Embeds the texts, in order: vectors `[dimensions]` of length 1. Dropping the
    /// future gives up the requests that are on their way.
    ///
    /// The provider counts the tokens of a request, not of a text: each text's tokens
    /// are its share by length, and only their sum is the provider's.
    ///
    /// # Errors
    ///
    /// [`RemoteError`], after as many retries as help.
    pub async fn embed(&self, texts: &[&str], terms: Terms) -> Result<Vec<Embedded>, RemoteError> {
        let full = || RemoteError::Full {
            model: self.name.clone(),
            retry_after: RETRY_AFTER,
        };
        let _entered = self.room.enter(terms.when_full).ok_or_else(full)?;
        let deadline = (!terms.bulk).then(|| Instant::now() + self.config.timeout());
        let most = self.config.max_batch.map_or(usize::MAX, |most| most.get());
        let most = most.min(self.api.max_batch());
        let most_bytes = self.config.max_batch_bytes.get();
        let dimensions = self
            .config
            .send_dimensions
            .then_some(self.config.dimensions);
        let requests: Vec<_> = batches::batches(texts, most, most_bytes)
            .map(|(first, texts)| {
                let batch = Batch {
                    texts,
                    input_type: terms.input_type,
                    dimensions,
                };
                self.ask(first, batch, deadline)
            })
            .collect();
        let answers: Vec<Vec<Embedded>> = stream::iter(requests)
            .buffered(self.config.max_concurrent_requests.get())
            .try_collect()
            .await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// One request, sent again while that helps and there is time.
    async fn ask(
        &self,
        first: usize,
        batch: Batch<'_>,
        deadline: Option<Instant>,
    ) -> Result<Vec<Embedded>, RemoteError> {
        let body = self.api.request(&self.config.model, &batch);
        let first_delay = Duration::from_millis(self.config.retry_delay_ms);
        let mut retries = 0;
        loop {
            let failure = match self.attempt(first, &batch, &body, deadline).await {
                Ok(answer) => {
                    telemetry::remote_request(&self.name, "ok");
                    return Ok(batches::embedded(&batch, answer));
                }
                Err(failure) => failure,
            };
            telemetry::remote_request(&self.name, failure.error.kind());
            let share = rand::random();
            let wait = retry::delay(first_delay, retries, failure.retry_after, share);
            let end = deadline.unwrap_or_else(|| Instant::now() + self.config.timeout());
            let in_time = Instant::now()
                .checked_add(wait)
                .is_some_and(|then| then < end);
            if !failure.passing || retries >= self.config.max_retries || !in_time {
                self.log(&failure.error);
                return Err(failure.error);
            }
            tracing::debug!(
                model = self.name,
                error = ?failure.error,
                wait_ms = wait.as_millis() as u64,
                "a remote embedding request is sent again"
            );
            sleep(wait).await;
            retries += 1;
        }
    }

    /// What an operator should read. The fields have what callers are not told; a
    /// provider's word on a caller's texts is the caller's alone.
    fn log(&self, error: &RemoteError) {
        let model = &self.name;
        match error {
            RemoteError::Rejected { .. } => {}
            RemoteError::Unauthorized { .. } | RemoteError::Misconfigured { .. } => {
                tracing::error!(model, ?error, "a remote model is not set up right");
            }
            _ => tracing::warn!(model, ?error, "a remote embedding request failed"),
        }
    }
}
