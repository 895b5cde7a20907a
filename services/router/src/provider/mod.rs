//! Who answers: one trait, one file for each kind of provider.

pub mod local;
pub mod openai_compatible;
pub mod registry;
mod telemetry;

use std::{future::Future, pin::Pin, time::Duration};

use futures_util::stream::BoxStream;

use crate::chat::{ChatEvent, ChatRequest};

/// An answer as it arrives. Dropping it stops the work behind it.
pub type ChatStream = BoxStream<'static, Result<ChatEvent, ProviderError>>;

/// The future of [`Provider::chat`].
pub type ChatFuture<'a> =
    Pin<Box<dyn Future<Output = Result<ChatStream, ProviderError>> + Send + 'a>>;

/// Something that answers conversations.
pub trait Provider: Send + Sync {
    /// The provider's name in the configuration.
    fn name(&self) -> &str;

    /// Starts an answer. Resolves once the provider has accepted the request; the
    /// stream then ends with `Finish` and `Usage`, or with an error. Dropping the
    /// future or the stream cancels the work.
    fn chat(&self, request: ChatRequest) -> ChatFuture<'_>;
}

/// How a provider failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProviderError {
    /// No connection, or it broke before an answer began.
    #[error("{provider} cannot be reached: {detail}")]
    Unreachable {
        /// The provider's name.
        provider: String,
        /// What the transport said.
        detail: String,
    },
    /// A phase took longer than its limit.
    #[error("{provider} gave no {phase} within {limit:?}")]
    Timeout {
        /// The provider's name.
        provider: String,
        /// `connection`, `first token` or `next token`.
        phase: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The provider has no room.
    #[error("{provider} is overloaded: {detail}")]
    Overloaded {
        /// The provider's name.
        provider: String,
        /// What it said.
        detail: String,
        /// When it says to come back.
        retry_after: Option<Duration>,
    },
    /// The provider says that the request is wrong; no retry helps.
    #[error("{provider} rejects the request: {detail}")]
    Rejected {
        /// The provider's name.
        provider: String,
        /// The field that it names, as in `max_tokens`.
        field: Option<String>,
        /// What it said.
        detail: String,
    },
    /// The provider does not accept our credentials.
    #[error("{provider} does not accept the configured API key")]
    Unauthorized {
        /// The provider's name.
        provider: String,
    },
    /// The provider failed by itself.
    #[error("{provider} failed: {detail}")]
    Failed {
        /// The provider's name.
        provider: String,
        /// What it said.
        detail: String,
    },
    /// The answer makes no sense, or was cut before its end.
    #[error("{provider} sent a broken answer: {detail}")]
    Broken {
        /// The provider's name.
        provider: String,
        /// What is wrong with it.
        detail: String,
    },
}
