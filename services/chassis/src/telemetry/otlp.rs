//! Traces over OTLP.

use std::{collections::HashMap, time::Duration};

use opentelemetry_otlp::{
    SpanExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};

use super::{TelemetryConfig, TelemetryError};
use crate::config::Secret;

/// Where and how traces are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpConfig {
    /// The collector: `http://host:4317` for gRPC; for HTTP the whole address,
    /// `http://host:4318/v1/traces`.
    pub endpoint: String,
    /// The protocol that the collector speaks there.
    pub protocol: OtlpProtocol,
    /// How long one export may take, in milliseconds.
    pub timeout_ms: u64,
    /// Headers to send along, such as a key.
    pub headers: HashMap<String, Secret>,
}

/// OTLP's two transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OtlpProtocol {
    /// OTLP over gRPC.
    Grpc,
    /// Protobuf over HTTP.
    Http,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self {
            endpoint: "http://127.0.0.1:4317".to_owned(),
            protocol: OtlpProtocol::Grpc,
            timeout_ms: 5_000,
            headers: HashMap::new(),
        }
    }
}

impl OtlpConfig {
    /// The exporters look at their addresses late, and then only drop spans.
    pub(super) fn check(&self) -> Result<(), TelemetryError> {
        let uri = self.endpoint.parse::<http::Uri>().ok();
        let usable = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
        });
        if !usable {
            return Err(TelemetryError::Config {
                key: "otlp.endpoint",
                detail: format!(
                    "`{}` is no address; write it as in `http://127.0.0.1:4317`",
                    self.endpoint
                ),
            });
        }
        if self.timeout_ms == 0 {
            return Err(TelemetryError::Config {
                key: "otlp.timeout_ms",
                detail: "must be at least 1".to_owned(),
            });
        }
        metadata(self).map(drop)
    }
}

/// A tracer provider that exports as configured; without an endpoint it still
/// makes trace ids, which logs and upstream requests carry.
pub(super) fn tracer_provider(
    config: &TelemetryConfig,
    service_name: &str,
) -> Result<SdkTracerProvider, TelemetryError> {
    let resource = Resource::builder()
        .with_service_name(service_name.to_owned())
        .build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
        config.trace_sample_ratio,
    )));
    let builder = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(sampler);
    Ok(match &config.otlp {
        Some(otlp) => builder.with_batch_exporter(exporter(otlp)?).build(),
        None => builder.build(),
    })
}

fn exporter(config: &OtlpConfig) -> Result<SpanExporter, TelemetryError> {
    let timeout = Duration::from_millis(config.timeout_ms);
    match config.protocol {
        OtlpProtocol::Grpc => SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&config.endpoint)
            .with_timeout(timeout)
            .with_metadata(metadata(config)?)
            .build(),
        OtlpProtocol::Http => SpanExporter::builder()
            .with_http()
            .with_http_client(http_client(timeout)?)
            .with_endpoint(&config.endpoint)
            .with_timeout(timeout)
            .with_headers(
                config
                    .headers
                    .iter()
                    .map(|(k, v)| (k.clone(), v.expose().to_owned()))
                    .collect(),
            )
            .build(),
    }
    .map_err(|error| TelemetryError::Otlp(error.to_string()))
}

fn metadata(config: &OtlpConfig) -> Result<MetadataMap, TelemetryError> {
    let mut map = MetadataMap::new();
    for (name, value) in &config.headers {
        let bad = |what: &str| TelemetryError::Otlp(format!("headers: `{name}` {what}"));
        let key = MetadataKey::from_bytes(name.as_bytes()).map_err(|_| bad("is no header name"))?;
        let value = MetadataValue::try_from(value.expose())
            .map_err(|_| bad("has a value no header can hold"))?;
        map.insert(key, value);
    }
    Ok(map)
}

/// The batch exporter runs on a thread of its own, outside any async runtime, so
/// its HTTP client has to be a blocking one.
fn http_client(timeout: Duration) -> Result<reqwest::blocking::Client, TelemetryError> {
    crate::tls::install_crypto();
    // A blocking client starts a runtime, which must not happen on a thread that
    // already drives one.
    std::thread::spawn(move || {
        reqwest::blocking::Client::builder()
            .timeout(timeout)
            .build()
    })
    .join()
    .map_err(|_| TelemetryError::Otlp("the HTTP client did not start".to_owned()))?
    .map_err(|error| TelemetryError::Otlp(error.to_string()))
}
