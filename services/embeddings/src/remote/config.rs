//! What a user may set about a remote model.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;

/// A model that a provider runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemoteConfig {
    /// Whose interface it is.
    pub kind: Kind,
    /// The provider's name of the model, as in `text-embedding-3-small`. Required.
    pub model: String,
    /// The URL that the interface's path is added to. The provider's own when absent:
    /// `https://api.openai.com/v1` or `https://api.cohere.com`.
    pub base_url: Option<String>,
    /// The environment variable that holds the API key.
    pub api_key_env: Option<String>,
    /// The file that holds the API key, such as a mounted secret. Without this and
    /// `api_key_env` no key is sent.
    pub api_key_file: Option<PathBuf>,
    /// Length of the vectors that come back. Required.
    pub dimensions: u32,
    /// Ask the provider for vectors of `dimensions`, where the model's own are longer and
    /// it can shorten them.
    pub send_dimensions: bool,
    /// Shorter lengths that the model was trained for; callers may ask for any from the
    /// least of these, and get the leading numbers, scaled to length 1.
    pub matryoshka_dimensions: Vec<u32>,
    /// Longest input in tokens, told to callers that list models. A longer one is
    /// refused by the provider.
    pub max_input_tokens: u32,
    /// The terms of use in a word, told to callers that list models.
    pub license: String,
    /// Most texts in one request; the provider's limit when absent.
    pub max_batch: Option<NonZeroUsize>,
    /// Most bytes of text in one request. No token is shorter than a byte, so 300,000
    /// keep `OpenAI`'s limit of 300,000 tokens whatever the texts are.
    pub max_batch_bytes: NonZeroUsize,
    /// Most requests on their way at a time. Jobs and large calls have half of these.
    pub max_concurrent_requests: NonZeroUsize,
    /// Calls that may wait for these; one more is refused with `RESOURCE_EXHAUSTED`.
    pub max_waiting: usize,
    /// Most requests that are begun in a minute. No limit when absent.
    pub requests_per_minute: Option<NonZeroU32>,
    /// How often a request that failed in passing is sent again.
    pub max_retries: u32,
    /// Milliseconds before the first retry where the provider names no time; doubles
    /// with every further one, and is drawn at random from zero to that.
    pub retry_delay_ms: u64,
    /// Most milliseconds for a connection, name lookup and TLS included.
    pub connect_timeout_ms: u64,
    /// Most milliseconds for all requests and retries of one call; of a job or a large
    /// call, for each request.
    pub timeout_ms: u64,
    /// Most bytes of an answer.
    pub max_response_bytes: usize,
    /// Use the proxy that `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name. Off, so that
    /// a variable set for other programs does not see texts.
    pub proxy_from_environment: bool,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        const ONE: NonZeroUsize = NonZeroUsize::MIN;
        Self {
            kind: Kind::Openai,
            model: String::new(),
            base_url: None,
            api_key_env: None,
            api_key_file: None,
            dimensions: 0,
            send_dimensions: false,
            matryoshka_dimensions: Vec::new(),
            max_input_tokens: 8192,
            license: "proprietary".to_owned(),
            max_batch: None,
            max_batch_bytes: ONE.saturating_add(299_999),
            max_concurrent_requests: ONE.saturating_add(7),
            max_waiting: 512,
            requests_per_minute: None,
            max_retries: 3,
            retry_delay_ms: 500,
            connect_timeout_ms: 2_000,
            timeout_ms: 60_000,
            max_response_bytes: 256 << 20,
            proxy_from_environment: false,
        }
    }
}

impl RemoteConfig {
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
