//! What all providers have in common: requests of the right size, sent again when that
//! helps, within limits of rate, number, time and bytes.

use std::{io, path::Path, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock as _};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT, AUTHORIZATION},
};
use jiff::Timestamp;
use reqwest::{Client, Response, Url, redirect};
use signalbox_chassis::{config::Secret, telemetry::propagation};
use signalbox_encoder::InputType;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout_at},
};

use super::{
    Answer, Api, Batch, EmbedFuture, RemoteConfig, RemoteConfigError, RemoteError, RemoteModel,
    error::describe, retry,
};
use crate::request::Embedded;

/// Most bytes of an error's body that are read.
const MAX_ERROR_BYTES: usize = 16 << 10;
/// Most characters of a provider's message that are passed on.
const MAX_DETAIL_CHARS: usize = 500;

/// A model that is asked over HTTP.
pub struct Remote {
    name: String,
    config: RemoteConfig,
    api: &'static dyn Api,
    client: Client,
    url: Url,
    key: Option<Secret>,
    /// Requests on their way.
    places: Arc<Semaphore>,
    rate: Option<DefaultDirectRateLimiter>,
}

/// Why one attempt failed, and whether another may succeed.
struct Failure {
    error: RemoteError,
    passing: bool,
    retry_after: Option<Duration>,
}

impl Remote {
    /// A remote model of this name over one HTTP client with a pool of connections.
    pub(super) fn new(
        name: &str,
        config: &RemoteConfig,
        environment: impl Fn(&str) -> Option<String>,
        read: impl Fn(&Path) -> io::Result<String>,
    ) -> Result<Self, RemoteConfigError> {
        let model = name.to_owned();
        if config.dimensions == 0 {
            return Err(RemoteConfigError::Dimensions { model });
        }
        let api = config.kind.api();
        let url = endpoint(name, config, api)?;
        let key = key(name, config, environment, read)?;
        let client = client(config, &url).map_err(|error| RemoteConfigError::Client {
            model,
            detail: describe(error),
        })?;
        let places = config.max_concurrent_requests.get();
        Ok(Self {
            name: name.to_owned(),
            api,
            client,
            url,
            key,
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            rate: config
                .requests_per_minute
                .map(|rate| RateLimiter::direct(Quota::per_minute(rate))),
            config: config.clone(),
        })
    }

