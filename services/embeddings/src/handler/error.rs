//! What went wrong, as the platform's errors say it.

use signalbox_chassis::{ApiError, error::reason};
use tonic::Code;

use crate::request::EmbedError;

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
        // The detail is ours to read, not the caller's.
        EmbedError::Failed(detail) => {
            tracing::error!(detail, "embedding failed");
            ApiError::internal("embedding failed on our side")
        }
    }
}
