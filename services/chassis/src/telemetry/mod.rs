//! Logs, traces and metrics of a process, set up once by its binary.

mod logs;
pub mod metrics;
mod otlp;
mod panics;
pub mod propagation;

use std::io::IsTerminal as _;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

pub use self::{metrics::Metrics, otlp::OtlpConfig};

/// What a process tells about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// How log lines are written, to standard error.
    pub log_format: LogFormat,
    /// Which log lines are written, in the syntax of `RUST_LOG`, such as
    /// `info,signalbox_router=debug`.
    pub log_filter: String,
    /// The name that traces carry; the binary's own name when empty.
    pub service_name: String,
    /// Share of the traces begun here that is recorded, 0 to 1; a caller's own
    /// decision is followed.
    pub trace_sample_ratio: f64,
    /// Where traces are sent; nowhere when absent.
    pub otlp: Option<OtlpConfig>,
}

impl TelemetryConfig {
    fn check(&self) -> Result<(), TelemetryError> {
        if !(0.0..=1.0).contains(&self.trace_sample_ratio) {
            return Err(TelemetryError::Config {
                key: "trace_sample_ratio",
                detail: format!(
                    "{} is no share; write a number from 0 to 1",
                    self.trace_sample_ratio
                ),
            });
        }
        self.otlp.as_ref().map_or(Ok(()), OtlpConfig::check)
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// `text` on a terminal, `json` elsewhere.
    Auto,
    /// One line for a person.
    Text,
    /// One JSON object a line, with the ids of the trace and the span.
    Json,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Auto,
            log_filter: "info".to_owned(),
            service_name: String::new(),
            trace_sample_ratio: 1.0,
            otlp: None,
        }
    }
}

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log_filter` makes no sense.
    #[error("telemetry.log_filter: {0}; write it as in `info,signalbox_router=debug`")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// A value makes no sense.
    #[error("telemetry.{key}: {detail}")]
    Config {
        /// The configuration key.
        key: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// The OTLP exporter cannot be made.
    #[error("telemetry.otlp: {0}")]
    Otlp(String),
    /// The metrics recorder cannot be made.
    #[error("metrics cannot be recorded: {0}")]
    Metrics(String),
    /// Telemetry was already started in this process.
    #[error("telemetry was already started in this process")]
    Twice,
}

/// Running telemetry; sends what is left when it is shut down.
pub struct Telemetry {
    tracer: SdkTracerProvider,
    metrics: Metrics,
}

impl Telemetry {
    /// Starts logs, traces and metrics for the whole process.
    ///
    /// # Errors
    /// [`TelemetryError`] when the configuration makes no sense.
    pub fn start(config: &TelemetryConfig, binary: &'static str) -> Result<Self, TelemetryError> {
        config.check()?;
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let service_name = if config.service_name.is_empty() {
            binary
        } else {
            &config.service_name
        };
        let tracer = otlp::tracer_provider(config, service_name)?;
        let filter = EnvFilter::try_new(&config.log_filter)?;
        let as_text = match config.log_format {
            LogFormat::Text => true,
            LogFormat::Json => false,
            LogFormat::Auto => std::io::stderr().is_terminal(),
        };
        let lines = if as_text {
            tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_target(false)
                .boxed()
        } else {
            tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .fmt_fields(tracing_subscriber::fmt::format::JsonFields::new())
                .event_format(logs::JsonLines)
                .boxed()
        };
        // The filter is for lines only: traces must not thin out with them.
        let spans = tracing_opentelemetry::layer()
            .with_tracer(tracer.tracer("signalbox"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(tracing_subscriber::filter::filter_fn(is_ours));
        tracing_subscriber::registry()
            .with(spans)
            .with(lines.with_filter(filter))
            .try_init()
            .map_err(|_| TelemetryError::Twice)?;
        panics::install_hook();
        Ok(Self {
            tracer,
            metrics: Metrics::install()?,
        })
    }

    /// The process's metrics.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Sends the spans that are still queued. Blocks for at most the exporter's
    /// timeout.
    pub fn shutdown(self) {
        if let Err(error) = self.tracer.shutdown() {
            tracing::debug!(%error, "traces may be incomplete");
        }
    }
}

/// Spans of libraries are noise in a trace of a request, and events inside them
/// could hold what we would not log.
fn is_ours(metadata: &tracing::Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("signalbox")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn otlp(change: impl FnOnce(&mut OtlpConfig)) -> TelemetryConfig {
        let mut otlp = OtlpConfig::default();
        change(&mut otlp);
        TelemetryConfig {
            otlp: Some(otlp),
            ..TelemetryConfig::default()
        }
    }

    #[test]
    fn values_that_make_no_sense_are_named() {
        let ratio = |trace_sample_ratio| TelemetryConfig {
            trace_sample_ratio,
            ..TelemetryConfig::default()
        };
        assert!(TelemetryConfig::default().check().is_ok());
        assert!(
            otlp(|otlp| otlp.endpoint = "https://otel.example:4317".to_owned())
                .check()
                .is_ok()
        );
        for (config, key) in [
            (ratio(1.5), "telemetry.trace_sample_ratio"),
            (ratio(-0.1), "telemetry.trace_sample_ratio"),
            (ratio(f64::NAN), "telemetry.trace_sample_ratio"),
            (
                otlp(|otlp| otlp.endpoint = "collector:4317".to_owned()),
                "telemetry.otlp.endpoint",
            ),
            (
                otlp(|otlp| otlp.endpoint = String::new()),
                "telemetry.otlp.endpoint",
            ),
            (
                otlp(|otlp| otlp.endpoint = "grpc://host:4317".to_owned()),
                "telemetry.otlp.endpoint",
            ),
            (
                otlp(|otlp| otlp.timeout_ms = 0),
                "telemetry.otlp.timeout_ms",
            ),
            (
                otlp(|otlp| {
                    otlp.headers
                        .insert("no name".to_owned(), crate::config::Secret::new("x"));
                }),
                "telemetry.otlp: headers",
            ),
        ] {
            let message = config.check().unwrap_err().to_string();
            assert!(message.starts_with(key), "{message}");
        }
    }
}
