//! Every word of the grammar, over real sockets with a real HTTP client.

#![allow(clippy::unwrap_used)]

use std::{io, time::Duration};

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use signalbox_fault_upstream::{End, FaultUpstream, Record};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

/// Long enough that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(20);

fn client() -> Client {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

fn question(model: &str) -> Value {
    json!({ "model": model, "messages": [
        { "role": "system", "content": "be brief" },
        { "role": "user", "content": "where does the train go" },
    ] })
}

async fn post(upstream: &FaultUpstream, path: &str, body: &Value) -> reqwest::Result<Response> {
    let url = format!("{}/{path}", upstream.base_url());
    client().post(url).json(body).send().await
}

async fn ask(upstream: &FaultUpstream, model: &str) -> reqwest::Result<Response> {
    post(upstream, "chat/completions", &question(model)).await
}

async fn stream(upstream: &FaultUpstream, model: &str) -> reqwest::Result<Response> {
    let mut body = question(model);
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    post(upstream, "chat/completions", &body).await
}

/// The events of a stream that ended, each the text after `data: `.
async fn events(response: Response) -> Vec<String> {
    let text = response.text().await.unwrap();
    let data = |event: &str| event.strip_prefix("data: ").map(ToOwned::to_owned);
    text.split("\n\n").filter_map(data).collect()
}

fn content(events: &[String]) -> String {
    let chunk = |event: &String| serde_json::from_str::<Value>(event).ok();
    let text = |chunk: Value| {
        chunk["choices"][0]["delta"]["content"]
            .as_str()
            .map(ToOwned::to_owned)
    };
    events.iter().filter_map(chunk).filter_map(text).collect()
}

/// Reads a broken stream to its error, and returns what came before it.
async fn read_to_error(mut response: Response) -> (String, reqwest::Error) {
    let mut text = String::new();
    loop {
        match response.chunk().await {
            Ok(Some(bytes)) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            Ok(None) => panic!("the stream ended cleanly after {text}"),
            Err(error) => return (text, error),
        }
    }
}

fn is_reset(error: &reqwest::Error) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::ConnectionReset
        {
            return true;
        }
        source = error.source();
    }
    false
}

async fn the_end(upstream: &FaultUpstream, end: End) -> Record {
    let ended = |records: &[Record]| records.last().is_some_and(|last| last.outcome.end == end);
    let records = upstream.wait_for(ended, PATIENCE).await.unwrap();
    records.last().unwrap().clone()
}

#[tokio::test]
async fn answers_in_one_piece_with_usage_that_can_be_counted() {
    let upstream = FaultUpstream::start().await;
    let response = ask(&upstream, "fault/tokens=20,cached=5").await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "fault/tokens=20,cached=5");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    let text = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(text.split(' ').count(), 20);
    assert_eq!(
        body["usage"],
        json!({
            "prompt_tokens": 7, "completion_tokens": 20, "total_tokens": 27,
            "prompt_tokens_details": { "cached_tokens": 5 },
        })
    );
    let record = the_end(&upstream, End::Completed).await;
    assert_eq!(
        (record.outcome.status, record.outcome.chunks_sent),
        (Some(200), 1)
    );
    assert_eq!(
        (
            record.outcome.prompt_tokens,
            record.outcome.completion_tokens
        ),
        (7, 20)
    );
}

#[tokio::test]
async fn streams_one_token_an_event_then_finish_usage_and_done() {
    let upstream = FaultUpstream::start().await;
    let response = stream(&upstream, "echo").await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let events = events(response).await;
    assert_eq!(content(&events), "where does the train go");
    assert_eq!(events.len(), 1 + 5 + 3, "{events:#?}");
    let parsed = |index: usize| serde_json::from_str::<Value>(&events[index]).unwrap();
    assert_eq!(parsed(0)["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(parsed(6)["choices"][0]["finish_reason"], "stop");
    assert_eq!(parsed(7)["choices"], json!([]));
    assert_eq!(parsed(7)["usage"]["total_tokens"], 12);
    assert_eq!(events[8], "[DONE]");
    assert_eq!(
        the_end(&upstream, End::Completed).await.outcome.chunks_sent,
        9
    );
}

#[tokio::test]
async fn sends_usage_only_when_asked_and_never_with_no_usage() {
    let upstream = FaultUpstream::start().await;
    let mut body = question("ok");
    body["stream"] = json!(true);
    let response = post(&upstream, "chat/completions", &body).await.unwrap();
    assert!(!response.text().await.unwrap().contains("\"usage\":"));
    let response = stream(&upstream, "no-usage").await.unwrap();
    assert!(!response.text().await.unwrap().contains("\"usage\":"));
    let response = ask(&upstream, "no-usage").await.unwrap();
    assert!(!response.text().await.unwrap().contains("\"usage\":"));
}

#[tokio::test]
async fn echoes_the_last_user_message_byte_for_byte() {
    let upstream = FaultUpstream::start().await;
    let text = " <EMAIL>\tand  日本\u{3000}語 🚂\n\"quoted\"\\ ";
    let mut body = question("echo");
    body["messages"][1]["content"] = json!(text);
    let response = post(&upstream, "chat/completions", &body).await.unwrap();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], text);
    body["stream"] = json!(true);
    let response = post(&upstream, "chat/completions", &body).await.unwrap();
    assert_eq!(content(&events(response).await), text);
}

