//! The three services as processes of their own: the Router asks Guardrails over
//! gRPC, and says so when it cannot.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use reqwest::Client;
use serde_json::{Value, json};
use signalbox_fault_upstream::FaultUpstream;
use support::{Platform, upstream_config};

async fn ask(router: &Platform) -> (u16, Value) {
    let request = json!({
        "model": "auto", "user": "ada", "messages": [{"role": "user", "content": "Mail ada@example.com"}],
    });
    let url = format!("{}/v1/chat/completions", router.url);
    let response = Client::new().post(url).json(&request).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_router_redacts_through_a_guardrails_process() {
    let upstream = FaultUpstream::start().await;
    let config = upstream_config(&upstream.base_url(), &[("echo", "fault/echo")]);
    let guardrails = Platform::start_alone("signalbox-guardrails", None, &[]);
    let url = format!("guardrails.url={}", guardrails.url);
    let router = Platform::start_alone("signalbox-router", Some(&config), &[&url]);

    let (status, answer) = ask(&router).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["choices"][0]["message"]["content"], "Mail <EMAIL>");
    let record = &upstream.records()[0];
    assert_eq!(record.body["messages"][0]["content"], "Mail <EMAIL>");
    let carried = record.traceparent.clone().unwrap();
    assert_ne!(
        carried.split('-').nth(1),
        Some("00000000000000000000000000000000")
    );
    // The guard's own metrics show that it was asked over the wire.
    assert!(guardrails.metric("signalbox_rpc_duration_seconds_count") >= 1.0);

    // Without its guard the Router lets nothing through.
    drop(guardrails);
    let (status, answer) = ask(&router).await;
    assert_eq!(status, 503, "{answer}");
    assert_eq!(
        upstream.records().len(),
        1,
        "an unchecked prompt reached the provider"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_run_alone() {
    let embeddings = Platform::start_alone("signalbox-embeddings", None, &[]);
    let request = json!({"model": "all-MiniLM-L6-v2", "input": "a red bicycle"});
    let url = format!("{}/v1/embeddings", embeddings.url);
    let answer: Value = Client::new()
        .post(url)
        .json(&request)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        answer["data"][0]["embedding"].as_array().unwrap().len(),
        384,
        "{answer}"
    );
    // Another service's path is not there.
    let other = Client::new()
        .get(format!("{}/v1/models", embeddings.url))
        .send()
        .await
        .unwrap();
    assert_eq!(other.status(), 404);
}
