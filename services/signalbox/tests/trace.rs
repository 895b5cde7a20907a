//! One request is one trace, from the client through Router, Guardrails and
//! provider, received by a real OpenTelemetry Collector.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    collections::HashMap,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use signalbox_fault_upstream::FaultUpstream;
use support::{Platform, eventually, tool, upstream_config};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT_SPAN: &str = "b7ad6b7169203331";

/// A running collector that writes what it receives to a file.
struct Collector {
    child: Child,
    folder: tempfile::TempDir,
    grpc: u16,
    http: u16,
}

impl Collector {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free_port = || {
            TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port()
        };
        let (grpc, http) = (free_port(), free_port());
        let out = folder.path().join("traces.jsonl");
        let config = json!({
            "receivers": {"otlp": {"protocols": {
                "grpc": {"endpoint": format!("127.0.0.1:{grpc}")},
                "http": {"endpoint": format!("127.0.0.1:{http}")},
            }}},
            "exporters": {"file": {"path": out, "flush_interval": "100ms"}},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}},
            },
        });
        // JSON is YAML.
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, config.to_string()).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(tool("bin/otelcol"));
        let child = command
            .arg("--config")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let collector = Self {
            child,
            folder,
            grpc,
            http,
        };
        eventually("the collector's start", || {
            std::net::TcpStream::connect(("127.0.0.1", collector.http)).ok()
        });
        collector
    }

    /// All spans received so far, each with its service's name under `service`.
    fn spans(&self) -> Vec<Value> {
        let text =
            std::fs::read_to_string(self.folder.path().join("traces.jsonl")).unwrap_or_default();
        let mut spans = Vec::new();
        for batch in text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        {
            for resource in batch["resourceSpans"].as_array().unwrap() {
                let service = attributes(&resource["resource"])["service.name"].clone();
                for scope in resource["scopeSpans"].as_array().unwrap() {
                    for span in scope["spans"].as_array().unwrap() {
                        let mut span = span.clone();
                        span["service"] = service.clone();
                        spans.push(span);
                    }
                }
            }
        }
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// OTLP's list of typed values as a map.
fn attributes(of: &Value) -> HashMap<String, Value> {
    let Some(list) = of["attributes"].as_array() else {
        return HashMap::new();
    };
    list.iter()
        .map(|pair| {
            let value = pair["value"]
                .as_object()
                .unwrap()
                .values()
                .next()
                .unwrap()
                .clone();
            (pair["key"].as_str().unwrap().to_owned(), value)
        })
        .collect()
}

async fn one_trace_through(protocol: &str) {
    let collector = Collector::start();
    let upstream = FaultUpstream::start().await;
    let config = upstream_config(&upstream.base_url(), &[("echo", "fault/echo")]);
    let endpoint = match protocol {
        "grpc" => format!("http://127.0.0.1:{}", collector.grpc),
        _ => format!("http://127.0.0.1:{}/v1/traces", collector.http),
    };
    let platform = Platform::start_file(
        &config,
        &[
            &format!("telemetry.otlp.endpoint={endpoint}"),
            &format!("telemetry.otlp.protocol={protocol}"),
        ],
    );
    let response = reqwest::Client::new()
        .post(format!("{}/v1/chat/completions", platform.url))
        .header("traceparent", format!("00-{TRACE}-{CLIENT_SPAN}-01"))
        .header("x-request-id", "trace-test")
        .json(&json!({"model": "auto", "messages": [{"role": "user", "content": "Mail ada@example.com"}]}))
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-request-id"], "trace-test");
    assert!(response.status().is_success());
    // Ending the process sends what is queued.
    platform.terminate();

    let spans = tokio::task::spawn_blocking(move || {
        eventually("the trace's arrival", || {
            let spans = collector.spans();
            spans
                .iter()
                .any(|span| span["parentSpanId"] == CLIENT_SPAN)
                .then_some(spans)
        })
    })
    .await
    .unwrap();
    let find = |what: &str, test: &dyn Fn(&Value) -> bool| {
        let found: Vec<_> = spans
            .iter()
            .filter(|span| span["traceId"] == TRACE && test(span))
            .collect();
        assert!(!found.is_empty(), "no span for {what} in {spans:#?}");
        found[0].clone()
    };
    let server = find("the call", &|span| span["parentSpanId"] == CLIENT_SPAN);
    assert_eq!(
        server["name"],
        "signalbox.router.v1.RouterService/CreateChatCompletion"
    );
    assert_eq!(server["service"], "signalbox");
    assert_eq!(server["kind"], 2, "SERVER");
    assert_eq!(attributes(&server)["request_id"], "trace-test");

    let model = find("the model", &|span| {
        attributes(span).contains_key("gen_ai.operation.name")
    });
    let said = attributes(&model);
    assert_eq!(said["gen_ai.operation.name"], "chat");
    assert_eq!(said["gen_ai.request.model"], "echo");
    assert_eq!(said["gen_ai.usage.input_tokens"], "2");
    assert_eq!(said["gen_ai.usage.output_tokens"], "2");
    let _guard = find("guardrails", &|span| {
        span["name"]
            .as_str()
            .is_some_and(|name| name.contains("guardrails"))
    });

    // The provider got the same trace, under a span of ours.
    let carried = upstream.records()[0].traceparent.clone().unwrap();
    let parts: Vec<&str> = carried.split('-').collect();
    assert_eq!(parts[1], TRACE);
    let parent = find("the provider's parent", &|span| span["spanId"] == parts[2]);
    let within = |mut span: Value| {
        while span["spanId"] != server["spanId"] {
            let above = span["parentSpanId"].clone();
            span = find("a parent", &|candidate| candidate["spanId"] == above);
        }
    };
    within(parent);
    within(model);
    let whole = Value::from(spans.clone()).to_string();
    assert!(
        !whole.contains("ada@example.com"),
        "a prompt leaked into a trace"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_reaches_a_collector_over_grpc() {
    one_trace_through("grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_reaches_a_collector_over_http() {
    one_trace_through("http").await;
}

/// Three processes, one trace: the Guardrails process' own span hangs under the
/// Router's.
#[tokio::test(flavor = "multi_thread")]
async fn one_trace_spans_the_processes() {
    let collector = Collector::start();
    let upstream = FaultUpstream::start().await;
    let config = upstream_config(&upstream.base_url(), &[("echo", "fault/echo")]);
    let endpoint = format!(
        "telemetry.otlp.endpoint=http://127.0.0.1:{}",
        collector.grpc
    );
    let guardrails = Platform::start_alone("signalbox-guardrails", None, &[&endpoint]);
    let url = format!("guardrails.url={}", guardrails.url);
    let router = Platform::start_alone("signalbox-router", Some(&config), &[&endpoint, &url]);
    let request =
        json!({"model": "auto", "messages": [{"role": "user", "content": "Mail ada@example.com"}]});
    let response = reqwest::Client::new()
        .post(format!("{}/v1/chat/completions", router.url))
        .header("traceparent", format!("00-{TRACE}-{CLIENT_SPAN}-01"))
        .json(&request)
        .send()
        .await
        .unwrap();
    assert!(response.status().is_success());
    router.terminate();
    guardrails.terminate();

    let spans = tokio::task::spawn_blocking(move || {
        eventually("both processes' spans", || {
            let spans: Vec<_> = collector
                .spans()
                .into_iter()
                .filter(|span| span["traceId"] == TRACE)
                .collect();
            let from = |name: &str| spans.iter().any(|span| span["service"] == name);
            (from("signalbox-router") && from("signalbox-guardrails")).then_some(spans)
        })
    })
    .await
    .unwrap();
    let checked = spans
        .iter()
        .find(|span| {
            span["service"] == "signalbox-guardrails"
                && span["name"] == "signalbox.guardrails.v1.GuardrailsService/BatchCheckText"
        })
        .unwrap_or_else(|| panic!("no server span of Guardrails in {spans:#?}"));
    let parent = spans
        .iter()
        .find(|span| span["spanId"] == checked["parentSpanId"]);
    let parent = parent.unwrap_or_else(|| panic!("no parent of {checked:#?} in {spans:#?}"));
    assert_eq!(parent["service"], "signalbox-router");
    assert!(
        upstream.records()[0]
            .traceparent
            .as_ref()
            .is_some_and(|carried| carried.contains(TRACE))
    );
}
