//! A caller's trace goes on in the server's spans, and holds no text.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{NAME, Served, http, soon, text};
use opentelemetry::trace::{Status, TracerProvider as _};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{InMemorySpanExporter, SdkTracerProvider, SpanData},
};
use serde_json::json;
use signalbox_chassis::server::ServerConfig;
use tonic::Request;
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The span of the request with this id: it ends just after its answer.
async fn span(exporter: &InMemorySpanExporter, id: &str) -> SpanData {
    soon(async {
        loop {
            let found = exporter
                .get_finished_spans()
                .unwrap()
                .into_iter()
                .find(|span| {
                    let mut attributes = span.attributes.iter();
                    attributes
                        .any(|one| one.key.as_str() == "request_id" && one.value.as_str() == id)
                });
            match found {
                Some(span) => return span,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

// One test: the subscriber is the process's.
#[tokio::test]
async fn the_callers_span_is_the_parent_on_grpc_and_rest() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")))
        .init();

    let served = Served::with(ServerConfig::default()).await;
    let mut client = served.client().await;
    for (id, said) in [("of-grpc", "my words"), ("of-panic", "panic")] {
        let mut request = Request::new(text(said));
        let metadata = request.metadata_mut();
        metadata.insert("traceparent", PARENT.parse().unwrap());
        metadata.insert("x-request-id", id.parse().unwrap());
        let _ = client.check_text(request).await;
    }
    http()
        .post(served.url("/v1/guardrails:check"))
        .header("traceparent", PARENT)
        .header("x-request-id", "of-rest")
        .json(&json!({"text": "my words"}))
        .send()
        .await
        .unwrap();

    for (id, code) in [("of-grpc", 0), ("of-rest", 0), ("of-panic", 13)] {
        let span = span(&exporter, id).await;
        let trace = span.span_context.trace_id().to_string();
        assert_eq!(trace, "0af7651916cd43dd8448eb211c80319c", "{id}");
        assert_eq!(span.parent_span_id.to_string(), "b7ad6b7169203331", "{id}");
        assert_eq!(span.name, format!("{NAME}/CheckText"));
        let failed = matches!(span.status, Status::Error { .. });
        assert_eq!(failed, code != 0, "{id}: {:?}", span.status);
        let code_of = |one: &&opentelemetry::KeyValue| one.key.as_str() == "rpc.grpc.status_code";
        let told = span.attributes.iter().find(code_of).unwrap();
        assert_eq!(told.value, opentelemetry::Value::I64(code));
        assert!(!format!("{span:?}").contains("my words"), "{span:?}");
    }
}
