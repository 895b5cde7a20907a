//! What a trace of a request says, and what it must not say; and that the guard
//! behind a network is part of it.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::stream::BoxStream;
use opentelemetry::trace::{SpanKind, TracerProvider as _};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{InMemorySpanExporter, SdkTracerProvider, SpanData},
};
use serde_json::json;
use signalbox_fault_upstream::FaultUpstream;
use signalbox_proto::{
    guardrails::v1::{
        self as wire, Action, BatchCheckTextRequest, BatchCheckTextResponse, CheckTextResponse,
        guardrails_service_server::{GuardrailsService, GuardrailsServiceServer},
    },
    router::v1::{
        ChatMessage, CreateChatCompletionRequest, router_service_client::RouterServiceClient,
    },
};
use signalbox_router::{config::RouterConfig, guard::remote::RemoteGuard};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status, Streaming, metadata::MetadataMap, transport::Endpoint,
    transport::Server,
};
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

const SECRET: &str = "secret-word";

/// A Guardrails service that finds [`SECRET`] and keeps what it was asked.
#[derive(Clone, Default)]
struct RecordingService {
    calls: Arc<Mutex<Vec<(MetadataMap, BatchCheckTextRequest)>>>,
}

#[tonic::async_trait]
impl GuardrailsService for RecordingService {
    async fn batch_check_text(
        &self,
        request: Request<BatchCheckTextRequest>,
    ) -> Result<Response<BatchCheckTextResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let results = request.texts.iter().map(|text| {
            let findings: Vec<_> = text
                .match_indices(SECRET)
                .map(|(start, found)| wire::Finding {
                    r#type: "SECRET".to_owned(),
                    start_byte: start as u64,
                    end_byte: (start + found.len()) as u64,
                    ..wire::Finding::default()
                })
                .collect();
            let action = if findings.is_empty() {
                Action::Allow
            } else {
                Action::Redact
            };
            CheckTextResponse {
                action: action.into(),
                findings,
                ..CheckTextResponse::default()
            }
        });
        let results = results.collect();
        self.calls.lock().unwrap().push((metadata, request));
        Ok(Response::new(BatchCheckTextResponse { results }))
    }

    async fn check_text(
        &self,
        _: Request<wire::CheckTextRequest>,
    ) -> Result<Response<CheckTextResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn redact_text(
        &self,
        _: Request<wire::RedactTextRequest>,
    ) -> Result<Response<wire::RedactTextResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn restore_text(
        &self,
        _: Request<wire::RestoreTextRequest>,
    ) -> Result<Response<wire::RestoreTextResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    type CheckStreamStream = BoxStream<'static, Result<wire::CheckStreamResponse, Status>>;

    async fn check_stream(
        &self,
        _: Request<Streaming<wire::CheckStreamRequest>>,
    ) -> Result<Response<Self::CheckStreamStream>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn create_moderation(
        &self,
        _: Request<wire::CreateModerationRequest>,
    ) -> Result<Response<wire::CreateModerationResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn list_detectors(
        &self,
        _: Request<wire::ListDetectorsRequest>,
    ) -> Result<Response<wire::ListDetectorsResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn list_policies(
        &self,
        _: Request<wire::ListPoliciesRequest>,
    ) -> Result<Response<wire::ListPoliciesResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
}

async fn serve(service: RecordingService) -> Endpoint {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(GuardrailsServiceServer::new(service));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

fn attribute(span: &SpanData, key: &str) -> String {
    let found = span.attributes.iter().find(|one| one.key.as_str() == key);
    found
        .map(|one| one.value.as_str().into_owned())
        .unwrap_or_default()
}

#[tokio::test]
async fn one_trace_joins_guardrails_and_provider_and_holds_no_text() {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let exporter = InMemorySpanExporter::default();
    let tracing_provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(tracing_provider.tracer("test"));
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let guardrails = RecordingService::default();
    let endpoint = serve(guardrails.clone()).await;
    let guard = Arc::new(RemoteGuard::new(
        &endpoint,
        Duration::from_secs(5),
        "strict",
    ));
    let upstream = FaultUpstream::start().await;
    let config: RouterConfig = serde_json::from_value(json!({
        "providers": {"acme": {"kind": "openai_compatible", "base_url": upstream.base_url()}},
        "models": [{"name": "m", "provider": "acme", "upstream_name": "fault/tokens=5"}],
        "routes": {},
    }))
    .unwrap();
    let router = signalbox_router::build(&config, guard, Path::new(""), |_| None)
        .await
        .unwrap();
    let mut client = RouterServiceClient::new(signalbox_router::service(Arc::new(router)));
    let message = |content: &str| ChatMessage {
        role: "user".to_owned(),
        content: content.to_owned(),
        ..ChatMessage::default()
    };
    let request = CreateChatCompletionRequest {
        model: "m".to_owned(),
        messages: vec![message("the secret-word is"), message("harmless-word")],
        ..CreateChatCompletionRequest::default()
    };
    let root = tracing::info_span!("request");
    let answer = client
        .create_chat_completion(request)
        .instrument(root)
        .await
        .unwrap();
    assert_eq!(
        answer.into_inner().signalbox.unwrap().prompt_redactions,
        ["SECRET"]
    );

    let spans = exporter.get_finished_spans().unwrap();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (root, chat) = (named("request"), named("chat m"));
    assert_eq!(chat.parent_span_id, root.span_context.span_id());
    assert_eq!(chat.span_kind, SpanKind::Client);
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "acme"),
        ("gen_ai.request.model", "m"),
        ("gen_ai.response.model", "fault/tokens=5"),
        ("gen_ai.response.finish_reasons", "stop"),
        ("gen_ai.usage.input_tokens", "4"),
        ("gen_ai.usage.output_tokens", "5"),
    ] {
        assert_eq!(attribute(chat, key), value, "{key}");
    }
    let guarded: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "guardrails redact")
        .collect();
    assert_eq!(
        guarded.len(),
        2,
        "the prompt in one call, the answer in another"
    );
    let trace = root.span_context.trace_id();
    // The transport's own spans live as long as a connection and are traces of theirs.
    for span in guarded.into_iter().chain([chat]) {
        assert_eq!(span.span_context.trace_id(), trace);
    }
    let everything = format!("{spans:?}");
    assert!(!everything.contains("secret-word") && !everything.contains("harmless-word"));

    let calls = guardrails.calls.lock().unwrap().clone();
    let (metadata, asked) = &calls[0];
    assert_eq!(asked.texts, ["the secret-word is", "harmless-word"]);
    assert_eq!(asked.policy, "strict");
    assert!(metadata.contains_key("grpc-timeout"));
    let parent = metadata.get("traceparent").unwrap().to_str().unwrap();
    assert!(parent.contains(&trace.to_string()), "{parent}");
    let upstream_parent = upstream.records()[0].traceparent.clone().unwrap();
    assert!(
        upstream_parent.contains(&trace.to_string()),
        "{upstream_parent}"
    );
    assert!(upstream_parent.contains(&chat.span_context.span_id().to_string()));
}
