//! What a healthy upstream answers and records, over real sockets with a real HTTP
//! client.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{ask, client, content, events, post, question, stream, the_end};
use reqwest::StatusCode;
use serde_json::{Value, json};
use signalbox_fault_upstream::{End, FaultUpstream};
use tokio::{net::TcpStream, time::Instant};

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
