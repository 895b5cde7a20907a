//! The Router's side of Guardrails: what must not reach a provider or a caller is
//! taken out here.
//!
//! One trait with three implementations: [`NoGuard`], the client of a Guardrails
//! service in [`remote`], and the engine in this process, which the binary adapts.

pub mod remote;
pub(crate) mod stream;

use std::time::Duration;

use futures_util::future::BoxFuture;
use tracing::Instrument as _;

use crate::telemetry;

/// Something found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is, for example `EMAIL`.
    pub kind: String,
    /// First byte of the span in the UTF-8 text.
    pub start: usize,
    /// One past the last byte of the span.
    pub end: usize,
    /// What stands in its place, for example `<EMAIL>`.
    pub replacement: String,
}

/// What to do with one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What to take out, in text order, none overlapping another. What a policy only
    /// flags is not in here.
    pub findings: Vec<Finding>,
    /// Whether the text must not be let through at all.
    pub blocked: bool,
}

/// A text without what was found in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Redacted {
    pub(crate) text: String,
    /// One kind for each finding.
    pub(crate) kinds: Vec<String>,
}

/// Why a guard gave no verdict.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GuardError {
    /// It cannot be reached, or failed by itself.
    #[error("guardrails cannot be reached: {0}")]
    Unavailable(String),
    /// It took too long.
    #[error("guardrails gave no answer within {0:?}")]
    Timeout(Duration),
    /// It does not accept the text, for example because it is too long.
    #[error("guardrails do not accept the text: {0}")]
    Rejected(String),
    /// Its answer makes no sense.
    #[error("guardrails sent a broken answer: {0}")]
    Broken(String),
}

/// Finds what must be taken out of texts.
pub trait Guard: Send + Sync {
    /// One verdict for each text, in order.
    fn redact(&self, texts: Vec<String>) -> BoxFuture<'_, Result<Vec<Verdict>, GuardError>>;
}

/// A guard that finds nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoGuard;

impl Guard for NoGuard {
    fn redact(&self, texts: Vec<String>) -> BoxFuture<'_, Result<Vec<Verdict>, GuardError>> {
        Box::pin(std::future::ready(Ok(vec![
            Verdict::default();
            texts.len()
        ])))
    }
}

impl Verdict {
    /// The text without the findings.
    ///
    /// # Errors
    ///
    /// [`GuardError::Broken`] when a span is not in the text, splits a character or
    /// overlaps the one before.
    pub(crate) fn apply(&self, text: &str) -> Result<Redacted, GuardError> {
        let mut redacted = Redacted::default();
        let mut copied = 0;
        for finding in &self.findings {
            let before = text
                .get(copied..finding.start)
                .filter(|_| text.get(finding.start..finding.end).is_some())
                .ok_or_else(|| broken_span(finding, text))?;
            redacted.text.push_str(before);
            redacted.text.push_str(&finding.replacement);
            redacted.kinds.push(finding.kind.clone());
            copied = finding.end;
        }
        redacted.text.push_str(&text[copied..]);
        Ok(redacted)
    }

    /// The kinds of the findings.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.findings
            .iter()
            .map(|finding| finding.kind.clone())
            .collect()
    }
}

fn broken_span(finding: &Finding, text: &str) -> GuardError {
    GuardError::Broken(format!(
        "the span {}..{} of a {} does not fit a text of {} bytes",
        finding.start,
        finding.end,
        finding.kind,
        text.len()
    ))
}

/// Asks a guard under a span and a time limit, and holds it to one verdict a text.
pub(crate) async fn ask(
    guard: &dyn Guard,
    texts: Vec<String>,
    limit: Duration,
) -> Result<Vec<Verdict>, GuardError> {
    let count = texts.len();
    let span = tracing::info_span!(
        "guardrails redact",
        signalbox.texts = count,
        signalbox.findings = tracing::field::Empty,
    );
    let verdicts = tokio::time::timeout(limit, guard.redact(texts).instrument(span.clone()))
        .await
        .unwrap_or(Err(GuardError::Timeout(limit)))?;
    if verdicts.len() != count {
        return Err(GuardError::Broken(format!(
            "{} verdicts for {count} texts",
            verdicts.len()
        )));
    }
    let findings: usize = verdicts.iter().map(|verdict| verdict.findings.len()).sum();
    span.record("signalbox.findings", findings);
    Ok(verdicts)
}

