//! What a user may set about an `OpenAI`-compatible provider.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The field that carries the token limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// `max_tokens`, which nearly every server knows.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, the only one that `OpenAI`'s reasoning models accept.
    MaxCompletionTokens,
}

/// A server that speaks `OpenAI`'s chat completions over HTTP.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OpenAiCompatibleConfig {
    /// The URL that `/chat/completions` is added to, as in `https://api.openai.com/v1`.
    pub base_url: String,
    /// The environment variable that holds the API key. Unset: no key is sent.
    pub api_key_env: Option<String>,
    /// Ask for answers as a stream. Off for servers that cannot; the answer then
    /// arrives in one piece, within `first_token_timeout_ms`.
    pub stream: bool,
    /// The name under which the token limit is sent.
    pub max_tokens_field: MaxTokensField,
    /// Most milliseconds for a connection, name lookup and TLS included.
    pub connect_timeout_ms: u64,
    /// Most milliseconds from sending a request to the first token of its answer.
    pub first_token_timeout_ms: u64,
    /// Most milliseconds between two tokens.
    pub idle_timeout_ms: u64,
    /// Idle connections kept for reuse.
    pub pool_max_idle_per_host: usize,
    /// Milliseconds after which an idle connection is closed. Below what proxies and
    /// servers commonly wait, so that it is closed here first.
    pub pool_idle_timeout_ms: u64,
    /// Most bytes of an answer, as sent over the wire.
    pub max_response_bytes: usize,
    /// Use the proxy that `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name. Off, so
    /// that a variable set for other programs does not see prompts.
    pub proxy_from_environment: bool,
}

impl Default for OpenAiCompatibleConfig {
    fn default() -> Self {
        Self {
            base_url: "http://127.0.0.1:8000/v1".to_owned(),
            api_key_env: None,
            stream: true,
            max_tokens_field: MaxTokensField::MaxTokens,
            connect_timeout_ms: 2_000,
            first_token_timeout_ms: 30_000,
            idle_timeout_ms: 15_000,
            pool_max_idle_per_host: 32,
            pool_idle_timeout_ms: 30_000,
            max_response_bytes: 16 << 20,
            proxy_from_environment: false,
        }
    }
}

impl OpenAiCompatibleConfig {
    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(super) fn first_token_timeout(&self) -> Duration {
        Duration::from_millis(self.first_token_timeout_ms)
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(super) fn pool_idle_timeout(&self) -> Duration {
        Duration::from_millis(self.pool_idle_timeout_ms)
    }
}
