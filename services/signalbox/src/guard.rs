//! The Guardrails engine of this process as the Router's guard.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use signalbox_guardrails::{Engine, EngineError, Selection};
use signalbox_router::guard::{Finding, Guard, GuardError, Verdict};

/// Texts up to this size together are checked where they are: a check runs at
/// tens of megabytes a second, so they hold up a worker for about a millisecond.
const INLINE_BYTES: usize = 32 << 10;

/// Checks with an engine in this process.
pub(crate) struct LocalGuard(Arc<Engine>);

impl LocalGuard {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self(engine)
    }
}

impl Guard for LocalGuard {
    fn redact(&self, texts: Vec<String>) -> BoxFuture<'_, Result<Vec<Verdict>, GuardError>> {
        let engine = Arc::clone(&self.0);
        let bytes: usize = texts.iter().map(String::len).sum();
        Box::pin(async move {
            if bytes <= INLINE_BYTES {
                return verdicts(&engine, &texts);
            }
            tokio::task::spawn_blocking(move || verdicts(&engine, &texts))
                .await
                .map_err(|error| GuardError::Unavailable(error.to_string()))?
        })
    }
}

fn verdicts(engine: &Engine, texts: &[String]) -> Result<Vec<Verdict>, GuardError> {
    texts
        .iter()
        .map(|text| verdict(engine, text).map_err(|error| GuardError::Rejected(error.to_string())))
        .collect()
}

fn verdict(engine: &Engine, text: &str) -> Result<Verdict, EngineError> {
    let report = engine.check(text, &Selection::default_on())?;
    let findings = report
        .findings
        .into_iter()
        .map(|finding| Finding {
            kind: finding.kind.to_string(),
            start: finding.start_byte,
            end: finding.end_byte,
            replacement: format!("<{}>", finding.kind),
        })
        .collect();
    Ok(Verdict {
        findings,
        blocked: false,
    })
}
