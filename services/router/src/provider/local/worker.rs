//! The threads that generate. They live as long as the provider and survive a job that
//! panics.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Instant,
};

use super::{
    generate::{Events, Interrupted, Limits, generate},
    model::LanguageModel,
    queue::{Abandonable, JobQueue, Refused},
    sampler::Sampler,
    stats::Counters,
};
use crate::{chat::TokenUsage, provider::ProviderError};

/// An answer to generate.
pub(super) struct Job {
    pub(super) model: Arc<LanguageModel>,
    pub(super) provider: Arc<str>,
    /// Token ids, at least one and fewer than the context holds.
    pub(super) prompt: Vec<u32>,
    pub(super) limits: Limits,
    pub(super) sampler: Sampler,
    pub(super) events: Events,
    pub(super) span: tracing::Span,
}

impl Abandonable for Job {
    fn abandoned(&self) -> bool {
        self.events.is_closed()
    }
}

/// The worker threads. Dropping this lets them go once their jobs are done.
pub(super) struct Workers {
    queue: Arc<JobQueue<Job>>,
    counters: Arc<Counters>,
}

impl Workers {
    /// Starts one thread for each worker of the queue.
    pub(super) fn new(queue: Arc<JobQueue<Job>>, counters: Arc<Counters>) -> Self {
        let mut started = 0;
        for index in 0..queue.workers() {
            let (queue, counters) = (queue.clone(), counters.clone());
            let spawned = thread::Builder::new()
                .name(format!("signalbox-llm-{index}"))
                .spawn(move || serve(&queue, &counters));
            match spawned {
                Ok(_) => started += 1,
                Err(error) => tracing::error!(%error, index, "no thread for the local model"),
            }
        }
        if started == 0 {
            // Better a refusal than a request that waits for ever.
            queue.close();
        }
        Self { queue, counters }
    }

    /// Adds a job to the queue.
    pub(super) fn submit(&self, job: Job) -> Result<(), Refused> {
        match self.queue.push(job) {
            Ok(pushed) => {
                self.counters.cancelled(pushed.dropped);
                self.counters.waiting(pushed.waiting);
                Ok(())
            }
            Err(refused) => {
                self.counters.refused();
                Err(refused)
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn serve(queue: &JobQueue<Job>, counters: &Counters) {
    while let Some((job, waiting)) = queue.pop() {
        counters.waiting(waiting);
        counters.started();
        let started = Instant::now();
        let span = job.span.clone();
        let outcome = span.in_scope(|| answer(job, counters));
        // Counted before the worker shows as free, so that nobody sees neither.
        if matches!(outcome, Err(Interrupted::Cancelled)) {
            counters.cancelled(1);
        }
        record(&span, &outcome);
        counters.ended(started.elapsed());
        queue.done();
    }
}

/// Generates, and tells the caller if that fails.
fn answer(job: Job, counters: &Counters) -> Result<TokenUsage, Interrupted> {
    let Job {
        model,
        provider,
        prompt,
        limits,
        mut sampler,
        events,
        span: _,
    } = job;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        generate(&model, &prompt, limits, &mut sampler, &events, counters)
    }));
    let outcome = outcome
        .unwrap_or_else(|_| Err(Interrupted::Failed("the model's code panicked".to_owned())));
    if let Err(Interrupted::Failed(detail)) = &outcome {
        tracing::error!(%detail, "local generation failed");
        // The detail stays here: it may hold a backtrace. A caller that has left does
        // not mind.
        let _ = events.send(Err(ProviderError::Failed {
            provider: provider.to_string(),
            detail: "its model stopped; the server's log says why".to_owned(),
        }));
    }
    outcome
}

fn record(span: &tracing::Span, outcome: &Result<TokenUsage, Interrupted>) {
    match outcome {
        Ok(usage) => {
            span.record("prompt_tokens", usage.prompt);
            span.record("generated_tokens", usage.completion);
        }
        Err(Interrupted::Cancelled) => {
            span.record("cancelled", true);
        }
        Err(Interrupted::Failed(_)) => {}
    }
}
