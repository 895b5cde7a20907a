//! Any HTTP server that speaks `OpenAI`'s chat completions: `OpenAI` itself, vLLM,
//! another Signalbox.
//!
//! Upstream the answer is always asked for as a stream (unless the configuration says
//! that the server cannot): only a stream shows that a model is alive, and only a
//! stream can be given up half-way. An answer counts as complete when it gave a
//! `finish_reason`; one that ends without is an error, never a short success.
//!
//! Every wait has a limit of its own: for the connection, for the first token (a chunk
//! that only names the role is none), and between tokens (comments that servers send
//! to keep a line open do not count).

mod body;
mod config;
mod error;
mod key;
mod sse;
mod wire;

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use reqwest::{Client, Response, Url, redirect};
use signalbox_chassis::{config::Secret, telemetry::propagation};

pub use config::{MaxTokensField, OpenAiCompatibleConfig};
pub use error::OpenAiConfigError;

use self::{
    body::{Body, Waiting},
    error::MAX_ERROR_BYTES,
    sse::SseParser,
    wire::{AnswerReader, Flaw, Request},
};
use super::{ChatFuture, ChatStream, Provider, ProviderError};
use crate::chat::{ChatEvent, ChatRequest};

/// How a stream says that nothing more comes.
const DONE: &str = "[DONE]";

/// Answers by asking an HTTP server.
pub struct OpenAiCompatibleProvider {
    upstream: Arc<Upstream>,
    client: Client,
    url: Url,
}

/// What errors are told from.
struct Upstream {
    name: String,
    config: OpenAiCompatibleConfig,
    key: Option<Secret>,
}

impl OpenAiCompatibleProvider {
    /// A provider of this name over one HTTP client with a pool of connections.
    /// `environment` looks up the variable that holds the key.
    ///
    /// # Errors
    /// A URL that cannot be used, a key that is not set, or no TLS on this machine.
    pub fn new(
        name: &str,
        config: OpenAiCompatibleConfig,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, OpenAiConfigError> {
        let url = endpoint(name, &config)?;
        let key = config
            .api_key_env
            .as_ref()
            .map(|variable| {
                environment(variable)
                    .and_then(|key| key::read(&key))
                    .ok_or_else(|| OpenAiConfigError::ApiKey {
                        provider: name.to_owned(),
                        variable: variable.clone(),
                    })
            })
            .transpose()?;
        let client = client(&config, &url).map_err(|error| OpenAiConfigError::Client {
            provider: name.to_owned(),
            detail: error::describe(error),
        })?;
        Ok(Self {
            upstream: Arc::new(Upstream {
                name: name.to_owned(),
                config,
                key,
            }),
            client,
            url,
        })
    }

    async fn start(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
        let upstream = &self.upstream;
        let config = &upstream.config;
        let json = Request::new(&request, config.stream, config.max_tokens_field);
        let waiting = Waiting::new("first token", config.first_token_timeout());
        let sent = self
            .client
            .post(self.url.clone())
            .headers(self.headers())
            .json(&json)
            .send();
        let response = waiting
            .run(upstream, sent)
            .await?
            .map_err(|error| upstream.not_reached(error))?;
        let status = response.status();
        if !status.is_success() {
            let headers = response.headers().clone();
            let mut body = Body::new(upstream.clone(), response, waiting);
            let body = body.beginning(MAX_ERROR_BYTES).await;
            return Err(upstream.refused(status, &headers, &body));
        }
        if config.stream {
            upstream.check_event_stream(&response)?;
            let body = Body::new(upstream.clone(), response, waiting);
            return Ok(read_stream(upstream.clone(), body));
        }
        let whole = Body::new(upstream.clone(), response, waiting)
            .whole()
            .await?;
        upstream.read_whole(&whole)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let accept = if self.upstream.config.stream {
            "text/event-stream"
        } else {
            "application/json"
        };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if let Some(key) = self.upstream.key.as_ref().and_then(key::header) {
            headers.insert(AUTHORIZATION, key);
        }
        propagation::inject(&mut headers);
        headers
    }
}

impl Provider for OpenAiCompatibleProvider {
    fn name(&self) -> &str {
        &self.upstream.name
    }

    fn chat(&self, request: ChatRequest) -> ChatFuture<'_> {
        Box::pin(self.start(request))
    }
}

fn endpoint(name: &str, config: &OpenAiCompatibleConfig) -> Result<Url, OpenAiConfigError> {
    let refused = |detail: String| OpenAiConfigError::BaseUrl {
        provider: name.to_owned(),
        detail,
    };
    let url = format!("{}/chat/completions", config.base_url.trim_end_matches('/'));
    let url = Url::parse(&url).map_err(|error| refused(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused(format!(
            "its scheme is {}, not http or https",
            url.scheme()
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

fn client(config: &OpenAiCompatibleConfig, url: &Url) -> Result<Client, reqwest::Error> {
    // The client has no cryptography of its own. Err means that the process already
    // has a provider, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .connect_timeout(config.connect_timeout())
        .pool_max_idle_per_host(config.pool_max_idle_per_host)
        .pool_idle_timeout(config.pool_idle_timeout())
        .tcp_nodelay(true)
        // Prompts go to the configured host and to no other.
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

impl Upstream {
    fn check_event_stream(&self, response: &Response) -> Result<(), ProviderError> {
        let Some(kind) = response.headers().get(CONTENT_TYPE) else {
            return Ok(());
        };
        let kind = String::from_utf8_lossy(kind.as_bytes());
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("text/event-stream") {
            return Ok(());
        }
        Err(self.broken(format!(
            "its content type is {essence:?}, not text/event-stream; if the server cannot \
             stream, set `stream: false`"
        )))
    }

    fn read_whole(&self, json: &[u8]) -> Result<ChatStream, ProviderError> {
        let mut reader = AnswerReader::default();
        let events = reader.read(json).map_err(|flaw| self.flawed(flaw))?;
        if !reader.finished() {
            return Err(self.broken("it has no finish_reason"));
        }
        Ok(stream::iter(events.into_iter().map(Ok)).boxed())
    }

    fn flawed(&self, flaw: Flaw) -> ProviderError {
        match flaw {
            Flaw::Nonsense(detail) => self.broken(detail),
            Flaw::Failure(detail) => self.failed(detail),
        }
    }
}

fn read_stream(upstream: Arc<Upstream>, mut body: Body) -> ChatStream {
    let events = async_stream::try_stream! {
        let mut parser = SseParser::default();
        let mut reader = AnswerReader::default();
        'body: loop {
            let bytes = match body.next().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break,
                // The answer is complete; what breaks after it is no loss.
                Err(_) if reader.finished() => break,
                Err(error) => Err(error)?,
            };
            let found = parser.push(&bytes).map_err(|error| upstream.broken(error.to_string()))?;
            for data in found {
                if data == DONE {
                    // Only a body read to its end gives its connection back to the
                    // pool; the caller need not wait for that.
                    tokio::spawn(body.drain());
                    break 'body;
                }
                body.something_came();
                let events = reader.read(data.as_bytes()).map_err(|flaw| upstream.flawed(flaw))?;
                for event in events {
                    if !matches!(event, ChatEvent::Usage(_)) {
                        body.token_came();
                    }
                    yield event;
                }
            }
        }
        if !reader.finished() {
            Err(upstream.broken("it ended without a finish_reason"))?;
        }
    };
    events.boxed()
}
