//! The names under which this service reports what it does, and the reporting.
//!
//! Spans follow OpenTelemetry's semantic conventions for generative AI
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>).

use std::time::Duration;

use tracing::{Span, field::Empty};

use crate::request::EmbedResponse;

/// Inputs embedded; label `model`.
pub const INPUTS: &str = "signalbox_embeddings_inputs_total";
/// Tokens read, special tokens included; label `model`.
pub const TOKENS: &str = "signalbox_embeddings_tokens_total";
/// Inputs cut at the model's limit; label `model`.
pub const TRUNCATED: &str = "signalbox_embeddings_truncated_inputs_total";
/// Requests refused because too many wait; label `model`.
pub const OVERLOADED: &str = "signalbox_embeddings_overloaded_total";
/// Seconds of each phase of a request; labels `model` and `phase`, which is `queue`,
/// `tokenize`, `infer`, `pool` (part of `infer`) or `total`.
pub const PHASE_SECONDS: &str = "signalbox_embeddings_phase_seconds";
/// Sequences of a batch; label `class`, `interactive` or `bulk`.
pub const BATCH_SEQUENCES: &str = "signalbox_embeddings_batch_sequences";
/// Tokens of a batch; label `class`.
pub const BATCH_TOKENS: &str = "signalbox_embeddings_batch_tokens";
/// Tokens in line; label `class`.
pub const WAITING_TOKENS: &str = "signalbox_embeddings_waiting_tokens";
/// Inputs that the cache knew; label `layer`: `memory` (equal inputs of one request
/// count here too), `redis`, or `flight` for those that another request was computing.
pub const CACHE_HITS: &str = "signalbox_embeddings_cache_hits_total";
/// Inputs that a layer of the cache was asked for and did not know; label `layer`.
pub const CACHE_MISSES: &str = "signalbox_embeddings_cache_misses_total";
/// Bytes that results take in this process.
pub const CACHE_BYTES: &str = "signalbox_embeddings_cache_bytes";
/// Commands that Redis did not answer, or not in time.
pub const CACHE_ERRORS: &str = "signalbox_embeddings_cache_redis_errors_total";
/// Requests whose results were not stored in Redis because too many waited.
pub const CACHE_DROPPED: &str = "signalbox_embeddings_cache_redis_dropped_total";

/// Requests to the providers of remote models, each attempt one; labels `model` and
/// `outcome`, `ok` or the kind of error.
pub const REMOTE_REQUESTS: &str = "signalbox_embeddings_remote_requests_total";

/// The `gen_ai.operation.name` of every span of this service.
pub const OPERATION: &str = "embeddings";

/// The span field of the tokens read.
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
        signalbox.embeddings.queue_ms = Empty,
        signalbox.embeddings.tokenize_ms = Empty,
        signalbox.embeddings.infer_ms = Empty,
        signalbox.embeddings.pool_ms = Empty,
        signalbox.embeddings.total_ms = Empty,
        enduser.id = (!user.is_empty()).then_some(user),
        error.type = Empty,
    )
}

/// Adds what a call did to the metrics and fills its span.
pub(crate) fn done(span: &Span, response: &EmbedResponse) {
    span.record(INPUT_TOKENS, response.tokens);
    let label = || [("model", response.model.to_string())];
    let truncated = response.data.iter().filter(|embedded| embedded.truncated);
    metrics::counter!(INPUTS, &label()).increment(response.data.len() as u64);
    metrics::counter!(TOKENS, &label()).increment(u64::from(response.tokens));
    metrics::counter!(TRUNCATED, &label()).increment(truncated.count() as u64);
    for (phase, elapsed) in response.phases.named() {
        span.record(phase_field(phase), elapsed.as_secs_f64() * 1e3);
        metrics::histogram!(PHASE_SECONDS, "model" => response.model.to_string(), "phase" => phase)
            .record(elapsed);
    }
}

/// The span field of a phase.
fn phase_field(phase: &'static str) -> &'static str {
    match phase {
        "queue" => "signalbox.embeddings.queue_ms",
        "tokenize" => "signalbox.embeddings.tokenize_ms",
        "infer" => "signalbox.embeddings.infer_ms",
        "pool" => "signalbox.embeddings.pool_ms",
        _ => "signalbox.embeddings.total_ms",
    }
}

/// Counts a refused request.
pub(crate) fn overloaded(model: &str) {
    metrics::counter!(OVERLOADED, "model" => model.to_owned()).increment(1);
}

/// Counts a request to a remote model's provider.
pub(crate) fn remote_request(model: &str, outcome: &'static str) {
    metrics::counter!(REMOTE_REQUESTS, "model" => model.to_owned(), "outcome" => outcome)
        .increment(1);
}

/// Counts a batch that a thread begins to compute.
pub(crate) fn batch(class: &'static str, sequences: usize, tokens: u64) {
    metrics::histogram!(BATCH_SEQUENCES, "class" => class).record(sequences as f64);
    metrics::histogram!(BATCH_TOKENS, "class" => class).record(tokens as f64);
}

/// Tells how many tokens of a class are in line.
pub(crate) fn waiting(class: &'static str, tokens: u64) {
    metrics::gauge!(WAITING_TOKENS, "class" => class).set(tokens as f64);
}

/// Where the cache looks.
#[derive(Clone, Copy)]
pub(crate) enum CacheLayer {
    Memory,
    Redis,
    Flight,
}

/// Counts what a layer knew and did not know.
pub(crate) fn cache_looked_up(layer: CacheLayer, hits: usize, misses: usize) {
    let layer = match layer {
        CacheLayer::Memory => "memory",
        CacheLayer::Redis => "redis",
        CacheLayer::Flight => "flight",
    };
    if hits > 0 {
        metrics::counter!(CACHE_HITS, "layer" => layer).increment(hits as u64);
    }
    if misses > 0 {
        metrics::counter!(CACHE_MISSES, "layer" => layer).increment(misses as u64);
    }
}

/// Says what results take in this process.
pub(crate) fn cache_bytes(bytes: u64) {
    metrics::gauge!(CACHE_BYTES).set(bytes as f64);
}

/// Counts a command that Redis did not answer.
pub(crate) fn cache_error() {
    metrics::counter!(CACHE_ERRORS).increment(1);
}

/// Counts a request whose results Redis did not get.
pub(crate) fn cache_dropped() {
    metrics::counter!(CACHE_DROPPED).increment(1);
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
