//! A domain error becomes the one that crosses the wire, once, here.

use std::time::Duration;

use signalbox_chassis::{ApiError, error::reason};
use tonic::Code;

use crate::{
    guard::GuardError,
    ledger::LedgerError,
    pipeline::{FailedAttempt, RouteError},
    provider::ProviderError,
};

/// A guardrail blocks the text.
const GUARDRAIL_BLOCKED: &str = "GUARDRAIL_BLOCKED";
/// Guardrails could not check the text.
const GUARDRAILS_UNAVAILABLE: &str = "GUARDRAILS_UNAVAILABLE";
/// Usage cannot be booked or read.
const LEDGER_UNAVAILABLE: &str = "LEDGER_UNAVAILABLE";
/// No provider that may answer can be reached, or it failed.
const PROVIDER_UNAVAILABLE: &str = "PROVIDER_UNAVAILABLE";
/// A provider took too long.
const PROVIDER_TIMEOUT: &str = "PROVIDER_TIMEOUT";
/// A provider has no room.
const PROVIDER_OVERLOADED: &str = "PROVIDER_OVERLOADED";
/// A provider says that the request is wrong.
const PROVIDER_REJECTED: &str = "PROVIDER_REJECTED";
/// A provider does not accept the operator's key.
const PROVIDER_CREDENTIALS: &str = "PROVIDER_CREDENTIALS";
/// A provider's answer makes no sense, or was cut.
const PROVIDER_BROKEN: &str = "PROVIDER_BROKEN";

/// When to come back where nobody said it.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<RouteError> for ApiError {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::UnknownModel(unknown) => {
                ApiError::not_found("model", &unknown.name, unknown.hint)
            }
            RouteError::Blocked { direction, kinds } => ApiError::new(
                Code::FailedPrecondition,
                GUARDRAIL_BLOCKED,
                format!("guardrails block the {direction}"),
            )
            .with_metadata("direction", direction)
            .with_metadata("types", &kinds.join(",")),
            RouteError::Guard(error) => guard(&error),
            RouteError::Attempts { last, earlier } => attempts(&last, &earlier),
            RouteError::DeadlineExceeded => ApiError::new(
                Code::DeadlineExceeded,
                reason::DEADLINE_EXCEEDED,
                "the request's deadline passed before the answer was complete",
            ),
            RouteError::Ledger(error) => ledger(error),
            RouteError::Internal(problem) => {
                tracing::error!(problem, "internal error");
                ApiError::internal("the router is at fault; its log says more")
            }
        }
    }
}

/// The ledger's error. Its text stays in the log: it may hold a path.
pub(super) fn ledger(error: LedgerError) -> ApiError {
    tracing::error!(%error, "the ledger failed");
    ApiError::new(
        Code::Unavailable,
        LEDGER_UNAVAILABLE,
        "the usage ledger is not available",
    )
    .with_retry_after(RETRY_AFTER)
}

fn guard(error: &GuardError) -> ApiError {
    tracing::error!(%error, "guardrails failed");
    if let GuardError::Rejected(problem) = error {
        return ApiError::invalid_field(
            "messages",
            format!("guardrails cannot check them: {problem}"),
        );
    }
    ApiError::new(
        Code::Unavailable,
        GUARDRAILS_UNAVAILABLE,
        "the text could not be checked by guardrails, and is not let through unchecked",
    )
    .with_retry_after(RETRY_AFTER)
}

fn attempts(last: &FailedAttempt, earlier: &[FailedAttempt]) -> ApiError {
    let count = (earlier.len() + 1).to_string();
    let tried: Vec<_> = earlier
        .iter()
        .chain([last])
        .map(|one| &*one.model)
        .collect();
    provider(&last.error)
        .with_metadata("provider", &last.provider)
        .with_metadata("model", &last.model)
        .with_metadata("attempts", &count)
        .with_metadata("models_tried", &tried.join(","))
}