    async fn embed_all(
        &self,
        texts: &[String],
        input_type: InputType,
        dimensions: Option<u32>,
    ) -> Result<Vec<Embedded>, RemoteError> {
        let deadline = Instant::now() + self.config.timeout();
        let dimensions = dimensions.filter(|wanted| *wanted != self.config.dimensions);
        let requests: Vec<_> = self
            .batches(texts)
            .map(|(first, texts)| {
                let batch = Batch {
                    texts,
                    input_type,
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

    /// The texts in runs that one request takes, each with the position of its first.
    fn batches<'a>(
        &self,
        texts: &'a [String],
    ) -> impl Iterator<Item = (usize, &'a [String])> + use<'a> {
        let most = self.config.max_batch.map_or(usize::MAX, |most| most.get());
        let most = most.min(self.api.max_batch());
        let most_bytes = self.config.max_batch_bytes.get();
        let mut start = 0;
        std::iter::from_fn(move || {
            let rest = texts.get(start..).filter(|rest| !rest.is_empty())?;
            let mut bytes = 0_usize;
            let fitting = rest.iter().take(most).take_while(|text| {
                bytes = bytes.saturating_add(text.len());
                bytes <= most_bytes
            });
            // A text that is too long alone is sent, for the provider to judge.
            let count = fitting.count().max(1);
            let first = start;
            start += count;
            Some((first, &rest[..count]))
        })
    }

    /// One request, sent again while that helps and there is time.
    async fn ask(
        &self,
        first: usize,
        batch: Batch<'_>,
        deadline: Instant,
    ) -> Result<Vec<Embedded>, RemoteError> {
        let body = self.api.request(&self.config.model, &batch);
        let first_delay = Duration::from_millis(self.config.retry_delay_ms);
        let mut retries = 0;
        loop {
            let attempt = self.attempt(first, &batch, &body, deadline);
            let failure = match timeout_at(deadline, attempt).await {
                Ok(Ok(answer)) => return Ok(embedded(&batch, answer)),
                Ok(Err(failure)) => failure,
                Err(_) => return Err(self.timeout()),
            };
            let share = rand::random();
            let wait = retry::delay(first_delay, retries, failure.retry_after, share);
            let in_time = Instant::now()
                .checked_add(wait)
                .is_some_and(|then| then < deadline);
            if !failure.passing || retries >= self.config.max_retries || !in_time {
                return Err(failure.error);
            }
            tracing::debug!(
                model = self.name,
                error = %failure.error,
                wait_ms = wait.as_millis() as u64,
                "a remote embedding request is sent again"
            );
            sleep(wait).await;
            retries += 1;
        }
    }

    async fn attempt(
        &self,
        first: usize,
        batch: &Batch<'_>,
        body: &serde_json::Value,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        // Never closed, so an error cannot happen; without a permit there is no limit.
        let _place = self.places.acquire().await.ok();
        self.wait_for_rate(deadline).await?;
        let sent = self
            .client
            .post(self.url.clone())
            .headers(self.headers())
            .json(body)
            .send();
        let mut response = sent.await.map_err(|error| Failure {
            error: RemoteError::Unreachable {
                model: self.name.clone(),
                detail: describe(error),
            },
            passing: true,
            retry_after: None,
        })?;
        if !response.status().is_success() {
            let body = beginning(&mut response).await;
            return Err(self.refused(first, batch, &response, &body));
        }
        let whole = self.whole(&mut response).await?;
        // Half a document is as passing as a connection that broke.
        let answer = self.api.read(&whole).map_err(|flaw| Failure {
            passing: true,
            ..self.broken(flaw)
        })?;
        self.check(batch, &answer)?;
        Ok(answer)
    }

    /// Waits until our own rate allows a request, or says at once that it will not in
    /// time.
    async fn wait_for_rate(&self, deadline: Instant) -> Result<(), Failure> {
        let Some(rate) = &self.rate else {
            return Ok(());
        };
        while let Err(not_until) = rate.check() {
            let wait = not_until.wait_time_from(rate.clock().now());
            if Instant::now() + wait >= deadline {
                return Err(Failure {
                    error: RemoteError::Overloaded {
                        model: self.name.clone(),
                        detail: "its requests_per_minute are used up".to_owned(),
                        retry_after: Some(wait),
                    },
                    passing: false,
                    retry_after: None,
                });
            }
            sleep(wait).await;
        }
        Ok(())
    }

    /// The body, within its limit.
    async fn whole(&self, response: &mut Response) -> Result<Vec<u8>, Failure> {
        let mut whole = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(|error| Failure {
                passing: true,
                ..self.broken(format!("the connection broke: {}", describe(error)))
            })?;
            let Some(chunk) = chunk else {
                return Ok(whole);
            };
            let limit = self.config.max_response_bytes;
            if whole.len() + chunk.len() > limit {
                return Err(self.broken(format!("it is longer than max_response_bytes, {limit}")));
            }
            whole.extend_from_slice(&chunk);
        }
    }

    /// As many vectors as texts, all of the right length and of finite numbers.
    fn check(&self, batch: &Batch<'_>, answer: &Answer) -> Result<(), Failure> {
        let (vectors, texts) = (answer.vectors.len(), batch.texts.len());
        if vectors != texts {
            return Err(self.broken(format!("{vectors} vectors for {texts} texts")));
        }
        let expected = batch.dimensions.unwrap_or(self.config.dimensions);
        for (index, vector) in answer.vectors.iter().enumerate() {
            if u32::try_from(vector.len()) != Ok(expected) {
                let length = vector.len();
                return Err(self.broken(format!(
                    "vector {index} has {length} dimensions, not {expected}; correct \
                     `dimensions` if the model has others"
                )));
            }
            if !vector.iter().all(|value| value.is_finite()) {
                return Err(self.broken(format!("vector {index} has a value that is no number")));
            }
        }
        Ok(())
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(key) = self.key.as_ref().and_then(header) {
            headers.insert(AUTHORIZATION, key);
        }
        propagation::inject(&mut headers);
        headers
    }

    /// What a status other than success means.
    fn refused(
        &self,
        first: usize,
        batch: &Batch<'_>,
        response: &Response,
        body: &[u8],
    ) -> Failure {
        let model = self.name.clone();
        let status = response.status();
        let detail = match self.api.message(body) {
            Some(message) => self.detail(&format!("{status}: {message}")),
            None => status.to_string(),
        };
        let retry_after = retry::retry_after(response.headers(), Timestamp::now());
        let (error, passing) = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                (RemoteError::Unauthorized { model }, false)
            }
            StatusCode::TOO_MANY_REQUESTS => (
                RemoteError::Overloaded {
                    model,
                    detail,
                    retry_after,
                },
                true,
            ),
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT => {
                (RemoteError::Failed { model, detail }, true)
            }
            _ if status.is_client_error() => (
                RemoteError::Rejected {
                    model,
                    first,
                    last: first + batch.texts.len() - 1,
                    detail,
                },
                false,
            ),
            _ if status.is_redirection() => {
                let detail = format!("{status}: redirects are not followed; correct base_url");
                (RemoteError::Failed { model, detail }, false)
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE && retry_after.is_some() => (
                RemoteError::Overloaded {
                    model,
                    detail,
                    retry_after,
                },
                true,
            ),
            _ => (RemoteError::Failed { model, detail }, true),
        };
        Failure {
            error,
            passing,
            retry_after,
        }
    }

    fn broken(&self, detail: impl Into<String>) -> Failure {
        Failure {
            error: RemoteError::Broken {
                model: self.name.clone(),
                detail: self.detail(&detail.into()),
            },
            passing: false,
            retry_after: None,
        }
    }

    fn timeout(&self) -> RemoteError {
        RemoteError::Timeout {
            model: self.name.clone(),
            limit: self.config.timeout(),
        }
    }

    /// What may be passed on of a text that came from outside: short, and never our key.
    fn detail(&self, text: &str) -> String {
        let text = match &self.key {
            Some(key) => text.replace(key.expose(), "[redacted]"),
            None => text.to_owned(),
        };
        text.chars().take(MAX_DETAIL_CHARS).collect()
    }
}

impl RemoteModel for Remote {
    fn embed<'a>(
        &'a self,
        texts: &'a [String],
        input_type: InputType,
        dimensions: Option<u32>,
    ) -> EmbedFuture<'a> {
        Box::pin(self.embed_all(texts, input_type, dimensions))
    }
}

