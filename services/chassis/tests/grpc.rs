//! gRPC over a real socket: answers, failures, limits, deadlines, cancellation.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Event, NAME, Served, piece, reason, soon, text};
use futures_util::{StreamExt as _, stream};
use signalbox_chassis::server::{LimitsConfig, RateLimit, ServerConfig};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

fn limits(change: impl FnOnce(&mut LimitsConfig)) -> ServerConfig {
    let mut config = ServerConfig::default();
    change(&mut config.limits);
    config
}

#[tokio::test]
async fn unary_and_streaming_calls_are_answered() {
    let served = Served::with(ServerConfig::default()).await;
    let mut client = served.client().await;
    let answer = client.check_text(text("a")).await.unwrap().into_inner();
    assert_eq!(answer.findings[0].detector, "a");
    assert_eq!(answer.findings[0].r#type, "anonymous");
    let pieces = stream::iter(["a", "b"].map(piece));
    let answers = client.check_stream(pieces).await.unwrap().into_inner();
    let texts: Vec<String> = answers.map(|answer| answer.unwrap().text).collect().await;
    assert_eq!(texts, ["a", "b"]);
}

#[tokio::test]
async fn the_request_id_is_the_callers_or_a_new_one() {
    let served = Served::with(ServerConfig::default()).await;
    let mut client = served.client().await;
    let mut request = Request::new(text("a"));
    request
        .metadata_mut()
        .insert("x-request-id", "mine-7".parse().unwrap());
    let answer = client.check_text(request).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "mine-7");
    assert_eq!(answer.get_ref().findings[0].reasons, ["mine-7"]);
    let mut request = Request::new(text("a"));
    let long = "x".repeat(200);
    request
        .metadata_mut()
        .insert("x-request-id", long.parse().unwrap());
    let answer = client.check_text(request).await.unwrap();
    let id = answer.metadata().get("x-request-id").unwrap();
    assert_eq!(
        id.to_str().unwrap(),
        answer.get_ref().findings[0].reasons[0]
    );
    assert_eq!(id.to_str().unwrap().len(), 26);
}

#[tokio::test]
async fn a_panic_is_internal_and_the_connection_lives() {
    let served = Served::with(ServerConfig::default()).await;
    let mut client = served.client().await;
    let error = client.check_text(text("panic")).await.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::Internal, "INTERNAL")
    );
    assert!(!error.message().contains("as told"), "{error}");
    let (pieces, receiver) = mpsc::unbounded_channel();
    pieces.send(piece("a")).unwrap();
    let receiver = UnboundedReceiverStream::new(receiver);
    let mut answers = client.check_stream(receiver).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().text, "a");
    pieces.send(piece("panic")).unwrap();
    let error = soon(answers.message()).await.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::Internal, "INTERNAL")
    );
    assert!(client.check_text(text("a")).await.is_ok());
}

#[tokio::test]
async fn work_over_the_limit_is_refused_with_a_time_to_come_back() {
    let mut served = Served::with(limits(|limits| limits.max_concurrent_requests = 1)).await;
    let mut client = served.client().await;
    let mut other = client.clone();
    let stalled = tokio::spawn(async move { other.check_text(text("stall")).await });
    assert_eq!(served.event().await, Event::Started);
    let error = client.check_text(text("a")).await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert_eq!(reason(&error), "OVERLOADED");
    let delay = error.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(Duration::from_secs(1)));

    stalled.abort();
    assert_eq!(served.event().await, Event::Dropped);
    soon(async { while client.check_text(text("a")).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_caller_over_its_rate_learns_whose_limit_it_is() {
    let rate = RateLimit {
        requests_per_second: 1.0 / 3600.0,
        burst: 1,
    };
    let served = Served::with(limits(|limits| limits.per_caller = Some(rate))).await;
    let mut client = served.client().await;
    client.check_text(text("a")).await.unwrap();
    let error = client.check_text(text("a")).await.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    let delay = error.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(delay > Duration::from_secs(3_000), "{delay:?}");
    let quota = error.get_details_quota_failure().unwrap();
    assert_eq!(quota.violations[0].subject, "network:127.0.0.1");
    assert!(error.metadata().contains_key("x-request-id"));
}

#[tokio::test]
async fn a_deadline_drops_the_handler_of_a_stalled_stream() {
    let mut served = Served::with(ServerConfig::default()).await;
    let mut client = served.client().await;
    let mut request = Request::new(stream::iter([piece("a")]).chain(stream::pending()));
    request
        .metadata_mut()
        .insert("grpc-timeout", "100m".parse().unwrap());
    let mut answers = client.check_stream(request).await.unwrap().into_inner();
    assert_eq!(served.event().await, Event::Started);
    assert_eq!(answers.message().await.unwrap().unwrap().text, "a");
    let error = soon(answers.message()).await.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    assert_eq!(served.event().await, Event::Dropped);
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_handler() {
    let mut served = Served::with(ServerConfig::default()).await;
    let mut client = served.client().await;
    let pieces = stream::iter([piece("stall")]);
    let answers = client.check_stream(pieces).await.unwrap();
    // The stream, and the stalled work for its first message.
    assert_eq!(served.event().await, Event::Started);
    assert_eq!(served.event().await, Event::Started);
    drop(answers);
    assert_eq!(served.event().await, Event::Dropped);
    assert_eq!(served.event().await, Event::Dropped);
}

#[tokio::test]
async fn a_message_over_the_limit_in_a_stream_is_refused_by_its_length() {
    let served = Served::with(limits(|limits| limits.max_request_bytes = 100)).await;
    let mut client = served.client().await;
    let (pieces, receiver) = mpsc::unbounded_channel();
    pieces.send(piece("a")).unwrap();
    let receiver = UnboundedReceiverStream::new(receiver);
    let mut answers = client.check_stream(receiver).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().text, "a");
    pieces.send(piece(&"b".repeat(101))).unwrap();
    let error = soon(answers.message()).await.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE")
    );
}

#[tokio::test]
async fn bytes_that_are_no_message_are_the_callers_fault() {
    let served = Served::with(ServerConfig::default()).await;
    signalbox_chassis::tls::install_crypto();
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    for (kind, bytes) in [
        ("no such message", vec![0, 0, 0, 0, 2, 0xff, 0xff]),
        ("no message at all", vec![]),
        ("half a message", vec![0, 0, 0, 0, 9, 0x0a]),
    ] {
        let answer = client
            .post(served.url(&format!("/{NAME}/CheckText")))
            .header("content-type", "application/grpc")
            .body(bytes)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["grpc-status"], "3", "{kind}");
        assert!(answer.headers().contains_key("x-request-id"));
    }
}

#[tokio::test]
async fn a_thousand_calls_that_begin_at_once_are_all_answered() {
    const CALLS: usize = 1_000;
    let served = Served::with(limits(|limits| limits.max_concurrent_requests = CALLS)).await;
    let client = served.client().await;
    // Small messages of streams that stay open: h2 takes too many for an attack.
    let calls = (0..CALLS).map(|number| {
        let mut client = client.clone();
        async move {
            let text = number.to_string();
            let pieces = stream::iter([piece(&text)]).chain(stream::pending());
            let mut answers = client.check_stream(pieces).await?.into_inner();
            let answer = answers.message().await?.unwrap();
            assert_eq!(answer.text, text);
            Ok::<_, tonic::Status>(())
        }
    });
    soon(futures_util::future::try_join_all(calls))
        .await
        .unwrap();
}
