//! A real OpenTelemetry Collector that writes the spans it receives to a file.

use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::program::{Program, free_port};
use crate::tools;

const FILE: &str = "spans.jsonl";

pub(super) struct Collector {
    pub(super) port: u16,
    program: Program,
}

/// One span, of which only its place in the trace matters here.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) trace: String,
    pub(super) id: String,
    /// Empty at a trace's root.
    pub(super) parent: String,
    pub(super) name: String,
    pub(super) service: String,
}

impl Collector {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let port = free_port()?;
        // JSON is YAML.
        let config = json!({
            "receivers": {"otlp": {"protocols": {
                "grpc": {"endpoint": format!("127.0.0.1:{port}")},
            }}},
            "exporters": {"file": {"path": FILE, "flush_interval": "100ms"}},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}},
            },
        });
        let mut command = Command::new(tools::path("bin/otelcol", "collector.sh")?);
        command.args(["--config", "config.yaml"]);
        let files = [("config.yaml", config.to_string())];
        let program = Program::start(command, &files, port).await?;
        Ok(Self { port, program })
    }

    /// All spans received so far.
    pub(super) fn spans(&self) -> anyhow::Result<Vec<Span>> {
        let mut spans = Vec::new();
        let text = self.program.file(FILE);
        // The last line may be half written.
        let batches = text.lines().filter_map(|l| serde_json::from_str(l).ok());
        for batch in batches.collect::<Vec<Value>>() {
            for resource in list(&batch["resourceSpans"]) {
                let attributes = list(&resource["resource"]["attributes"]);
                let service = (attributes.iter())
                    .find(|attribute| attribute["key"] == "service.name")
                    .and_then(|attribute| attribute["value"]["stringValue"].as_str())
                    .context("a resource without service.name")?;
                let scopes = list(&resource["scopeSpans"]).iter();
                spans.extend(scopes.flat_map(|s| list(&s["spans"])).map(|span| {
                    let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
                    Span {
                        trace: text("traceId"),
                        id: text("spanId"),
                        parent: text("parentSpanId"),
                        name: text("name"),
                        service: service.to_owned(),
                    }
                }));
            }
        }
        Ok(spans)
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
