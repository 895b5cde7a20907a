//! The names of the metrics that providers write, in one place so that a dashboard
//! and the code cannot drift apart.

/// Gauge, `provider`: answers that the local model is generating now.
pub(super) const LOCAL_ACTIVE: &str = "signalbox_local_active";
/// Gauge, `provider`: requests that wait for the local model.
pub(super) const LOCAL_QUEUED: &str = "signalbox_local_queued";
/// Counter, `provider`: prompt tokens that the local model has read.
pub(super) const LOCAL_PROMPT_TOKENS: &str = "signalbox_local_prompt_tokens_total";
/// Counter, `provider`: tokens that the local model has generated.
pub(super) const LOCAL_GENERATED_TOKENS: &str = "signalbox_local_generated_tokens_total";
/// Counter, `provider`: requests whose caller left before the answer was complete.
pub(super) const LOCAL_CANCELLED: &str = "signalbox_local_cancelled_total";
/// Counter, `provider`: requests refused because the queue was full.
pub(super) const LOCAL_REFUSED: &str = "signalbox_local_refused_total";
/// Gauge, `provider`: seconds that loading the local model took.
pub(super) const LOCAL_LOAD_SECONDS: &str = "signalbox_local_load_seconds";
