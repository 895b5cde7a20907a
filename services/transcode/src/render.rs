//! A gRPC status as an HTTP answer, in either of two shapes.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Response, header};
use prost::Message as _;
use prost_reflect::DescriptorPool;
use serde_json::{Value, json};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;

use crate::{
    encode,
    headers::pass_metadata,
    plan::{Plan, PlanBuilder},
    status::{http_status, reason},
};

/// What the JSON of an error looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorShape {
    /// `{"error": {"message", "type", "code", "param"}}`, as `OpenAI`'s clients
    /// read it.
    OpenAi,
    /// `google.rpc.Status`: `{"code", "message", "details": [{"@type", ...}]}`.
    GoogleRpc,
}

/// A status as an HTTP response: the HTTP status that `google.rpc.Code` maps it
/// to, JSON of the given shape, the status's metadata as headers, and
/// `Retry-After` in whole seconds, rounded up, when it carries a `RetryInfo`.
pub fn error_response(status: &Status, shape: ErrorShape) -> Response<Body> {
    let text = error_json(status, shape).to_string();
    let mut response = Response::new(Body::new(http_body_util::Full::from(text)));
    *response.status_mut() = http_status(status);
    let headers = response.headers_mut();
    pass_metadata(status.metadata().as_ref(), headers);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let delay = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    if let Some(delay) = delay {
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// The body of [`error_response`]; also what an event of a broken stream holds.
pub(crate) fn error_json(status: &Status, shape: ErrorShape) -> Value {
    match shape {
        ErrorShape::OpenAi => open_ai(status),
        ErrorShape::GoogleRpc => {
            let details = tonic_types::Status::decode(status.details())
                .unwrap_or_default()
                .details;
            let details: Vec<Value> = details
                .iter()
                .map(|any| detail(&any.type_url, &any.value))
                .collect();
            json!({
                "code": i32::from(status.code()),
                "message": status.message(),
                "details": details,
            })
        }
    }
}

fn open_ai(status: &Status) -> Value {
    let info = status.get_details_error_info();
    let known = info.as_ref().map(|info| info.reason.as_str());
    let code = known.map_or_else(|| code_name(status.code()).to_owned(), str::to_lowercase);
    let violations = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations);
    let param = violations
        .and_then(|all| all.into_iter().next())
        .map(|first| first.field);
    let kind = match (status.code(), known) {
        (_, Some(reason::MESSAGE_TOO_LARGE | reason::METHOD_NOT_ALLOWED)) => {
            "invalid_request_error"
        }
        (
            Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::AlreadyExists
            | Code::Aborted,
            _,
        ) => "invalid_request_error",
        (Code::Unauthenticated, _) => "authentication_error",
        (Code::PermissionDenied, _) => "permission_error",
        (Code::NotFound, _) => "not_found_error",
        (Code::ResourceExhausted, _) => "rate_limit_error",
        (Code::DeadlineExceeded, _) => "timeout_error",
        _ => "server_error",
    };
    json!({"error": {"message": status.message(), "type": kind, "code": code, "param": param}})
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

/// The messages of `google/rpc/error_details.proto`, compiled once.
static DETAILS: LazyLock<(Plan, Vec<String>)> = LazyLock::new(|| {
    let mut builder = PlanBuilder::default();
    let mut names = Vec::new();
    if let Ok(pool) = DescriptorPool::decode(tonic_types::pb::FILE_DESCRIPTOR_SET) {
        let details = pool.all_messages().filter(|message| {
            message.package_name() == "google.rpc" && message.parent_message().is_none()
        });
        for message in details {
            if builder.message(&message).is_ok() {
                names.push(message.full_name().to_owned());
            }
        }
    }
    (builder.finish(), names)
});

/// One detail; an unknown type keeps its bytes, as base64.
fn detail(type_url: &str, value: &[u8]) -> Value {
    let (plan, known) = &*DETAILS;
    let name = type_url.rsplit('/').next().unwrap_or(type_url);
    let index = plan
        .messages
        .iter()
        .position(|message| *message.full_name == *name);
    let mut object = None;
    if let Some(index) = index.filter(|_| known.iter().any(|known| known == name)) {
        let mut text = Vec::new();
        if encode::terse_message(plan, index as u32, value, &mut text).is_ok() {
            object = serde_json::from_slice(&text).ok();
        }
    }
    let mut object: serde_json::Map<String, Value> = object.unwrap_or_else(|| {
        [("value".to_owned(), STANDARD.encode(value).into())]
            .into_iter()
            .collect()
    });
    object.insert("@type".to_owned(), type_url.into());
    object.into()
}
