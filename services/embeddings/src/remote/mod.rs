//! Models that other companies run: texts go out over HTTP, vectors come back.
//!
//! What every such service has in common is done once: `setup` checks what configuration
//! says, `room` lets calls in, `client` sends batches and sends them again, `attempt` is
//! one of these exchanges. A provider is one file that knows its JSON, and one line in
//! [`Kind`].
//!
//! Texts leave this machine. So a remote model exists only where configuration names
//! one, requests go to the configured host and to no other, and the key is named (an
//! environment variable or a file) and never written down.

mod attempt;
mod batches;
mod client;
mod cohere;
mod config;
mod error;
mod openai;
mod retry;
mod room;
mod setup;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_encoder::InputType;

pub use self::{
    client::{Remote, Terms},
    config::RemoteConfig,
    error::{RemoteConfigError, RemoteError},
};

/// The providers. A new one is one file and one line here, and one in `api`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `OpenAI`'s embeddings, and every server that speaks them.
    #[default]
    Openai,
    /// Cohere's embed, version 2.
    Cohere,
}

impl Kind {
    fn api(self) -> &'static dyn Api {
        match self {
            Self::Openai => &openai::OpenAi,
            Self::Cohere => &cohere::Cohere,
        }
    }
}

/// What is a provider's own.
trait Api: Send + Sync {
    /// Where it is, unless configuration says otherwise.
    fn base_url(&self) -> &'static str;

    /// What follows the base URL.
    fn path(&self) -> &'static str;

    /// Most texts in one request.
    fn max_batch(&self) -> usize;

    /// The request's body.
    fn request(&self, model: &str, batch: &Batch<'_>) -> serde_json::Value;

    /// Reads the answer, or says what is wrong with it.
    fn read(&self, body: &[u8]) -> Result<Answer, String>;

    /// The message in the body of an error.
    fn message(&self, body: &[u8]) -> Option<String>;
}

/// What one request asks.
struct Batch<'a> {
    texts: &'a [&'a str],
    input_type: InputType,
    dimensions: Option<u32>,
}

/// What one request is answered.
#[derive(Debug, PartialEq)]
struct Answer {
    /// One for each text, in order.
    vectors: Vec<Vec<f32>>,
    /// Tokens of all texts, where the provider says.
    tokens: Option<u64>,
}

/// Builds the remote model of this name. `environment` gives the value of an
/// environment variable; nothing is sent yet.
///
/// # Errors
///
/// What is wrong with the configuration, naming the key and the fix.
pub fn build(
    name: &str,
    config: &RemoteConfig,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Remote, RemoteConfigError> {
    let read = |path: &Path| std::fs::read_to_string(path);
    Remote::new(name, config, environment, read)
}
