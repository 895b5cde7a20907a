//! What went wrong, as the platform's errors say it.

use std::time::Duration;

use signalbox_chassis::{ApiError, error::reason};
use tonic::Code;

use crate::{remote::RemoteError, request::EmbedError};

/// Values of `ErrorInfo.reason` for what a remote model's provider does; the Router has
/// the same for chat.
const PROVIDER_UNAVAILABLE: &str = "PROVIDER_UNAVAILABLE";
const PROVIDER_TIMEOUT: &str = "PROVIDER_TIMEOUT";
const PROVIDER_BROKEN: &str = "PROVIDER_BROKEN";
const PROVIDER_OVERLOADED: &str = "PROVIDER_OVERLOADED";
const PROVIDER_REJECTED: &str = "PROVIDER_REJECTED";
const PROVIDER_CREDENTIALS: &str = "PROVIDER_CREDENTIALS";
const PROVIDER_CONFIGURATION: &str = "PROVIDER_CONFIGURATION";

/// What a caller is told to wait where the provider names no time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The `ErrorInfo.reason` where there is no room for one more reduction.
const TOO_MANY_REDUCTIONS: &str = "TOO_MANY_REDUCTIONS";

pub(super) fn api_error(error: EmbedError) -> ApiError {
    let message = error.to_string();
    match error {
        EmbedError::Invalid { field, fix } => ApiError::invalid_field(field, fix),
        EmbedError::UnknownModel { name, available } => {
            let hint = format!("loaded are: {}", available.join(", "));
            ApiError::not_found("model", &name, hint)
        }
        EmbedError::UnknownReduction { name, available } => {
            let hint = match available.as_slice() {
                [] => "fit one first".to_owned(),
                some => format!("there are: {}", some.join(", ")),
            };
            ApiError::not_found("reduction", &name, hint)
        }
        EmbedError::TooManyReductions => {
            ApiError::new(Code::ResourceExhausted, TOO_MANY_REDUCTIONS, message)
        }
        EmbedError::Overloaded { retry_after } => {
            ApiError::exhausted(reason::OVERLOADED, message, retry_after)
        }
        EmbedError::DeadlineExceeded => {
            ApiError::new(Code::DeadlineExceeded, reason::DEADLINE_EXCEEDED, message)
        }
        EmbedError::Cancelled => ApiError::new(Code::Cancelled, reason::SHUTTING_DOWN, message),
        EmbedError::Remote(error) => remote(&error),
        // The detail is ours to read, not the caller's.
        EmbedError::Failed(detail) => {
            tracing::error!(detail, "embedding failed");
            ApiError::internal("embedding failed on our side")
        }
    }
}

fn remote(error: &RemoteError) -> ApiError {
    let message = error.to_string();
    let unavailable = |reason| {
        ApiError::new(Code::Unavailable, reason, message.as_str()).with_retry_after(RETRY_AFTER)
    };
    // No retry helps; the operator has to do something, and reads of it in the log.
    let wrong = |reason| ApiError::new(Code::Unavailable, reason, message.as_str());
    match error {
        RemoteError::Unreachable { .. } | RemoteError::Failed { .. } => {
            unavailable(PROVIDER_UNAVAILABLE)
        }
        RemoteError::Timeout { .. } => unavailable(PROVIDER_TIMEOUT),
        RemoteError::Broken { .. } => unavailable(PROVIDER_BROKEN),
        RemoteError::Overloaded { retry_after, .. } => ApiError::exhausted(
            PROVIDER_OVERLOADED,
            message.as_str(),
            retry_after.unwrap_or(RETRY_AFTER),
        ),
        RemoteError::Full { retry_after, .. } => {
            ApiError::exhausted(reason::OVERLOADED, message.as_str(), *retry_after)
        }
        RemoteError::Rejected { .. } => {
            ApiError::new(Code::InvalidArgument, PROVIDER_REJECTED, message.as_str())
        }
        RemoteError::Unauthorized { .. } => wrong(PROVIDER_CREDENTIALS),
        RemoteError::Misconfigured { .. } => wrong(PROVIDER_CONFIGURATION),
    }
}
