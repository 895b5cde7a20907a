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
