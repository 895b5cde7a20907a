//! How a remote model fails, and what of that is a caller's matter.

use std::{error::Error as _, time::Duration};

use crate::request::EmbedError;

/// A remote model cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteConfigError {
    /// The name cannot be asked for.
    #[error("embeddings.remote_models: `{model}` is no name; take one of 1 to 128 bytes")]
    Name {
        /// The model's name.
        model: String,
    },
    /// The provider's model is not named.
    #[error("embeddings.remote_models.{model}.model: is required; name the provider's model")]
    Model {
        /// The model's name.
        model: String,
    },
    /// The vectors have no length.
    #[error(
        "embeddings.remote_models.{model}.dimensions: is required; say how long the model's \
         vectors are"
    )]
    Dimensions {
        /// The model's name.
        model: String,
    },
    /// A shorter length is none.
    #[error(
        "embeddings.remote_models.{model}.matryoshka_dimensions: each must be at least 1 and \
         below `dimensions`"
    )]
    Matryoshka {
        /// The model's name.
        model: String,
    },
    /// The URL cannot be used.
    #[error(
        "embeddings.remote_models.{model}.base_url: {detail}; write it as in `https://host/v1`"
    )]
    BaseUrl {
        /// The model's name.
        model: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The key is not there.
    #[error(
        "embeddings.remote_models.{model}.{setting}: there is no usable key in {place}; put one \
         there, or remove the setting to send none"
    )]
    ApiKey {
        /// The model's name.
        model: String,
        /// The setting that refers to the key.
        setting: &'static str,
        /// The variable or file that was looked into.
        place: String,
    },
    /// Both references to a key are set.
    #[error("embeddings.remote_models.{model}: set api_key_env or api_key_file, not both")]
    TwoKeys {
        /// The model's name.
        model: String,
    },
    /// The HTTP client cannot be built.
    #[error("embeddings.remote_models.{model}: no HTTP client: {detail}")]
    Client {
        /// The model's name.
        model: String,
        /// What it said.
        detail: String,
    },
}

/// How a call to a remote model failed. The messages are fit for callers; what the
/// transport said, which may name hosts, is in the fields alone.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RemoteError {
    /// No answer came, though it was asked for again.
    #[error("the provider of {model} cannot be reached")]
    Unreachable {
        /// The model's name.
        model: String,
        /// What the transport said.
        detail: String,
    },
    /// The call took longer than `timeout_ms`.
    #[error("the provider of {model} did not answer within {limit:?}")]
    Timeout {
        /// The model's name.
        model: String,
        /// The limit.
        limit: Duration,
    },
    /// Too many calls wait for this model here.
    #[error("too many calls wait for {model}")]
    Full {
        /// The model's name.
        model: String,
        /// When to come back.
        retry_after: Duration,
    },
    /// The provider has no room, or its rate or ours is used up.
    #[error("the provider of {model} is overloaded: {detail}")]
    Overloaded {
        /// The model's name.
        model: String,
        /// What it said.
        detail: String,
        /// When to come back, where it says.
        retry_after: Option<Duration>,
    },
    /// The provider says that the texts are wrong; no retry helps.
    #[error("the provider of {model} rejects the texts {first} to {last}: {detail}")]
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
    #[error("the credentials configured for {model} are wrong")]
    Unauthorized {
        /// The model's name.
        model: String,
    },
    /// There is no such model or address, or the account has no money.
    #[error("the provider of {model} does not serve it as it is configured: {detail}")]
    Misconfigured {
        /// The model's name.
        model: String,
        /// What it said.
        detail: String,
    },
    /// The provider failed by itself.
    #[error("the provider of {model} failed: {detail}")]
    Failed {
        /// The model's name.
        model: String,
        /// What it said.
        detail: String,
    },
    /// The answer makes no sense, or was cut before its end.
    #[error("the provider of {model} sent a broken answer: {detail}")]
    Broken {
        /// The model's name.
        model: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl RemoteError {
    /// The low-cardinality name in metrics and in the span's `error.type`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "provider_unreachable",
            Self::Timeout { .. } => "provider_timeout",
            Self::Full { .. } => "overloaded",
            Self::Overloaded { .. } => "provider_overloaded",
            Self::Rejected { .. } => "provider_rejected",
            Self::Unauthorized { .. } => "provider_credentials",
            Self::Misconfigured { .. } => "provider_configuration",
            Self::Failed { .. } => "provider_failed",
            Self::Broken { .. } => "provider_broken",
        }
    }

    /// The same for a caller whose text number `n` is the one at `positions[n]`.
    pub(crate) fn at(self, positions: &[usize]) -> Self {
        let at = |index: usize| positions.get(index).copied().unwrap_or(index);
        match self {
            Self::Rejected {
                model,
                first,
                last,
                detail,
            } => Self::Rejected {
                model,
                first: at(first),
                last: at(last),
                detail,
            },
            other => other,
        }
    }
}

impl From<RemoteError> for EmbedError {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Full { retry_after, .. } => Self::Overloaded { retry_after },
            RemoteError::Rejected {
                first,
                last,
                detail,
                ..
            } if first == last => {
                let fix = format!("is rejected by the model's provider: {detail}");
                Self::invalid(format!("input[{first}]"), fix)
            }
            // It does not say which of them it means.
            RemoteError::Rejected {
                first,
                last,
                detail,
                ..
            } => {
                let fix = format!(
                    "the model's provider rejects a text from [{first}] to [{last}]: {detail}"
                );
                Self::invalid("input", fix)
            }
            other => Self::Remote(other),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_text_is_named_by_its_place_in_the_request() {
        let rejected = |first, last| RemoteError::Rejected {
            model: "m".to_owned(),
            first,
            last,
            detail: "too long".to_owned(),
        };
        // The others were known.
        let positions = [2, 5, 9];
        let field = |first, last| match EmbedError::from(rejected(first, last).at(&positions)) {
            EmbedError::Invalid { field, fix } => (field, fix),
            other => (other.to_string(), String::new()),
        };
        let (one, fix) = field(1, 1);
        assert_eq!(one, "input[5]");
        assert!(fix.contains("too long"), "{fix}");
        let (several, fix) = field(0, 2);
        assert_eq!(several, "input");
        assert!(fix.contains("[2] to [9]"), "{fix}");
    }
}