fn provider(error: &ProviderError) -> ApiError {
    let unavailable = |reason, message| {
        ApiError::new(Code::Unavailable, reason, message).with_retry_after(RETRY_AFTER)
    };
    match error {
        ProviderError::Unreachable { provider, .. } => unavailable(
            PROVIDER_UNAVAILABLE,
            format!("the provider {provider} cannot be reached"),
        ),
        ProviderError::Failed { .. } => unavailable(PROVIDER_UNAVAILABLE, error.to_string()),
        ProviderError::Timeout { .. } => unavailable(PROVIDER_TIMEOUT, error.to_string()),
        ProviderError::Broken { .. } => unavailable(PROVIDER_BROKEN, error.to_string()),
        ProviderError::Overloaded { retry_after, .. } => ApiError::exhausted(
            PROVIDER_OVERLOADED,
            error.to_string(),
            retry_after.unwrap_or(RETRY_AFTER),
        ),
        ProviderError::Rejected { field, .. } => {
            let rejected =
                ApiError::new(Code::InvalidArgument, PROVIDER_REJECTED, error.to_string());
            match field {
                Some(field) => rejected.with_violation(field, error.to_string()),
                None => rejected,
            }
        }
        // No retry helps, and which key is wrong is the operator's business alone.
        ProviderError::Unauthorized { provider } => ApiError::new(
            Code::Unavailable,
            PROVIDER_CREDENTIALS,
            format!("the credentials configured for the provider {provider} are wrong"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;
    use tonic_types::StatusExt as _;

    use super::*;

    fn status(error: ProviderError) -> Status {
        let attempt = |model: &str, error| FailedAttempt {
            model: model.into(),
            provider: "acme".into(),
            error,
        };
        let earlier = ProviderError::Failed {
            provider: "acme".to_owned(),
            detail: "500".to_owned(),
        };
        ApiError::from(RouteError::Attempts {
            last: Box::new(attempt("big", error)),
            earlier: vec![attempt("small", earlier)],
        })
        .into()
    }

    #[test]
    fn every_provider_error_has_its_code_and_says_who_was_tried() {
        let provider = || "acme".to_owned();
        let detail = || "because".to_owned();
        let wait = Some(Duration::from_secs(7));
        for (error, code, retry) in [
            (
                ProviderError::Unreachable {
                    provider: provider(),
                    detail: detail(),
                },
                Code::Unavailable,
                Some(RETRY_AFTER),
            ),
            (
                ProviderError::Timeout {
                    provider: provider(),
                    phase: "first token",
                    limit: Duration::from_secs(3),
                },
                Code::Unavailable,
                Some(RETRY_AFTER),
            ),
            (
                ProviderError::Overloaded {
                    provider: provider(),
                    detail: detail(),
                    retry_after: wait,
                },
                Code::ResourceExhausted,
                wait,
            ),
            (
                ProviderError::Rejected {
                    provider: provider(),
                    field: None,
                    detail: detail(),
                },
                Code::InvalidArgument,
                None,
            ),
            (
                ProviderError::Unauthorized {
                    provider: provider(),
                },
                Code::Unavailable,
                None,
            ),
            (
                ProviderError::Broken {
                    provider: provider(),
                    detail: detail(),
                },
                Code::Unavailable,
                Some(RETRY_AFTER),
            ),
        ] {
            let name = error.to_string();
            let status = status(error);
            let details = status.get_error_details();
            assert_eq!(status.code(), code, "{name}");
            let told = details.retry_info().and_then(|info| info.retry_delay);
            assert_eq!(told, retry, "{name}");
            let facts = details
                .error_info()
                .map(|info| info.metadata.clone())
                .unwrap_or_default();
            assert_eq!(facts["provider"], "acme");
            assert_eq!(facts["model"], "big");
            assert_eq!(facts["attempts"], "2");
            assert_eq!(facts["models_tried"], "small,big");
        }
    }

    #[test]
    fn a_field_that_the_provider_names_is_named() {
        let status = status(ProviderError::Rejected {
            provider: "acme".to_owned(),
            field: Some("max_tokens".to_owned()),
            detail: "too large".to_owned(),
        });
        let details = status.get_error_details();
        let violations = &details
            .bad_request()
            .map(|bad| bad.field_violations.clone());
        assert_eq!(
            violations.as_ref().map(|all| all[0].field.as_str()),
            Some("max_tokens")
        );
    }

    #[test]
    fn what_the_transport_and_the_disk_say_stays_inside() {
        let unreachable = status(ProviderError::Unreachable {
            provider: "acme".to_owned(),
            detail: "http://10.0.0.7/?key=secret".to_owned(),
        });
        assert!(!unreachable.message().contains("secret"));
        let ledger: Status = ledger(LedgerError::Store("/var/lib: full".to_owned())).into();
        assert!(!ledger.message().contains("/var"));
    }
}
