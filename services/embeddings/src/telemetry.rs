//! The names under which this service reports what it does, and the reporting.
//!
//! Spans follow OpenTelemetry's semantic conventions for generative AI
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>).

use std::time::Duration;

use tracing::{Span, field::Empty};

/// Inputs embedded; label `model`.
pub const INPUTS: &str = "signalbox_embeddings_inputs_total";
/// Tokens read, special tokens included; label `model`.
pub const TOKENS: &str = "signalbox_embeddings_tokens_total";
/// Inputs cut at the model's limit; label `model`.
pub const TRUNCATED: &str = "signalbox_embeddings_truncated_inputs_total";
/// Requests refused because too many wait; label `model`.
pub const OVERLOADED: &str = "signalbox_embeddings_overloaded_total";
/// Seconds that a request waited for a worker; label `model`.
pub const WAIT_SECONDS: &str = "signalbox_embeddings_wait_seconds";
/// Seconds that a worker took, tokenization included; label `model`.
pub const WORK_SECONDS: &str = "signalbox_embeddings_work_seconds";

/// The `gen_ai.operation.name` of every span of this service.
pub const OPERATION: &str = "embeddings";

/// The span field that [`Done::report`] fills.
const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";

/// The span of one call. `model` is the name of a loaded model, never a name that a
/// caller made up; `user` is the end user, nothing where none was named.
pub(crate) fn span(model: &str, inputs: usize, user: &str) -> Span {
    tracing::info_span!(
        "embeddings",
        otel.name = format!("{OPERATION} {model}"),
        gen_ai.operation.name = OPERATION,
        gen_ai.request.model = model,
        gen_ai.response.model = model,
        gen_ai.usage.input_tokens = Empty,
        signalbox.embeddings.inputs = inputs,
        enduser.id = (!user.is_empty()).then_some(user),
        error.type = Empty,
    )
}

/// What a successful call did.
pub(crate) struct Done {
    pub(crate) inputs: usize,
    pub(crate) tokens: u32,
    pub(crate) truncated: usize,
    pub(crate) waited: Duration,
    pub(crate) worked: Duration,
}

impl Done {
    /// Adds to the metrics and fills the span.
    pub(crate) fn report(&self, span: &Span, model: &str) {
        span.record(INPUT_TOKENS, self.tokens);
        let label = || [("model", model.to_owned())];
        metrics::counter!(INPUTS, &label()).increment(self.inputs as u64);
        metrics::counter!(TOKENS, &label()).increment(u64::from(self.tokens));
        metrics::counter!(TRUNCATED, &label()).increment(self.truncated as u64);
        metrics::histogram!(WAIT_SECONDS, &label()).record(self.waited);
        metrics::histogram!(WORK_SECONDS, &label()).record(self.worked);
    }
}

/// Counts a refused request.
pub(crate) fn overloaded(model: &str) {
    metrics::counter!(OVERLOADED, "model" => model.to_owned()).increment(1);
}

/// Jobs that are not final; label `state`, `pending` or `running`. With a distributed
/// store every process tells the same number.
pub const JOBS: &str = "signalbox_embeddings_jobs";
/// Jobs accepted; label `model`.
pub const JOBS_CREATED: &str = "signalbox_embeddings_jobs_created_total";
/// Jobs whose last chunk was stored here; labels `model` and `state`.
pub const JOBS_ENDED: &str = "signalbox_embeddings_jobs_ended_total";
/// Items stored here; labels `model` and `outcome`, `done` or `failed`.
pub const JOB_ITEMS: &str = "signalbox_embeddings_job_items_total";
/// Seconds from the claim of a chunk until its results are stored; label `model`.
pub const JOB_CHUNK_SECONDS: &str = "signalbox_embeddings_job_chunk_seconds";

/// Tells how many jobs are not final.
pub(crate) fn open_jobs(pending: u64, running: u64) {
    for (state, count) in [("pending", pending), ("running", running)] {
        // Exact up to 2^53.
        metrics::gauge!(JOBS, "state" => state).set(count as f64);
    }
}

/// Counts a job that was accepted.
pub(crate) fn job_created(model: &str) {
    metrics::counter!(JOBS_CREATED, "model" => model.to_owned()).increment(1);
}

/// Counts a job that ended here.
pub(crate) fn job_ended(model: &str, state: &'static str) {
    metrics::counter!(JOBS_ENDED, "model" => model.to_owned(), "state" => state).increment(1);
}

/// Counts a chunk that was stored.
pub(crate) fn job_chunk(model: &str, done: u32, failed: u32, took: Duration) {
    for (outcome, items) in [("done", done), ("failed", failed)] {
        metrics::counter!(JOB_ITEMS, "model" => model.to_owned(), "outcome" => outcome)
            .increment(items.into());
    }
    metrics::histogram!(JOB_CHUNK_SECONDS, "model" => model.to_owned()).record(took);
}