/// The key that the configuration refers to.
fn key(
    name: &str,
    config: &RemoteConfig,
    environment: impl Fn(&str) -> Option<String>,
    read: impl Fn(&Path) -> io::Result<String>,
) -> Result<Option<Secret>, RemoteConfigError> {
    let model = name.to_owned();
    let (source_name, found) = match (&config.api_key_env, &config.api_key_file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(RemoteConfigError::TwoKeys { model }),
        (Some(variable), None) => (
            format!("the environment variable {variable}"),
            environment(variable),
        ),
        (None, Some(path)) => (format!("the file {}", path.display()), read(path).ok()),
    };
    // Blanks around a key are a copying mistake.
    let key = found.map(|key| Secret::new(key.trim()));
    match key.filter(|key| !key.is_empty() && header(key).is_some()) {
        Some(key) => Ok(Some(key)),
        None => Err(RemoteConfigError::ApiKey { model, source_name }),
    }
}

/// The `Authorization` header.
fn header(key: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn endpoint(name: &str, config: &RemoteConfig, api: &dyn Api) -> Result<Url, RemoteConfigError> {
    let refused = |detail: String| RemoteConfigError::BaseUrl {
        model: name.to_owned(),
        detail,
    };
    let base = config.base_url.as_deref().unwrap_or(api.base_url());
    let url = format!("{}{}", base.trim_end_matches('/'), api.path());
    let url = Url::parse(&url).map_err(|error| refused(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme();
        return Err(refused(format!(
            "its scheme is {scheme}, not http or https"
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it holds credentials; use api_key_env".to_owned()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it has a query or a fragment".to_owned()));
    }
    Ok(url)
}

fn client(config: &RemoteConfig, url: &Url) -> Result<Client, reqwest::Error> {
    // The client has no cryptography of its own. Err means that the process already
    // has a provider, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
        .tcp_nodelay(true)
        // Texts go to the configured host and to no other.
        .redirect(redirect::Policy::none());
    if !config.proxy_from_environment {
        builder = builder.no_proxy();
    }
    if url.scheme() == "http" {
        // Nothing to verify, so a machine without root certificates can run this too.
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

/// As much of an error's body as can be had.
async fn beginning(response: &mut Response) -> Vec<u8> {
    let mut beginning = Vec::new();
    while beginning.len() < MAX_ERROR_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = MAX_ERROR_BYTES - beginning.len();
                beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Ok(None) | Err(_) => break,
        }
    }
    beginning
}

/// Vectors of length 1, each with its share of the tokens.
fn embedded(batch: &Batch<'_>, answer: Answer) -> Vec<Embedded> {
    let tokens = shares(batch.texts, answer.tokens.unwrap_or(0));
    let vectors = answer.vectors.into_iter().zip(tokens);
    vectors
        .map(|(mut vector, tokens)| {
            normalise(&mut vector);
            Embedded {
                vector,
                tokens,
                truncated: false,
            }
        })
        .collect()
}

/// Shares a request's tokens out by the texts' lengths; the shares add up to the whole.
fn shares(texts: &[String], tokens: u64) -> Vec<u32> {
    let all: u128 = texts.iter().map(|text| text.len() as u128).sum();
    let (mut read, mut given) = (0_u128, 0_u128);
    texts
        .iter()
        .map(|text| {
            read += text.len() as u128;
            // What all texts so far have, less what those before were given.
            let due = u128::from(tokens) * read / all.max(1);
            let share = due - given;
            given = due;
            u32::try_from(share).unwrap_or(u32::MAX)
        })
        .collect()
}

/// Scales to Euclidean length 1; a vector of zeros stays as it is.
fn normalise(vector: &mut [f32]) {
    let square: f64 = vector.iter().map(|value| f64::from(*value).powi(2)).sum();
    if square > 0.0 {
        let scale = square.sqrt().recip();
        for value in vector {
            *value = (f64::from(*value) * scale) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn texts(lengths: &[usize]) -> Vec<String> {
        lengths.iter().map(|length| "x".repeat(*length)).collect()
    }

    fn remote(max_batch: usize, max_batch_bytes: usize) -> Remote {
        let config = RemoteConfig {
            max_batch: max_batch.try_into().ok(),
            max_batch_bytes: max_batch_bytes.try_into().unwrap(),
            ..RemoteConfig::default()
        };
        Remote::new(
            "m",
            &config,
            |_| None,
            |_| Err(io::ErrorKind::NotFound.into()),
        )
        .unwrap()
    }

    proptest! {
        #[test]
        fn batches_are_the_texts_in_order_within_both_limits(
            lengths in prop::collection::vec(0usize..9, 0..40),
            most in 1usize..9,
            most_bytes in 1usize..20,
        ) {
            let texts = texts(&lengths);
            let remote = remote(most, most_bytes);
            let mut next = 0;
            for (first, batch) in remote.batches(&texts) {
                prop_assert_eq!(first, next);
                prop_assert!((1..=most).contains(&batch.len()));
                let bytes: usize = batch.iter().map(String::len).sum();
                prop_assert!(bytes <= most_bytes || batch.len() == 1);
                prop_assert_eq!(batch, &texts[first..first + batch.len()]);
                next += batch.len();
            }
            prop_assert_eq!(next, texts.len());
        }

        #[test]
        fn the_shares_of_tokens_add_up(
            lengths in prop::collection::vec(1usize..9, 1..40),
            tokens in 0u64..10_000,
        ) {
            let shares = shares(&texts(&lengths), tokens);
            prop_assert_eq!(shares.iter().map(|share| u64::from(*share)).sum::<u64>(), tokens);
        }
    }

    #[test]
    fn a_key_comes_from_the_variable_or_the_file_and_shows_itself_nowhere() {
        let build = |env: Option<&str>, file: Option<&str>| {
            let config = RemoteConfig {
                api_key_env: env.map(str::to_owned),
                api_key_file: file.map(Into::into),
                ..RemoteConfig::default()
            };
            let environment = |name: &str| (name == "KEY").then(|| " sk-secret\n".to_owned());
            let read = |path: &Path| match path.ends_with("key") {
                true => Ok("sk-file\n".to_owned()),
                false => Err(io::ErrorKind::NotFound.into()),
            };
            Remote::new("m", &config, environment, read)
        };
        let key = build(Some("KEY"), None).unwrap().key.unwrap();
        assert_eq!(header(&key).unwrap(), "Bearer sk-secret");
        assert!(!format!("{key:?} {:?}", header(&key)).contains("secret"));
        let key = build(None, Some("/run/key")).unwrap().key.unwrap();
        assert_eq!(key.expose(), "sk-file");
        assert!(build(None, None).unwrap().key.is_none());
        for (env, file, part) in [
            (Some("NONE"), None, "NONE"),
            (None, Some("/none"), "/none"),
            (Some("KEY"), Some("/run/key"), "not both"),
        ] {
            let error = build(env, file).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_base_url_that_cannot_be_used_is_an_error() {
        for url in [
            "",
            "host:80",
            "ftp://host",
            "http://me:pw@host",
            "http://host?a=b",
        ] {
            let config = RemoteConfig {
                base_url: Some(url.to_owned()),
                ..RemoteConfig::default()
            };
            let built = Remote::new("m", &config, |_| None, |_| Ok(String::new()));
            assert!(
                matches!(built.err(), Some(RemoteConfigError::BaseUrl { .. })),
                "{url}"
            );
        }
    }
}
