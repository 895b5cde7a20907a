//! What `/metrics` tells of calls that end in every way.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Event, NAME, Served, http, piece, soon, text};
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use signalbox_chassis::{
    server::ServerConfig,
    telemetry::{Telemetry, TelemetryConfig},
};
use tonic::Request;

async fn page(served: &Served) -> String {
    let answer = http().get(served.url("/metrics")).send().await.unwrap();
    answer.text().await.unwrap()
}

/// Waits until the page holds a line of this metric with all these labels.
async fn counted(served: &Served, metric: &str, labels: &[&str], value: &str) {
    soon(async {
        loop {
            let page = page(served).await;
            let found = page.lines().any(|line| {
                line.starts_with(metric)
                    && labels.iter().all(|label| line.contains(label))
                    && line.ends_with(&format!(" {value}"))
            });
            if found {
                return;
            }
        }
    })
    .await;
}

// One test: the recorder is the process's.
#[tokio::test]
async fn calls_are_counted_by_method_and_code_however_they_end() {
    let telemetry = Telemetry::start(&TelemetryConfig::default(), "test").unwrap();
    let mut config = ServerConfig::default();
    config.limits.max_concurrent_requests = 1;
    let mut served = Served::showing(config, telemetry.metrics()).await;
    let mut client = served.client().await;
    let duration = "signalbox_rpc_duration_seconds_count";
    let service = format!("service=\"{NAME}\"");

    client.check_text(text("a")).await.unwrap();
    let labels = [service.as_str(), "method=\"CheckText\"", "code=\"OK\""];
    counted(&served, duration, &labels, "1").await;

    // A deadline is not the caller's cancelling, and the other way round.
    let mut request = Request::new(stream::iter([piece("a")]).chain(stream::pending()));
    let timeout = "50m".parse().unwrap();
    request.metadata_mut().insert("grpc-timeout", timeout);
    let mut answers = client.check_stream(request).await.unwrap().into_inner();
    assert!(soon(answers.message()).await.unwrap().is_some());
    assert!(soon(answers.message()).await.is_err());
    let labels = [service.as_str(), "code=\"DEADLINE_EXCEEDED\""];
    counted(&served, duration, &labels, "1").await;
    assert_eq!(served.event().await, Event::Started);
    assert_eq!(served.event().await, Event::Dropped);

    let answers = client.check_stream(stream::iter([piece("stall")]));
    let answers = answers.await.unwrap();
    assert_eq!(served.event().await, Event::Started);
    assert_eq!(served.event().await, Event::Started);
    // Its place is taken meanwhile, for REST as for gRPC.
    client.check_text(text("a")).await.unwrap_err();
    let post = http().post(served.url("/v1/guardrails:check"));
    let refused = post.json(&json!({"text": "a"})).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let reason = ["reason=\"OVERLOADED\""];
    counted(&served, "signalbox_rpc_refused_total", &reason, "2").await;
    let active = "signalbox_rpc_active_requests";
    counted(&served, active, &["method=\"CheckStream\""], "1").await;
    drop(answers);
    let labels = [service.as_str(), "code=\"CANCELLED\""];
    counted(&served, duration, &labels, "1").await;
    counted(&served, active, &["method=\"CheckStream\""], "0").await;

    client.check_text(text("panic")).await.unwrap_err();
    counted(&served, "signalbox_rpc_panics_total", &[], "1").await;
    let labels = [service.as_str(), "code=\"INTERNAL\""];
    counted(&served, duration, &labels, "1").await;

    // A name that a caller makes up is no label.
    for path in [
        "/made.up.Service/Name",
        "/signalbox.guardrails.v1.GuardrailsService/Name",
    ] {
        let post = http().post(served.url(path));
        let web = post.header("content-type", "application/grpc-web+proto");
        web.body(vec![0; 5]).send().await.unwrap();
    }
    let labels = [
        "service=\"unknown\"",
        "method=\"unknown\"",
        "code=\"UNIMPLEMENTED\"",
    ];
    counted(&served, duration, &labels, "2").await;
    let page = page(&served).await;
    assert!(
        !page.contains("made") && !page.contains("\"Name\""),
        "{page}"
    );
    assert!(page.contains("# TYPE signalbox_rpc_duration_seconds histogram"));
    assert!(page.contains("le=\"600\""), "{page}");
}
