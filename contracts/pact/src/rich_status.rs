//! A gRPC status with its details as the canonical JSON of `google.rpc.Status`, and back:
//! what a pact says about an error.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, ErrorDetails, StatusExt as _};

const TYPE_PREFIX: &str = "type.googleapis.com/google.rpc.";

/// The names of `google.rpc.Code`, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The name of a code, as `google.rpc.Code` has it.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
    usize::try_from(i32::from(code))
        .ok()
        .and_then(|number| CODES.get(number))
        .copied()
        .unwrap_or("UNKNOWN")
}

/// `google.rpc.Status` in canonical JSON.
///
/// # Errors
///
/// Where a detail is of a type that is not known here: it must not be lost in silence.
pub fn to_json(status: &Status) -> anyhow::Result<Value> {
    let details: Vec<Value> = (status.check_error_details_vec())
        .context("grpc-status-details-bin")?
        .iter()
        .map(detail)
        .collect::<anyhow::Result<_>>()?;
    let mut json = Map::new();
    json.insert("code".to_owned(), i32::from(status.code()).into());
    if !status.message().is_empty() {
        json.insert("message".to_owned(), status.message().into());
    }
    if !details.is_empty() {
        json.insert("details".to_owned(), details.into());
    }
    Ok(Value::Object(json))
}

fn detail(detail: &ErrorDetail) -> anyhow::Result<Value> {
    Ok(match detail {
        ErrorDetail::ErrorInfo(info) => {
            let mut json = json!({
                "@type": format!("{TYPE_PREFIX}ErrorInfo"),
                "reason": info.reason,
                "domain": info.domain,
            });
            if !info.metadata.is_empty() {
                json["metadata"] = json!(info.metadata);
            }
            json
        }
        ErrorDetail::BadRequest(bad) => json!({
            "@type": format!("{TYPE_PREFIX}BadRequest"),
            "fieldViolations": bad.field_violations.iter()
                .map(|v| json!({"field": v.field, "description": v.description}))
                .collect::<Vec<_>>(),
        }),
        ErrorDetail::RetryInfo(info) => {
            let delay = info.retry_delay.unwrap_or_default();
            json!({
                "@type": format!("{TYPE_PREFIX}RetryInfo"),
                "retryDelay": format!("{}s", delay.as_secs_f64()),
            })
        }
        ErrorDetail::QuotaFailure(failure) => json!({
            "@type": format!("{TYPE_PREFIX}QuotaFailure"),
            "violations": failure.violations.iter()
                .map(|v| json!({"subject": v.subject, "description": v.description}))
                .collect::<Vec<_>>(),
        }),
        other => bail!("a detail that pacts cannot say yet: {other:?}"),
    })
}

/// The status that a pact describes in canonical JSON.
///
/// # Errors
///
/// Where the JSON is no `google.rpc.Status` with the details known here.
pub fn from_json(json: &Value) -> anyhow::Result<Status> {
    let code = json["code"].as_i64().context("code")?;
    let code = Code::from_i32(i32::try_from(code)?);
    let message = json["message"].as_str().unwrap_or_default();
    let mut details = ErrorDetails::new();
    for detail in json["details"].as_array().into_iter().flatten() {
        let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
        let list = |name: &str| detail[name].as_array().cloned().unwrap_or_default();
        let part = |v: &Value, name: &str| v[name].as_str().unwrap_or_default().to_owned();
        match text("@type").strip_prefix(TYPE_PREFIX) {
            Some("ErrorInfo") => {
                let metadata: HashMap<String, String> = match detail.get("metadata") {
                    Some(metadata) => serde_json::from_value(metadata.clone())?,
                    None => HashMap::new(),
                };
                details.set_error_info(text("reason"), text("domain"), metadata);
            }
            Some("BadRequest") => {
                for v in list("fieldViolations") {
                    details.add_bad_request_violation(part(&v, "field"), part(&v, "description"));
                }
            }
            Some("RetryInfo") => {
                let delay = text("retryDelay");
                let seconds = delay.strip_suffix('s').context("retryDelay")?;
                details.set_retry_info(Some(Duration::try_from_secs_f64(seconds.parse()?)?));
            }
            Some("QuotaFailure") => {
                for v in list("violations") {
                    details
                        .add_quota_failure_violation(part(&v, "subject"), part(&v, "description"));
                }
            }
            _ => bail!("a detail that pacts cannot say yet: {detail}"),
        }
    }
    Ok(Status::with_error_details(code, message, details))
}
