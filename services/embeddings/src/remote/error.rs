//! How a remote model fails, and what of that is a caller's matter.

use std::{error::Error as _, time::Duration};

use crate::request::EmbedError;

/// A remote model cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteConfigError {
    /// The URL cannot be used.
    #[error("base_url of remote model {model}: {detail}; write it as in `https://host/v1`")]
    BaseUrl {
        /// The model's name.
        model: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The key is not there.
    #[error(
        "remote model {model}: no usable key in {source_name}; put one there, or remove that \
         setting to send none"
    )]
    ApiKey {
        /// The model's name.
        model: String,
        /// The variable or file that was looked into.
        source_name: String,
    },
    /// Both references to a key are set.
    #[error("remote model {model}: set api_key_env or api_key_file, not both")]
    TwoKeys {
        /// The model's name.
        model: String,
    },
    /// The vectors have no length.
    #[error("dimensions of remote model {model}: is 0; say how long the model's vectors are")]
    Dimensions {
        /// The model's name.
        model: String,
    },
    /// The HTTP client cannot be built.
    #[error("remote model {model}: no HTTP client: {detail}")]
    Client {
        /// The model's name.
        model: String,
        /// What it said.
        detail: String,
    },
}

/// How a call to a remote model failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RemoteError {
    /// No answer came, though it was asked for again.
    #[error("{model} cannot be reached: {detail}")]
    Unreachable {
        /// The model's name.
        model: String,
        /// What the transport said.
        detail: String,
    },
    /// The call took longer than `timeout_ms`.
    #[error("{model} did not answer within {limit:?}")]
    Timeout {
        /// The model's name.
        model: String,
        /// The limit.
        limit: Duration,
    },
    /// The provider has no room, or its rate or ours is used up.
    #[error("{model} is overloaded: {detail}")]
    Overloaded {
        /// The model's name.
        model: String,
        /// What it said.
        detail: String,
        /// When to come back, where it says.
        retry_after: Option<Duration>,
    },
    /// The provider says that the request is wrong; no retry helps.
    #[error("{model} rejects the texts {first} to {last}: {detail}")]
    Rejected {
        /// The model's name.
        model: String,
        /// Position of the first text of the request.
        first: usize,
        /// Position of its last text.
        last: usize,
        /// What it said.
        detail: String,
    },
    /// The provider does not accept our key.
    #[error("{model} does not accept the configured API key")]
    Unauthorized {
        /// The model's name.
        model: String,
    },
    /// The provider failed by itself.
    #[error("{model} failed: {detail}")]
    Failed {
        /// The model's name.
        model: String,
        /// What it said.
        detail: String,
    },
    /// The answer makes no sense, or was cut before its end.
    #[error("{model} sent a broken answer: {detail}")]
    Broken {
        /// The model's name.
        model: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// What a caller is told to wait where the provider names no time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<RemoteError> for EmbedError {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Overloaded { retry_after, .. } => Self::Overloaded {
                retry_after: retry_after.unwrap_or(RETRY_AFTER),
            },
            RemoteError::Rejected {
                first,
                last,
                detail,
                ..
            } => {
                let field = match first == last {
                    true => format!("input[{first}]"),
                    false => format!("input[{first}..={last}]"),
                };
                Self::invalid(field, format!("the model's provider rejects it: {detail}"))
            }
            other => Self::Failed(other.to_string()),
        }
    }
}

/// The whole chain of a transport error, without the URL.
pub(super) fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