/// Counts what was taken out.
pub(crate) fn count_redactions(direction: &'static str, kinds: &[String]) {
    for kind in kinds {
        metrics::counter!(
            telemetry::GUARD_REDACTIONS,
            telemetry::LABEL_DIRECTION => direction,
            telemetry::LABEL_TYPE => kind.clone()
        )
        .increment(1);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use regex_automata::meta::Regex;

    use super::*;

    /// Finds US social security numbers, card numbers in groups of four, and email
    /// addresses by three naive patterns; blocks what holds `FORBIDDEN`.
    #[derive(Debug)]
    pub(crate) struct FakeGuard {
        patterns: Regex,
        kinds: [&'static str; 3],
    }

    impl FakeGuard {
        pub(crate) fn new() -> Self {
            Self {
                patterns: Regex::new_many(&[
                    r"\b\d{3}-\d{2}-\d{4}\b",
                    r"\b\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{4}\b",
                    r"\b[A-Za-z0-9._]{1,24}@[A-Za-z0-9.]{1,24}\.[a-z]{2,6}\b",
                ])
                .unwrap(),
                kinds: ["US_SSN", "CREDIT_CARD", "EMAIL"],
            }
        }

        pub(crate) fn verdict(&self, text: &str) -> Verdict {
            let findings = self.patterns.find_iter(text).map(|found| {
                let kind = self.kinds[found.pattern().as_usize()];
                Finding {
                    kind: kind.to_owned(),
                    start: found.start(),
                    end: found.end(),
                    replacement: format!("<{kind}>"),
                }
            });
            Verdict {
                findings: findings.collect(),
                blocked: text.contains("FORBIDDEN"),
            }
        }
    }

    impl Guard for FakeGuard {
        fn redact(&self, texts: Vec<String>) -> BoxFuture<'_, Result<Vec<Verdict>, GuardError>> {
            let verdicts = texts.iter().map(|text| self.verdict(text)).collect();
            Box::pin(std::future::ready(Ok(verdicts)))
        }
    }

    /// Answers every call with the same error.
    #[derive(Debug)]
    pub(crate) struct FailingGuard(pub(crate) GuardError);

    impl Guard for FailingGuard {
        fn redact(&self, _: Vec<String>) -> BoxFuture<'_, Result<Vec<Verdict>, GuardError>> {
            Box::pin(std::future::ready(Err(self.0.clone())))
        }
    }

    fn finding(start: usize, end: usize) -> Finding {
        Finding {
            kind: "X".to_owned(),
            start,
            end,
            replacement: "<X>".to_owned(),
        }
    }

    #[test]
    fn every_finding_is_replaced() {
        let verdict = Verdict {
            findings: vec![finding(0, 2), finding(4, 6)],
            blocked: false,
        };
        let redacted = verdict.apply("éaaébb").unwrap();
        assert_eq!(redacted.text, "<X>aa<X>bb");
        assert_eq!(redacted.kinds, ["X", "X"]);
    }

    #[test]
    fn a_span_that_does_not_fit_is_an_error_not_a_panic() {
        for findings in [
            vec![finding(0, 7)],
            vec![finding(1, 2)],
            vec![finding(0, 1)],
            vec![finding(3, 2)],
            vec![finding(2, 4), finding(3, 5)],
            vec![finding(9, 12)],
        ] {
            let verdict = Verdict {
                findings,
                blocked: false,
            };
            let error = verdict.apply("éabcd").unwrap_err();
            assert!(matches!(error, GuardError::Broken(_)), "{verdict:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_guard_that_says_nothing_times_out() {
        struct SilentGuard;
        impl Guard for SilentGuard {
            fn redact(&self, _: Vec<String>) -> BoxFuture<'_, Result<Vec<Verdict>, GuardError>> {
                Box::pin(std::future::pending())
            }
        }
        let limit = Duration::from_secs(2);
        let error = ask(&SilentGuard, vec![String::new()], limit).await;
        assert_eq!(error, Err(GuardError::Timeout(limit)));
    }

    #[tokio::test]
    async fn a_guard_that_forgets_a_text_is_broken() {
        struct ForgetfulGuard;
        impl Guard for ForgetfulGuard {
            fn redact(&self, _: Vec<String>) -> BoxFuture<'_, Result<Vec<Verdict>, GuardError>> {
                Box::pin(std::future::ready(Ok(Vec::new())))
            }
        }
        let error = ask(&ForgetfulGuard, vec![String::new()], Duration::MAX).await;
        assert!(matches!(error, Err(GuardError::Broken(_))), "{error:?}");
    }
}
