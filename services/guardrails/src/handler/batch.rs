//! Many texts in one call: split over the cores, answered in order, and given up
//! when the caller goes away.

use std::{
    num::NonZero,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use signalbox_chassis::ApiError;
use signalbox_proto::guardrails::v1::CheckTextResponse;
use tokio::sync::Semaphore;
use tracing::field;

use super::{INLINE_BYTES, aborted, convert, on_core};
use crate::{
    audit::Asker,
    engine::{Engine, EngineError},
    policy::Plan,
};

/// Most texts of one call.
const MAX_TEXTS: usize = 10_000;

/// Checks all `texts`, or none when one is over a limit.
pub(super) async fn check(
    engine: &Arc<Engine>,
    cores: &Arc<Semaphore>,
    texts: Vec<String>,
    plan: Plan,
    asker: Asker,
) -> Result<Vec<CheckTextResponse>, ApiError> {
    let bytes = admit(engine, &texts)?;
    let span = tracing::info_span!(
        "guardrails.check",
        texts = texts.len(),
        bytes,
        findings = field::Empty,
    );
    let work = Arc::new(Work {
        engine: Arc::clone(engine),
        texts,
        plan,
        asker,
        abandoned: AtomicBool::new(false),
    });
    // Most texts of a batch are short, and each costs a little by itself too.
    let results = if bytes + work.texts.len() * 64 <= INLINE_BYTES {
        span.in_scope(|| work.check(0..work.texts.len()))
            .map_err(refusal)?
    } else {
        on_all_cores(&work, cores).await?
    };
    span.record(
        "findings",
        results
            .iter()
            .map(|result| result.findings.len())
            .sum::<usize>(),
    );
    Ok(results)
}

/// The bytes of all texts together.
fn admit(engine: &Engine, texts: &[String]) -> Result<usize, ApiError> {
    let count = texts.len();
    if !(1..=MAX_TEXTS).contains(&count) {
        return Err(ApiError::invalid_field(
            "texts",
            format!("holds {count} texts and 1 to {MAX_TEXTS} are accepted"),
        ));
    }
    for (index, text) in texts.iter().enumerate() {
        engine
            .admit(text)
            .map_err(|error| convert::engine_error(error, &format!("texts[{index}]")))?;
    }
    let bytes = texts.iter().map(String::len).sum();
    let limit = engine.max_batch_bytes();
    if bytes > limit {
        return Err(ApiError::invalid_field(
            "texts",
            format!("have {bytes} bytes together and at most {limit} are accepted; send fewer"),
        ));
    }
    Ok(bytes)
}

/// The texts were admitted, so the fault is in none of them alone.
fn refusal(error: EngineError) -> ApiError {
    convert::engine_error(error, "texts")
}

struct Work {
    engine: Arc<Engine>,
    texts: Vec<String>,
    plan: Plan,
    asker: Asker,
    /// The caller is gone: nobody reads the answers.
    abandoned: AtomicBool,
}

impl Work {
    fn check(&self, range: Range<usize>) -> Result<Vec<CheckTextResponse>, EngineError> {
        range
            .map_while(|index| {
                (!self.abandoned.load(Ordering::Relaxed)).then(|| {
                    let text = &self.texts[index];
                    let report = self.engine.check_quietly(text, self.plan.selection())?;
                    let (decided, answer) = convert::checked(&self.plan, &report.findings);
                    self.engine.control().audit().decided(
                        &self.asker,
                        "check",
                        &self.plan,
                        text,
                        &report.findings,
                        &decided,
                    );
                    Ok(answer)
                })
            })
            .collect()
    }
}

/// Dropped with the call's future, also when that is cancelled.
struct AbandonOnDrop<'w>(&'w Work);

impl Drop for AbandonOnDrop<'_> {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Relaxed);
    }
}

async fn on_all_cores(
    work: &Arc<Work>,
    cores: &Arc<Semaphore>,
) -> Result<Vec<CheckTextResponse>, ApiError> {
    let _guard = AbandonOnDrop(work);
    let count = thread::available_parallelism().map_or(1, NonZero::get);
    let mut tasks = Vec::with_capacity(count);
    for share in shares(&work.texts, count) {
        let work = Arc::clone(work);
        tasks.push(on_core(cores, move || work.check(share)).await?);
    }
    let mut results = Vec::with_capacity(work.texts.len());
    for task in tasks {
        let share = task.await.map_err(aborted)?;
        results.extend(share.map_err(refusal)?);
    }
    Ok(results)
}

/// At most `count` adjoining ranges of `texts`, of about the same bytes each.
fn shares(texts: &[String], count: usize) -> Vec<Range<usize>> {
    let cost = |text: &String| text.len() + 64;
    let total: usize = texts.iter().map(cost).sum();
    let fair = total.div_ceil(count).max(1);
    let mut shares = Vec::with_capacity(count);
    let (mut from, mut held) = (0, 0);
    for (index, text) in texts.iter().enumerate() {
        held += cost(text);
        if held >= fair {
            shares.push(from..index + 1);
            (from, held) = (index + 1, 0);
        }
    }
    if from < texts.len() {
        shares.push(from..texts.len());
    }
    shares
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use signalbox_chassis::RequestContext;

    use super::*;
    use crate::{config::GuardrailsConfig, policy::Terms};

    #[tokio::test]
    async fn a_batch_whose_caller_went_away_is_given_up() {
        let engine = Engine::new(&GuardrailsConfig::default()).unwrap();
        let control = engine.control();
        let plan = control.policies().plan(&Terms::default()).unwrap();
        let asker = control.asker(&RequestContext::anonymous());
        let work = Arc::new(Work {
            plan,
            asker,
            engine: Arc::new(engine),
            texts: vec!["bob@example.com ".repeat(60_000); 8],
            abandoned: AtomicBool::new(false),
        });
        let cores = Arc::new(Semaphore::new(2));
        let answered = tokio::select! {
            biased;
            _ = on_all_cores(&work, &cores) => true,
            () = std::future::ready(()) => false,
        };
        assert!(!answered, "eight megabytes were checked in no time");
        assert!(work.check(0..8).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn shares_cover_every_text_once_in_order(
            lengths in prop::collection::vec(0usize..900, 1..60),
            count in 1usize..9,
        ) {
            let texts: Vec<String> = lengths.iter().map(|&length| "x".repeat(length)).collect();
            let shares = shares(&texts, count);
            prop_assert!(shares.len() <= count);
            let covered: Vec<usize> = shares.into_iter().flatten().collect();
            prop_assert_eq!(covered, (0..texts.len()).collect::<Vec<_>>());
        }
    }
}
