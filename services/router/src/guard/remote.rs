//! The guard behind a network: a client of `GuardrailsService`.

use std::time::Duration;

use futures_util::future::BoxFuture;
use signalbox_chassis::telemetry::propagation;
use signalbox_proto::guardrails::v1::{
    Action, BatchCheckTextRequest, CheckTextResponse,
    guardrails_service_client::GuardrailsServiceClient,
};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};

use super::{Finding, Guard, GuardError, Verdict};

/// Largest message in either direction: every prompt that the Router accepts, with
/// its findings.
const MAX_MESSAGE_BYTES: usize = 32 << 20;

/// Asks a Guardrails service; all texts of a prompt travel in one call, with a
/// deadline and the W3C trace context.
#[derive(Clone, Debug)]
pub struct RemoteGuard {
    client: GuardrailsServiceClient<Channel>,
    limit: Duration,
    policy: String,
}

impl RemoteGuard {
    /// A guard at `endpoint`, connected on first use and again whenever the connection
    /// is lost. Each call may take `limit`; `policy` names the profile to decide by,
    /// the service's default when empty.
    pub fn new(endpoint: &Endpoint, limit: Duration, policy: impl Into<String>) -> Self {
        let client = GuardrailsServiceClient::new(endpoint.connect_lazy())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self {
            client,
            limit,
            policy: policy.into(),
        }
    }

    async fn check(&self, texts: Vec<String>) -> Result<Vec<Verdict>, GuardError> {
        let mut request = Request::new(BatchCheckTextRequest {
            texts,
            policy: self.policy.clone(),
            ..BatchCheckTextRequest::default()
        });
        request.set_timeout(self.limit);
        propagation::inject_metadata(request.metadata_mut());
        let answer = self.client.clone().batch_check_text(request).await;
        let results = answer
            .map_err(|status| failure(&status, self.limit))?
            .into_inner()
            .results;
        results.into_iter().map(verdict).collect()
    }
}

impl Guard for RemoteGuard {
    fn redact(&self, texts: Vec<String>) -> BoxFuture<'_, Result<Vec<Verdict>, GuardError>> {
        Box::pin(self.check(texts))
    }
}

fn failure(status: &Status, limit: Duration) -> GuardError {
    match status.code() {
        Code::InvalidArgument | Code::OutOfRange => {
            GuardError::Rejected(status.message().to_owned())
        }
        Code::DeadlineExceeded | Code::Cancelled => GuardError::Timeout(limit),
        code => GuardError::Unavailable(format!("{code:?}: {}", status.message())),
    }
}

fn verdict(response: CheckTextResponse) -> Result<Verdict, GuardError> {
    let (redact, blocked) = match response.action() {
        Action::Allow | Action::Flag | Action::Log => (false, false),
        Action::Redact => (true, false),
        Action::Block => (true, true),
        Action::Unspecified => {
            let problem = format!("action {} is unknown", response.action);
            return Err(GuardError::Broken(problem));
        }
    };
    let findings = response
        .findings
        .into_iter()
        .filter(|finding| redact && is_taken_out(finding.action()));
    Ok(Verdict {
        findings: findings.map(finding).collect::<Result<_, _>>()?,
        blocked,
    })
}

/// A text that is redacted may hold findings that are only marked. A service that does
/// not say what is done about each takes all of them out.
fn is_taken_out(action: Action) -> bool {
    matches!(action, Action::Unspecified | Action::Redact | Action::Block)
}

fn finding(finding: signalbox_proto::guardrails::v1::Finding) -> Result<Finding, GuardError> {
    let offset = |value: u64| {
        usize::try_from(value)
            .map_err(|_| GuardError::Broken(format!("the offset {value} is out of range")))
    };
    Ok(Finding {
        start: offset(finding.start_byte)?,
        end: offset(finding.end_byte)?,
        replacement: format!("<{}>", finding.r#type),
        kind: finding.r#type,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn response(action: Action) -> CheckTextResponse {
        CheckTextResponse {
            action: action.into(),
            findings: vec![signalbox_proto::guardrails::v1::Finding {
                r#type: "EMAIL".to_owned(),
                start_byte: 2,
                end_byte: 7,
                ..Default::default()
            }],
            ..CheckTextResponse::default()
        }
    }

    #[test]
    fn a_finding_that_is_only_marked_stays() {
        for (action, count) in [
            (Action::Flag, 0),
            (Action::Log, 0),
            (Action::Redact, 1),
            (Action::Block, 1),
        ] {
            let mut response = response(Action::Redact);
            response.findings[0].action = action.into();
            assert_eq!(verdict(response).unwrap().findings.len(), count);
        }
    }

    #[test]
    fn only_redact_and_block_take_findings_out() {
        assert_eq!(
            verdict(response(Action::Allow)).unwrap(),
            Verdict::default()
        );
        assert_eq!(verdict(response(Action::Flag)).unwrap(), Verdict::default());
        let redacted = verdict(response(Action::Redact)).unwrap();
        assert!(!redacted.blocked);
        assert_eq!(redacted.findings[0].replacement, "<EMAIL>");
        assert_eq!(
            (redacted.findings[0].start, redacted.findings[0].end),
            (2, 7)
        );
        assert!(verdict(response(Action::Block)).unwrap().blocked);
    }

    #[test]
    fn an_action_from_the_future_is_no_permission() {
        let error = verdict(response(Action::Unspecified)).unwrap_err();
        assert!(matches!(error, GuardError::Broken(_)));
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_unavailable() {
        // Port 9 of this machine: discard, which nothing serves.
        let endpoint = Endpoint::from_static("http://127.0.0.1:9");
        let guard = RemoteGuard::new(&endpoint, Duration::from_secs(30), "");
        let error = guard.redact(vec!["text".to_owned()]).await.unwrap_err();
        assert!(matches!(error, GuardError::Unavailable(_)), "{error}");
    }
}
