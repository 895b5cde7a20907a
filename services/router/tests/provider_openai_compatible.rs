//! The OpenAI-compatible provider against a server that fails on demand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use std::time::Duration;

use futures_util::StreamExt as _;
use opentelemetry::trace::TracerProvider as _;
use signalbox_fault_upstream::{End, FaultUpstream, Record};
use signalbox_router::{
    chat::{ChatEvent, ChatRequest, FinishReason, Message, Role, Sampling, TokenUsage},
    provider::{
        Provider as _, ProviderError,
        openai_compatible::{OpenAiCompatibleConfig, OpenAiCompatibleProvider},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

/// Far above what any of these takes; only a hang reaches it.
const HANG: Duration = Duration::from_secs(30);

const KEY: &str = "sk-test-0123456789";

fn config(base_url: String) -> OpenAiCompatibleConfig {
    OpenAiCompatibleConfig {
        base_url,
        ..OpenAiCompatibleConfig::default()
    }
}

fn provider(config: OpenAiCompatibleConfig) -> OpenAiCompatibleProvider {
    OpenAiCompatibleProvider::new("up", config, |_| Some(KEY.to_owned())).unwrap()
}

fn request(model: &str) -> ChatRequest {
    ChatRequest {
        model: model.into(),
        messages: vec![Message {
            role: Role::User,
            content: "one two three".to_owned(),
            name: None,
        }],
        sampling: Sampling::default(),
    }
}

/// Everything up to the end or the error.
async fn ask(
    provider: &OpenAiCompatibleProvider,
    model: &str,
) -> (Vec<ChatEvent>, Option<ProviderError>) {
    let mut events = Vec::new();
    let mut stream = match provider.chat(request(model)).await {
        Ok(stream) => stream,
        Err(error) => return (events, Some(error)),
    };
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

async fn ask_fault(model: &str) -> (Vec<ChatEvent>, Option<ProviderError>) {
    let upstream = FaultUpstream::start().await;
    ask(&provider(config(upstream.base_url())), model).await
}

async fn error_of(model: &str) -> ProviderError {
    let (_, error) = ask_fault(model).await;
    error.unwrap()
}

fn text(events: &[ChatEvent]) -> String {
    let text = |event: &ChatEvent| match event {
        ChatEvent::Text(text) => Some(text.clone()),
        ChatEvent::Finish(_) | ChatEvent::Usage(_) => None,
    };
    events.iter().filter_map(text).collect()
}

fn finish(events: &[ChatEvent]) -> Option<FinishReason> {
    events.iter().find_map(|event| match event {
        ChatEvent::Finish(reason) => Some(*reason),
        ChatEvent::Text(_) | ChatEvent::Usage(_) => None,
    })
}

fn usage(events: &[ChatEvent]) -> Option<TokenUsage> {
    events.iter().rev().find_map(|event| match event {
        ChatEvent::Usage(usage) => Some(*usage),
        ChatEvent::Text(_) | ChatEvent::Finish(_) => None,
    })
}

/// A server that answers every connection with these bytes and then closes it.
async fn raw_server(response: impl Into<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let response = response.into();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = connection.read(&mut request).await;
            let _ = connection.write_all(&response).await;
            let _ = connection.shutdown().await;
        }
    });
    format!("http://{address}/v1")
}

