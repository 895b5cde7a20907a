//! The one error that crosses the wire.
//!
//! Domain errors are types of their own crates. A handler turns each into an
//! [`ApiError`] once, and [`ApiError`] becomes a `tonic::Status` with
//! `google.rpc` details once, here. REST gets its shape from that status.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The `domain` of every `google.rpc.ErrorInfo` that Signalbox sends.
pub const ERROR_DOMAIN: &str = "signalbox";

/// Values of `google.rpc.ErrorInfo.reason` that any service may send.
pub mod reason {
    /// A field of the request is wrong; `BadRequest` names it.
    pub const INVALID_FIELD: &str = "INVALID_FIELD";
    /// Something that the request names does not exist.
    pub const NOT_FOUND: &str = "NOT_FOUND";
    /// The RPC is declared but not filled yet.
    pub const NOT_IMPLEMENTED: &str = "NOT_IMPLEMENTED";
    /// The server holds as much work as it accepts.
    pub const OVERLOADED: &str = "OVERLOADED";
    /// The caller sent more requests than its limit allows.
    pub const RATE_LIMITED: &str = "RATE_LIMITED";
    /// The request is larger than the server accepts.
    pub const MESSAGE_TOO_LARGE: &str = "MESSAGE_TOO_LARGE";
    /// The message is compressed in a way that the server does not know.
    pub const UNKNOWN_ENCODING: &str = "UNKNOWN_ENCODING";
    /// The bytes are no message of the method.
    pub const UNDECODABLE: &str = "UNDECODABLE";
    /// The caller's deadline passed.
    pub const DEADLINE_EXCEEDED: &str = "DEADLINE_EXCEEDED";
    /// The server is draining.
    pub const SHUTTING_DOWN: &str = "SHUTTING_DOWN";
    /// No key, or an unknown one.
    pub const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
    /// A fault of the server.
    pub const INTERNAL: &str = "INTERNAL";
}

/// An error on its way to the caller: a code, a message that says the fix, and
/// `google.rpc` details. Every error carries an `ErrorInfo` with a reason.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub struct ApiError(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    code: Code,
    message: String,
    reason: &'static str,
    metadata: HashMap<String, String>,
    violations: Vec<(String, String)>,
    retry_after: Option<Duration>,
    quota_subject: Option<String>,
}

impl ApiError {
    /// An error with this code, reason and message and no further details.
    pub fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            message: message.into(),
            reason,
            metadata: HashMap::new(),
            violations: Vec::new(),
            retry_after: None,
            quota_subject: None,
        }))
    }

    /// `field` (a path such as `messages[2].role`) is wrong; `fix` says what is
    /// accepted.
    pub fn invalid_field(field: impl Into<String>, fix: impl Into<String>) -> Self {
        let (field, fix) = (field.into(), fix.into());
        let message = format!("{field}: {fix}");
        Self::new(Code::InvalidArgument, reason::INVALID_FIELD, message).with_violation(field, fix)
    }

    /// The `kind` (such as `model`) named `name` does not exist; `hint` says what
    /// does.
    pub fn not_found(kind: &str, name: &str, hint: impl AsRef<str>) -> Self {
        let message = format!("{kind} `{name}` does not exist; {}", hint.as_ref());
        Self::new(Code::NotFound, reason::NOT_FOUND, message)
            .with_metadata("resource_type", kind)
            .with_metadata("resource_name", name)
    }

    /// The RPC is declared but not filled yet.
    pub fn unimplemented(rpc: &str) -> Self {
        let message = format!("{rpc} is part of the contract but not implemented yet");
        Self::new(Code::Unimplemented, reason::NOT_IMPLEMENTED, message).with_metadata("rpc", rpc)
    }

    /// There is no room for this request now.
    pub fn exhausted(
        reason: &'static str,
        message: impl Into<String>,
        retry_after: Duration,
    ) -> Self {
        Self::new(Code::ResourceExhausted, reason, message).with_retry_after(retry_after)
    }

    /// A fault of the server. `message` reaches the caller: no secrets, no paths.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, reason::INTERNAL, message)
    }

    /// Adds a fact to `ErrorInfo.metadata`. An empty value says nothing and is left out;
    /// Envoy 1.40.0 dies of one when it transcodes the error.
    #[must_use]
    pub fn with_metadata(mut self, key: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.0.metadata.insert(key.to_owned(), value.to_owned());
        }
        self
    }

    /// Adds a `BadRequest` violation.
    #[must_use]
    pub fn with_violation(mut self, field: impl Into<String>, fix: impl Into<String>) -> Self {
        self.0.violations.push((field.into(), fix.into()));
        self
    }

    /// Adds a `RetryInfo`; REST sends it as `Retry-After` too.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Adds a `QuotaFailure` for this subject, such as `caller:alice`.
    #[must_use]
    pub fn with_quota_subject(mut self, subject: impl Into<String>) -> Self {
        self.0.quota_subject = Some(subject.into());
        self
    }

    /// The `ErrorInfo.reason`.
    pub fn reason(&self) -> &'static str {
        self.0.reason
    }

    /// The gRPC code.
    pub fn code(&self) -> Code {
        self.0.code
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let parts = *error.0;
        let mut details = ErrorDetails::with_error_info(parts.reason, ERROR_DOMAIN, parts.metadata);
        for (field, fix) in parts.violations {
            details.add_bad_request_violation(field, fix);
        }
        if let Some(delay) = parts.retry_after {
            details.set_retry_info(Some(delay));
        }
        if let Some(subject) = parts.quota_subject {
            details.add_quota_failure_violation(subject, parts.message.clone());
        }
        Status::with_error_details(parts.code, parts.message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_survive_the_way_through_a_status() {
        let status = Status::from(
            ApiError::exhausted(reason::RATE_LIMITED, "too fast", Duration::from_secs(3))
                .with_quota_subject("caller:alice")
                .with_violation("n", "be slower"),
        );
        let details = status.get_error_details();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(
            details.error_info().map(|info| info.reason.as_str()),
            Some("RATE_LIMITED")
        );
        assert_eq!(
            details.retry_info().and_then(|r| r.retry_delay),
            Some(Duration::from_secs(3))
        );
        let subject = details
            .quota_failure()
            .map(|quota| quota.violations[0].subject.as_str());
        assert_eq!(subject, Some("caller:alice"));
        let field = details
            .bad_request()
            .map(|bad| bad.field_violations[0].field.as_str());
        assert_eq!(field, Some("n"));
    }

    #[test]
    fn an_empty_fact_is_left_out() {
        let status = Status::from(
            ApiError::internal("broken")
                .with_metadata("models_tried", "")
                .with_metadata("attempts", "0"),
        );
        let details = status.get_error_details();
        let keys: Vec<_> = details
            .error_info()
            .into_iter()
            .flat_map(|info| info.metadata.keys())
            .collect();
        assert_eq!(keys, ["attempts"]);
    }
}
