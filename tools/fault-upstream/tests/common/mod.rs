//! A client of the upstream, and what a test reads from its answers.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{io, time::Duration};

use reqwest::{Client, Response};
use serde_json::{Value, json};
use signalbox_fault_upstream::{End, FaultUpstream, Record};

/// Long enough that only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn client() -> Client {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

pub fn question(model: &str) -> Value {
    json!({ "model": model, "messages": [
        { "role": "system", "content": "be brief" },
        { "role": "user", "content": "where does the train go" },
    ] })
}

pub async fn post(upstream: &FaultUpstream, path: &str, body: &Value) -> reqwest::Result<Response> {
    let url = format!("{}/{path}", upstream.base_url());
    client().post(url).json(body).send().await
}

pub async fn ask(upstream: &FaultUpstream, model: &str) -> reqwest::Result<Response> {
    post(upstream, "chat/completions", &question(model)).await
}

pub async fn stream(upstream: &FaultUpstream, model: &str) -> reqwest::Result<Response> {
    let mut body = question(model);
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    post(upstream, "chat/completions", &body).await
}

/// The events of a stream that ended, each the text after `data: `.
pub async fn events(response: Response) -> Vec<String> {
    let text = response.text().await.unwrap();
    let data = |event: &str| event.strip_prefix("data: ").map(ToOwned::to_owned);
    text.split("\n\n").filter_map(data).collect()
}

pub fn content(events: &[String]) -> String {
    let chunk = |event: &String| serde_json::from_str::<Value>(event).ok();
    let text = |chunk: Value| {
        chunk["choices"][0]["delta"]["content"]
            .as_str()
            .map(ToOwned::to_owned)
    };
    events.iter().filter_map(chunk).filter_map(text).collect()
}

/// Reads a broken stream to its error, and returns what came before it.
pub async fn read_to_error(mut response: Response) -> (String, reqwest::Error) {
    let mut text = String::new();
    loop {
        match response.chunk().await {
            Ok(Some(bytes)) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            Ok(None) => panic!("the stream ended cleanly after {text}"),
            Err(error) => return (text, error),
        }
    }
}

pub fn is_reset(error: &reqwest::Error) -> bool {
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

pub async fn the_end(upstream: &FaultUpstream, end: End) -> Record {
    let ended = |records: &[Record]| records.last().is_some_and(|last| last.outcome.end == end);
    let records = upstream.wait_for(ended, PATIENCE).await.unwrap();
    records.last().unwrap().clone()
}