fn http(head: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn ask_raw(response: impl Into<Vec<u8>>) -> (Vec<ChatEvent>, Option<ProviderError>) {
    ask(&provider(config(raw_server(response).await)), "m").await
}

#[tokio::test]
async fn an_answer_is_streamed_with_its_usage() {
    let (events, error) = ask_fault("fault/echo,cached=1,preamble").await;
    assert_eq!(error, None);
    assert_eq!(text(&events), "one two three");
    assert_eq!(finish(&events), Some(FinishReason::Stop));
    let expected = TokenUsage {
        prompt: 3,
        cached_prompt: 1,
        completion: 3,
    };
    assert_eq!(usage(&events), Some(expected));
}

#[tokio::test]
async fn a_server_that_cannot_stream_is_asked_for_one_piece() {
    let upstream = FaultUpstream::start().await;
    let config = OpenAiCompatibleConfig {
        stream: false,
        ..config(upstream.base_url())
    };
    let (events, error) = ask(&provider(config), "fault/echo").await;
    assert_eq!((text(&events).as_str(), error), ("one two three", None));
    assert_eq!(finish(&events), Some(FinishReason::Stop));
    assert_eq!(upstream.records()[0].body["stream"], false);
}

#[tokio::test]
async fn an_answer_without_usage_or_done_is_complete_all_the_same() {
    for model in ["fault/echo,no-usage", "fault/echo,no-done"] {
        let (events, error) = ask_fault(model).await;
        assert_eq!(
            (text(&events).as_str(), error),
            ("one two three", None),
            "{model}"
        );
        assert_eq!(finish(&events), Some(FinishReason::Stop), "{model}");
    }
}

#[tokio::test]
async fn the_key_is_sent() {
    let upstream = FaultUpstream::start().await;
    let config = OpenAiCompatibleConfig {
        api_key_env: Some("KEY".to_owned()),
        ..config(upstream.base_url())
    };
    let (_, error) = ask(&provider(config), "fault/echo").await;
    assert_eq!(error, None);
    assert!(upstream.records()[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let provider = provider(config(base_url));
    let ((), connections) = tokio::join!(
        async {
            for _ in 0..2 {
                let (events, error) = ask(&provider, "m").await;
                assert_eq!((text(&events).as_str(), error), ("hi", None));
                // Lets the body's end reach the pool.
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
            }
        },
        // Serves two requests on one connection; a second connection hangs.
        timeout(HANG, async {
            let (mut connection, _) = listener.accept().await.unwrap();
            for _ in 0..2 {
                answer_and_keep_alive(&mut connection).await;
            }
        }),
    );
    connections.unwrap();
}

/// Reads one request and answers it, the end of the body in a packet of its own.
async fn answer_and_keep_alive(connection: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        assert_ne!(
            connection.read_buf(&mut request).await.unwrap(),
            0,
            "closed"
        );
    }
    let events = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n\
                  data: [DONE]\n\n";
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked";
    let first = format!("{head}\r\n\r\n{:x}\r\n{events}\r\n", events.len());
    connection.write_all(first.as_bytes()).await.unwrap();
    connection.flush().await.unwrap();
    tokio::task::yield_now().await;
    connection.write_all(b"0\r\n\r\n").await.unwrap();
}

#[tokio::test]
async fn a_truncated_answer_is_never_a_success() {
    let broken = [
        "fault/tokens=9,cut-after=3",
        "fault/tokens=9,reset-after=3",
        "fault/tokens=9,malformed-after=2",
        "fault/tokens=9,no-finish",
        "fault/empty-choices",
        "fault/wrong-content-type",
    ];
    for model in broken {
        let error = error_of(model).await;
        assert!(
            matches!(error, ProviderError::Broken { .. }),
            "{model}: {error}"
        );
    }
}

#[tokio::test]
async fn an_error_inside_a_stream_is_a_failure_after_the_text_that_came() {
    let (events, error) = ask_fault("fault/tokens=9,error-after=3").await;
    assert!(!text(&events).is_empty());
    assert!(
        matches!(error, Some(ProviderError::Failed { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn each_status_is_an_error_of_its_own_kind() {
    let upstream = FaultUpstream::start().await;
    let provider = provider(config(upstream.base_url()));
    let mut kinds = Vec::new();
    for status in [400, 401, 403, 404, 408, 422, 429, 500, 502, 503] {
        let (_, error) = ask(&provider, &format!("fault/status={status}")).await;
        kinds.push((status, kind(&error.unwrap())));
    }
    let expected = [
        (400, "rejected"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (404, "rejected"),
        (408, "failed"),
        (422, "rejected"),
        (429, "overloaded"),
        (500, "failed"),
        (502, "failed"),
        (503, "failed"),
    ];
    assert_eq!(kinds, expected);
}

fn kind(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Unreachable { .. } => "unreachable",
        ProviderError::Timeout { .. } => "timeout",
        ProviderError::Overloaded { .. } => "overloaded",
        ProviderError::Rejected { .. } => "rejected",
        ProviderError::Unauthorized { .. } => "unauthorized",
        ProviderError::Failed { .. } => "failed",
        ProviderError::Broken { .. } => "broken",
    }
}

#[tokio::test]
async fn retry_after_is_passed_on_and_makes_503_an_overload() {
    for status in [429, 503] {
        let error = error_of(&format!("fault/status={status},retry-after=2")).await;
        let ProviderError::Overloaded { retry_after, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(retry_after, Some(Duration::from_secs(2)));
    }
}

#[tokio::test]
async fn a_model_that_the_server_does_not_know_is_a_wrong_model() {
    let body = r#"{"error":{"message":"no such model","code":"model_not_found"}}"#;
    let (_, error) = ask_raw(http("404 Not Found", body)).await;
    let Some(ProviderError::Rejected { field, detail, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(field.as_deref(), Some("model"));
    assert!(detail.contains("no such model"), "{detail}");
}

#[tokio::test]
async fn a_server_that_repeats_our_key_is_not_repeated() {
    let body = format!(r#"{{"error":{{"message":"bad key {KEY}","param":"max_tokens"}}}}"#);
    let config = OpenAiCompatibleConfig {
        api_key_env: Some("KEY".to_owned()),
        ..config(raw_server(http("400 Bad Request", &body)).await)
    };
    let (_, error) = ask(&provider(config), "m").await;
    let error = error.unwrap();
    assert!(!format!("{error} {error:?}").contains(KEY), "{error:?}");
    let ProviderError::Rejected { field, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(field.as_deref(), Some("max_tokens"));
}

#[tokio::test]
async fn a_long_error_is_passed_on_in_part() {
    let body = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(5000));
    let (_, error) = ask_raw(http("500 Internal Server Error", &body)).await;
    let length = error.unwrap().to_string().len();
    assert!(length < 600, "{length}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let response = "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\n\
                    content-length: 0\r\nconnection: close\r\n\r\n";
    let (_, error) = ask_raw(response).await;
    assert!(
        matches!(&error, Some(ProviderError::Failed { detail, .. }) if detail.contains("base_url")),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_endless_answer_is_given_up() {
    let error = error_of("fault/huge=2000000").await;
    assert!(matches!(error, ProviderError::Broken { .. }), "{error}");

    let upstream = FaultUpstream::start().await;
    let config = OpenAiCompatibleConfig {
        max_response_bytes: 10_000,
        ..config(upstream.base_url())
    };
    let (_, error) = ask(&provider(config), "fault/tokens=100000").await;
    let detail = error.unwrap().to_string();
    assert!(detail.contains("max_response_bytes"), "{detail}");
}

#[tokio::test]
async fn nobody_listening_and_a_reset_before_the_answer_are_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let (_, error) = ask(&provider(config(closed)), "m").await;
    assert_eq!(kind(&error.unwrap()), "unreachable");
    assert_eq!(kind(&error_of("fault/reset").await), "unreachable");
}

#[tokio::test]
async fn a_stall_before_the_first_token_times_out_in_that_phase() {
    let upstream = FaultUpstream::start().await;
    let limit = Duration::from_millis(50);
    let config = OpenAiCompatibleConfig {
        first_token_timeout_ms: 50,
        ..config(upstream.base_url())
    };
    let provider = provider(config);
    // Nothing at all, and headers with a role but no token.
    for model in ["fault/stall", "fault/stall-after=0"] {
        let (_, error) = ask(&provider, model).await;
        let expected = ProviderError::Timeout {
            provider: "up".to_owned(),
            phase: "first token",
            limit,
        };
        assert_eq!(error, Some(expected), "{model}");
    }
}

#[tokio::test]
async fn a_stall_between_tokens_times_out_in_that_phase() {
    let upstream = FaultUpstream::start().await;
    let config = OpenAiCompatibleConfig {
        idle_timeout_ms: 50,
        ..config(upstream.base_url())
    };
    let (events, error) = ask(&provider(config), "fault/tokens=9,stall-after=3").await;
    assert_eq!(events.len(), 3, "{events:?}");
    let expected = ProviderError::Timeout {
        provider: "up".to_owned(),
        phase: "next token",
        limit: Duration::from_millis(50),
    };
    assert_eq!(error, Some(expected));
}

#[tokio::test]
async fn dropping_the_stream_closes_the_request_upstream() {
    let upstream = FaultUpstream::start().await;
    let provider = provider(config(upstream.base_url()));
    let slow = request("fault/tokens=1000,rate=20");
    let mut stream = provider.chat(slow).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    let gone = |records: &[Record]| {
        let ends = records.iter().map(|record| record.outcome.end);
        ends.eq([End::ClientDisconnected])
    };
    upstream.wait_for(gone, HANG).await.unwrap();
}

#[tokio::test]
async fn dropping_the_future_closes_the_request_upstream() {
    let upstream = FaultUpstream::start().await;
    let provider = provider(config(upstream.base_url()));
    let asked = |records: &[Record]| !records.is_empty();
    tokio::select! {
        _ = provider.chat(request("fault/stall")) => panic!("a stalled server answered"),
        seen = upstream.wait_for(asked, HANG) => drop(seen.unwrap()),
    }
    let gone = |records: &[Record]| records[0].outcome.end == End::ClientDisconnected;
    upstream.wait_for(gone, HANG).await.unwrap();
}

#[tokio::test]
async fn the_upstream_can_continue_our_trace() {
    opentelemetry::global::set_text_map_propagator(
        opentelemetry_sdk::propagation::TraceContextPropagator::new(),
    );
    let tracing = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(tracing.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let upstream = FaultUpstream::start().await;
    let provider = provider(config(upstream.base_url()));
    let span = tracing::info_span!("caller");
    let trace = {
        use opentelemetry::trace::TraceContextExt as _;
        use tracing_opentelemetry::OpenTelemetrySpanExt as _;
        span.context().span().span_context().trace_id().to_string()
    };
    let (_, error) = ask(&provider, "fault/ok").instrument(span).await;
    assert_eq!(error, None);
    let traceparent = upstream.records()[0].traceparent.clone().unwrap();
    assert!(traceparent.contains(&trace), "{traceparent} of {trace}");
}
