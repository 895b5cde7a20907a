//! The statuses that transcoding itself answers with.
//!
//! They carry the same `google.rpc` details as those of the services behind it,
//! so that a caller cannot tell, and need not care, who refused.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::fault::Report;

/// The `domain` of every `ErrorInfo` sent from here.
const DOMAIN: &str = "signalbox";

/// Values of `ErrorInfo.reason` that transcoding sends.
pub mod reason {
    /// A field of the request is wrong; `BadRequest` names it.
    pub const INVALID_FIELD: &str = "INVALID_FIELD";
    /// The body is not JSON.
    pub const INVALID_JSON: &str = "INVALID_JSON";
    /// A header of the request is wrong.
    pub const INVALID_HEADER: &str = "INVALID_HEADER";
    /// The body is larger than the server accepts; HTTP 413.
    pub const MESSAGE_TOO_LARGE: &str = "MESSAGE_TOO_LARGE";
    /// The body is not of a type that can be read; HTTP 415.
    pub const UNSUPPORTED_MEDIA_TYPE: &str = "UNSUPPORTED_MEDIA_TYPE";
    /// The path is known, but not with this method; HTTP 405.
    pub const METHOD_NOT_ALLOWED: &str = "METHOD_NOT_ALLOWED";
    /// A fault of the server.
    pub const INTERNAL: &str = "INTERNAL";
}

fn with_reason(code: Code, reason: &str, message: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details)
}

fn violation(reason: &str, field: String, problem: String) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    let message = format!("{field}: {problem}");
    details.add_bad_request_violation(field, problem);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// A request that does not fit its message.
pub(crate) fn invalid(report: Report) -> Status {
    match report {
        Report::Json(message) => {
            let message = format!("the body is not valid JSON: {message}");
            with_reason(Code::InvalidArgument, reason::INVALID_JSON, message)
        }
        Report::Field(field, problem) => {
            let field = if field.is_empty() {
                "body".to_owned()
            } else {
                field
            };
            violation(reason::INVALID_FIELD, field, problem)
        }
    }
}

pub(crate) fn invalid_header(name: &str, problem: &str) -> Status {
    violation(reason::INVALID_HEADER, name.to_owned(), problem.to_owned())
}

pub(crate) fn too_large(limit: usize) -> Status {
    let message = format!("the body is larger than {limit} bytes, the most that is accepted");
    with_reason(Code::ResourceExhausted, reason::MESSAGE_TOO_LARGE, message)
}

pub(crate) fn unsupported_media_type(message: impl Into<String>) -> Status {
    with_reason(
        Code::InvalidArgument,
        reason::UNSUPPORTED_MEDIA_TYPE,
        message,
    )
}

pub(crate) fn method_not_allowed(method: &http::Method, allow: &str) -> Status {
    let message = format!("{method} is not allowed on this path; use {allow}");
    with_reason(Code::Unimplemented, reason::METHOD_NOT_ALLOWED, message)
}

/// A fault of ours or of the service behind.
pub(crate) fn internal(message: impl Into<String>) -> Status {
    with_reason(Code::Internal, reason::INTERNAL, message)
}

/// The HTTP status of a gRPC code, as `google.rpc.Code` documents it; a few
/// reasons have an HTTP status that says more.
pub(crate) fn http_status(status: &Status) -> http::StatusCode {
    use http::StatusCode as Http;
    let info = status.get_details_error_info();
    match info.as_ref().map(|info| info.reason.as_str()) {
        Some(reason::MESSAGE_TOO_LARGE) => return Http::PAYLOAD_TOO_LARGE,
        Some(reason::UNSUPPORTED_MEDIA_TYPE) => return Http::UNSUPPORTED_MEDIA_TYPE,
        Some(reason::METHOD_NOT_ALLOWED) => return Http::METHOD_NOT_ALLOWED,
        _ => {}
    }
    match status.code() {
        Code::Ok => Http::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => Http::BAD_REQUEST,
        Code::Unauthenticated => Http::UNAUTHORIZED,
        Code::PermissionDenied => Http::FORBIDDEN,
        Code::NotFound => Http::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => Http::CONFLICT,
        Code::ResourceExhausted => Http::TOO_MANY_REQUESTS,
        // "Client closed request", which has no name of its own.
        Code::Cancelled => Http::from_u16(499).unwrap_or(Http::BAD_REQUEST),
        Code::Unimplemented => Http::NOT_IMPLEMENTED,
        Code::Unavailable => Http::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => Http::GATEWAY_TIMEOUT,
        Code::Unknown | Code::Internal | Code::DataLoss => Http::INTERNAL_SERVER_ERROR,
    }
}
