//! Names of what the Router measures. Spans follow OpenTelemetry's semantic
//! conventions for generative AI; no span, metric or log holds a prompt or an
//! answer.

/// Counter: requests, by model and outcome.
pub const REQUESTS: &str = "signalbox_router_requests_total";
/// Counter: tokens, by model and kind (`input`, `cached_input`, `output`).
pub const TOKENS: &str = "signalbox_router_tokens_total";
/// Counter: cost in pico-dollars, by model.
pub const COST: &str = "signalbox_router_cost_usd_picos_total";
/// Counter: attempts at a model that failed, by model and error.
pub const FAILED_ATTEMPTS: &str = "signalbox_router_failed_attempts_total";
/// Histogram: seconds from the call of a provider to its first token, by model.
pub const TIME_TO_FIRST_TOKEN: &str = "signalbox_router_time_to_first_token_seconds";
/// Counter: what guardrails took out, by type and direction.
pub const GUARD_REDACTIONS: &str = "signalbox_router_guard_redactions_total";
/// Counter: guardrails calls that failed and were let through, by direction.
pub const GUARD_FAILED_OPEN: &str = "signalbox_router_guard_failed_open_total";
/// Counter: bookings that the ledger refused.
pub const LOST_BOOKINGS: &str = "signalbox_router_lost_bookings_total";

/// Label: the model, by its name in the configuration.
pub(crate) const LABEL_MODEL: &str = "model";
/// Label: how a request ended, an error's kind, or `ok`.
pub(crate) const LABEL_OUTCOME: &str = "outcome";
/// Label: what kind of token.
pub(crate) const LABEL_KIND: &str = "kind";
/// Label: the type of a finding.
pub(crate) const LABEL_TYPE: &str = "type";
/// Label: `prompt` or `completion`.
pub(crate) const LABEL_DIRECTION: &str = "direction";

/// [`LABEL_DIRECTION`] on the way to a provider.
pub(crate) const PROMPT: &str = "prompt";
/// [`LABEL_DIRECTION`] on the way to the caller.
pub(crate) const COMPLETION: &str = "completion";
