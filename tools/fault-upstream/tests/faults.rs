//! Every way to fail, over real sockets with a real HTTP client.

#![allow(clippy::unwrap_used)]

mod common;

use std::{io, time::Duration};

use common::{ask, client, content, events, is_reset, question, read_to_error, stream, the_end};
use serde_json::{Value, json};
use signalbox_fault_upstream::{End, FaultUpstream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

#[tokio::test]
async fn fails_with_a_status_and_openais_error_object() {
    let upstream = FaultUpstream::start().await;
    for (status, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (404, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (503, "server_error"),
    ] {
        let response = stream(&upstream, &format!("status={status},retry-after=2"))
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["retry-after"], "2");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["type"], kind);
        assert!(body["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn resets_the_connection_before_any_response() {
    let upstream = FaultUpstream::start().await;
    let body = question("reset").to_string();
    let mut socket = TcpStream::connect(upstream.addr).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let error = socket.read_to_end(&mut received).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(received.is_empty());

    let error = ask(&upstream, "reset").await.unwrap_err();
    assert!(error.is_request());
    let record = the_end(&upstream, End::Reset).await;
    assert_eq!(
        (record.outcome.status, record.outcome.chunks_sent),
        (None, 0)
    );
}

#[tokio::test]
async fn resets_after_some_tokens() {
    let upstream = FaultUpstream::start().await;
    let response = stream(&upstream, "tokens=9,reset-after=3").await.unwrap();
    let (text, error) = read_to_error(response).await;
    assert!(is_reset(&error), "{error:?}");
    assert_eq!(text.matches("\"content\"").count(), 1 + 3);
    assert_eq!(
        the_end(&upstream, End::Reset)
            .await
            .outcome
            .completion_tokens,
        3
    );

    let response = ask(&upstream, "tokens=9,reset-after=3").await.unwrap();
    let (text, error) = read_to_error(response).await;
    assert!(is_reset(&error), "{error:?}");
    assert!(serde_json::from_str::<Value>(&text).is_err());
}

#[tokio::test]
async fn stalls_until_the_client_gives_up() {
    let upstream = FaultUpstream::start().await;
    let asked = tokio::spawn({
        let request = client()
            .post(format!("{}/chat/completions", upstream.base_url()))
            .json(&question("stall"));
        request.send()
    });
    let record = the_end(&upstream, End::InProgress).await;
    assert_eq!(record.outcome.status, None);
    asked.abort();
    the_end(&upstream, End::ClientDisconnected).await;
}

#[tokio::test]
async fn stalls_after_some_tokens_and_notices_the_client_leaving() {
    let upstream = FaultUpstream::start().await;
    let mut response = stream(&upstream, "tokens=9,stall-after=2").await.unwrap();
    let mut text = String::new();
    while text.matches("\"content\"").count() < 3 {
        let chunk = response.chunk().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let more = timeout(Duration::from_millis(50), response.chunk()).await;
    assert!(more.is_err(), "nothing more comes");
    assert_eq!(upstream.records()[0].outcome.end, End::InProgress);
    drop(response);
    let record = the_end(&upstream, End::ClientDisconnected).await;
    assert_eq!(record.outcome.completion_tokens, 2);
}

#[tokio::test]
async fn cuts_the_stream_cleanly_without_finish_or_done() {
    let upstream = FaultUpstream::start().await;
    let events = events(stream(&upstream, "tokens=9,cut-after=3").await.unwrap()).await;
    assert_eq!(events.len(), 1 + 3);
    assert!(!events.concat().contains("stop"));
    the_end(&upstream, End::Cut).await;

    let text = ask(&upstream, "cut-after=3")
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(serde_json::from_str::<Value>(&text).is_err());
}

#[tokio::test]
async fn leaves_out_done_or_the_finish_reason() {
    let upstream = FaultUpstream::start().await;
    let no_done = events(stream(&upstream, "no-done").await.unwrap())
        .await
        .concat();
    assert!(no_done.contains("\"finish_reason\":\"stop\"") && !no_done.contains("[DONE]"));
    let no_finish = events(stream(&upstream, "no-finish").await.unwrap())
        .await
        .concat();
    assert!(!no_finish.contains("\"finish_reason\":\"stop\"") && no_finish.contains("[DONE]"));
}

#[tokio::test]
async fn sends_one_event_that_is_not_json_and_goes_on() {
    let upstream = FaultUpstream::start().await;
    let events = events(
        stream(&upstream, "tokens=4,malformed-after=2")
            .await
            .unwrap(),
    )
    .await;
    let broken = |event: &&String| serde_json::from_str::<Value>(event).is_err();
    assert_eq!(events.iter().position(|e| broken(&e)), Some(3));
    assert_eq!(events.iter().filter(broken).count(), 2, "it and [DONE]");
    let text = ask(&upstream, "malformed-after=0")
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(serde_json::from_str::<Value>(&text).is_err());
}

#[tokio::test]
async fn sends_an_error_object_inside_the_stream() {
    let upstream = FaultUpstream::start().await;
    let events = events(stream(&upstream, "tokens=4,error-after=2").await.unwrap()).await;
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!(last["error"]["type"], "server_error");
    assert_eq!(events.len(), 1 + 2 + 1);
}

#[tokio::test]
async fn sends_no_choices_or_a_preamble_without_them() {
    let upstream = FaultUpstream::start().await;
    let body: Value = ask(&upstream, "empty-choices")
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(body["choices"], json!([]));
    assert_eq!(
        content(&events(stream(&upstream, "empty-choices").await.unwrap()).await),
        ""
    );

    let text = stream(&upstream, "preamble,echo")
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(text.starts_with(": ping\n\ndata: "));
    let first = text
        .split("\n\n")
        .nth(1)
        .unwrap()
        .strip_prefix("data: ")
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(first).unwrap()["choices"],
        json!([])
    );
    assert!(text.contains("\"train \""));
}

#[tokio::test]
async fn labels_its_answer_wrongly() {
    let upstream = FaultUpstream::start().await;
    for response in [
        ask(&upstream, "wrong-content-type").await.unwrap(),
        stream(&upstream, "wrong-content-type").await.unwrap(),
    ] {
        assert_eq!(response.headers()["content-type"], "text/html");
    }
}

#[tokio::test]
async fn fails_only_the_first_requests_of_a_name() {
    let upstream = FaultUpstream::start().await;
    let statuses = async |model: &str| {
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(ask(&upstream, model).await.unwrap().status().as_u16());
        }
        statuses
    };
    assert_eq!(statuses("fail-first=2").await, [503, 503, 200, 200]);
    assert_eq!(
        statuses("fail-first=2,as=b,status=429").await,
        [429, 429, 200, 200]
    );
    assert_eq!(statuses("fail-first=2").await, [200; 4]);
    upstream.clear();
    assert_eq!(statuses("fail-first=2").await, [503, 503, 200, 200]);
}