#[tokio::test]
async fn keeps_to_its_latency_and_rate() {
    let upstream = FaultUpstream::start().await;
    // Lower bounds only: a loaded machine is later, never earlier.
    for streamed in [false, true] {
        let started = Instant::now();
        let model = "latency=60ms,tokens=5,rate=100";
        let answer = if streamed {
            stream(&upstream, model).await
        } else {
            ask(&upstream, model).await
        };
        if streamed {
            assert!(started.elapsed() >= Duration::from_millis(60));
        }
        answer.unwrap().bytes().await.unwrap();
        assert!(started.elapsed() >= Duration::from_millis(100));
    }
}

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
async fn records_a_client_that_leaves_mid_stream() {
    let upstream = FaultUpstream::start().await;
    let mut response = stream(&upstream, "tokens=100000,rate=200").await.unwrap();
    response.chunk().await.unwrap().unwrap();
    drop(response);
    let record = the_end(&upstream, End::ClientDisconnected).await;
    assert!(record.outcome.completion_tokens < 100_000);
}

#[tokio::test]
async fn records_a_client_that_leaves_during_the_latency() {
    let upstream = FaultUpstream::start().await;
    let request = client()
        .post(format!("{}/chat/completions", upstream.base_url()))
        .json(&question("latency=1000s"))
        .timeout(Duration::from_millis(50));
    assert!(request.send().await.unwrap_err().is_timeout());
    the_end(&upstream, End::ClientDisconnected).await;
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

#[tokio::test]
async fn sends_a_huge_token_whole() {
    let upstream = FaultUpstream::start().await;
    let events = events(stream(&upstream, "huge=3000000").await.unwrap()).await;
    assert_eq!(content(&events).len(), 3_000_000);
}

#[tokio::test]
async fn refuses_unknown_models_paths_and_bodies() {
    let upstream = FaultUpstream::start().await;
    let response = ask(&upstream, "gpt-4o").await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "model_not_found");
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("`gpt-4o`")
    );

    for (path, body, status) in [
        ("chat/completions", json!({ "model": "ok" }), 400),
        ("chat/completions", json!({ "messages": [] }), 400),
        ("chat/completions", json!([1]), 400),
        ("embeddings", json!({ "model": "ok" }), 400),
        ("completions", json!({ "model": "ok" }), 404),
    ] {
        let response = post(&upstream, path, &body).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path} {body}");
    }
    let url = format!("{}/chat/completions", upstream.base_url());
    let response = client().post(url).body("not json").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(upstream.records().last().unwrap().body, "not json");
}

#[tokio::test]
async fn embeds_and_fails_at_it() {
    let upstream = FaultUpstream::start().await;
    let body = json!({ "model": "ok", "input": ["one two", [7, 8, 9]], "dimensions": 4 });
    let response = post(&upstream, "embeddings", &body).await.unwrap();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["data"][1]["embedding"].as_array().unwrap().len(), 4);
    assert_eq!(
        answer["usage"],
        json!({ "prompt_tokens": 5, "total_tokens": 5 })
    );
    let body = json!({ "model": "status=503", "input": "x" });
    let response = post(&upstream, "embeddings", &body).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn shows_its_record_and_grammar_over_http() {
    let upstream = FaultUpstream::start().await;
    let root = format!("http://{}", upstream.addr);
    let grammar = client()
        .get(&root)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(grammar.contains("fail-first=2"));
    client()
        .get(format!("{root}/v1/models"))
        .send()
        .await
        .unwrap();
    client()
        .post(format!("{root}/v1/chat/completions"))
        .bearer_auth("s3cret")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .json(&question("ok"))
        .send()
        .await
        .unwrap();

    let url = format!("{root}/_record");
    let text = client()
        .get(&url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(!text.contains("s3cret"));
    let records: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["path"], "/v1/models");
    let chat = &records[1];
    assert_eq!(chat["headers"]["authorization"], "present");
    assert_eq!(
        chat["traceparent"],
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    );
    assert_eq!(
        chat["body"]["messages"][1]["content"],
        "where does the train go"
    );
    assert_eq!(chat["outcome"]["end"], "completed");

    client().delete(&url).send().await.unwrap();
    assert!(upstream.records().is_empty());
}

#[tokio::test]
async fn dropping_it_closes_the_port_and_open_streams() {
    let upstream = FaultUpstream::start().await;
    let addr = upstream.addr;
    let response = stream(&upstream, "stall-after=1").await.unwrap();
    drop(upstream);
    assert!(response.bytes().await.is_err());
    assert!(TcpStream::connect(addr).await.is_err());
}
