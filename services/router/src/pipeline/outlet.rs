//! The way out: what of an answer is let through to the caller.

use std::sync::Arc;

use super::RouteError;
use crate::{
    Router,
    config::{GuardMode, GuardPolicy, OnFailure},
    guard::{
        self, Guard, GuardError, Redacted,
        stream::{StreamGuardError, StreamRedactor},
    },
    telemetry,
};

/// What may leave.
pub(super) type Passed = Redacted;

/// Lets one answer through, whole or in pieces.
pub(super) struct Outlet {
    guard: Arc<dyn Guard>,
    policy: GuardPolicy,
    /// `None` where nothing is checked.
    redactor: Option<StreamRedactor>,
    kinds: Vec<String>,
}

impl Outlet {
    pub(super) fn new(router: &Router) -> Self {
        let policy = router.policy;
        let redactor = (policy.completion == GuardMode::Redact).then(|| {
            let guard = Arc::clone(&router.guard);
            StreamRedactor::new(guard, policy.timeout, policy.hold_back)
        });
        Self {
            guard: Arc::clone(&router.guard),
            policy,
            redactor,
            kinds: Vec::new(),
        }
    }

    /// Lets a whole answer through.
    pub(super) async fn whole(&mut self, text: String) -> Result<Passed, RouteError> {
        let mut passed = Passed::default();
        if self.redactor.is_none() || text.is_empty() {
            passed.text = text;
            return Ok(passed);
        }
        let direction = telemetry::COMPLETION;
        let checked = guard_texts(&*self.guard, &self.policy, direction, vec![text]).await?;
        for one in checked {
            passed.text.push_str(&one.text);
            passed.kinds.extend(one.kinds);
        }
        Ok(passed)
    }

    /// Takes a piece; lets through what is certain.
    pub(super) async fn push(&mut self, piece: &str) -> Result<Passed, RouteError> {
        let Some(redactor) = &mut self.redactor else {
            return Ok(Passed {
                text: piece.to_owned(),
                kinds: Vec::new(),
            });
        };
        let passed = redactor.push(piece).await;
        self.decide(passed)
    }

    /// Lets through what was held back.
    pub(super) async fn finish(&mut self) -> Result<Passed, RouteError> {
        let Some(redactor) = &mut self.redactor else {
            return Ok(Passed::default());
        };
        let passed = redactor.finish().await;
        self.decide(passed)
    }

    /// The kinds of all that was taken out.
    pub(super) fn into_kinds(self) -> Vec<String> {
        self.kinds
    }

    fn decide(&mut self, passed: Result<Passed, StreamGuardError>) -> Result<Passed, RouteError> {
        match passed {
            Ok(passed) => {
                guard::count_redactions(telemetry::COMPLETION, &passed.kinds);
                self.kinds.extend_from_slice(&passed.kinds);
                Ok(passed)
            }
            Err(StreamGuardError::Blocked(kinds)) => Err(RouteError::Blocked {
                direction: telemetry::COMPLETION,
                kinds,
            }),
            Err(StreamGuardError::Guard(error)) => {
                let unchecked = self.redactor.as_mut().map(StreamRedactor::take_unchecked);
                let text = unchecked.unwrap_or_default();
                let open = unless_closed(&self.policy, telemetry::COMPLETION, error);
                open.map(|()| Passed {
                    text,
                    kinds: Vec::new(),
                })
            }
        }
    }
}

/// Redacts texts in one call, by the policy's rules for blocks and failures.
pub(super) async fn guard_texts(
    guard: &dyn Guard,
    policy: &GuardPolicy,
    direction: &'static str,
    texts: Vec<String>,
) -> Result<Vec<Redacted>, RouteError> {
    let checked = guard::ask(guard, texts.clone(), policy.timeout)
        .await
        .and_then(|verdicts| {
            let redacted = texts.iter().zip(&verdicts);
            let redacted = redacted.map(|(text, verdict)| verdict.apply(text));
            Ok((redacted.collect::<Result<Vec<_>, _>>()?, verdicts))
        });
    let (redacted, verdicts) = match checked {
        Ok(checked) => checked,
        Err(error) => {
            unless_closed(policy, direction, error)?;
            return Ok(texts.into_iter().map(unchecked).collect());
        }
    };
    if verdicts.iter().any(|verdict| verdict.blocked) {
        let blocked = verdicts.iter().filter(|verdict| verdict.blocked);
        return Err(RouteError::Blocked {
            direction,
            kinds: blocked.flat_map(guard::Verdict::kinds).collect(),
        });
    }
    for one in &redacted {
        guard::count_redactions(direction, &one.kinds);
    }
    Ok(redacted)
}

fn unchecked(text: String) -> Redacted {
    Redacted {
        text,
        kinds: Vec::new(),
    }
}

/// The error, unless the policy is to go on without a check.
fn unless_closed(
    policy: &GuardPolicy,
    direction: &'static str,
    error: GuardError,
) -> Result<(), RouteError> {
    match policy.on_failure {
        OnFailure::Closed => Err(error.into()),
        OnFailure::Open => {
            tracing::warn!(%error, direction, "not checked, and let through by policy");
            metrics::counter!(telemetry::GUARD_FAILED_OPEN, telemetry::LABEL_DIRECTION => direction)
                .increment(1);
            Ok(())
        }
    }
}
