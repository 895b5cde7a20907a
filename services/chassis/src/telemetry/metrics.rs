//! Metrics, recorded through the `metrics` facade and shown to Prometheus.

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::TelemetryError;

/// Seconds from a request's head to its answer's end. Labels: service, method,
/// code.
pub const RPC_DURATION: &str = "signalbox_rpc_duration_seconds";
/// Requests that are being answered. Labels: service, method.
pub const RPC_ACTIVE: &str = "signalbox_rpc_active_requests";
/// Handlers that panicked.
pub const RPC_PANICS: &str = "signalbox_rpc_panics_total";
/// Requests refused before their handler. Label: reason.
pub const RPC_REFUSED: &str = "signalbox_rpc_refused_total";
/// Open connections.
pub const CONNECTIONS: &str = "signalbox_connections";

/// Bucket bounds in seconds: from a cached lookup to a long generation.
const SECONDS: [f64; 18] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 180.0, 600.0,
];

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Makes these metrics the process's.
    pub(super) fn install() -> Result<Self, TelemetryError> {
        let failed = |error: metrics_exporter_prometheus::BuildError| {
            TelemetryError::Metrics(error.to_string())
        };
        let handle = PrometheusBuilder::new()
            .set_buckets(&SECONDS)
            .map_err(failed)?
            .install_recorder()
            .map_err(failed)?;
        describe_histogram!(
            RPC_DURATION,
            Unit::Seconds,
            "Time from a request's head to its answer's end"
        );
        describe_gauge!(RPC_ACTIVE, "Requests that are being answered");
        describe_counter!(RPC_REFUSED, "Requests refused before their handler");
        describe_counter!(RPC_PANICS, "Handlers that panicked");
        describe_gauge!(CONNECTIONS, "Open connections");
        Ok(Self(handle))
    }

    /// Metrics that nothing records to, for a server in a test.
    pub fn detached() -> Self {
        Self(PrometheusBuilder::new().build_recorder().handle())
    }

    /// The metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }

    /// Folds recorded samples into their buckets; without it they pile up while
    /// nobody scrapes.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}
