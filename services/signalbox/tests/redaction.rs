//! A prompt's personal data never reaches the provider, and what the answer cost is
//! booked to the user to the last pico-dollar.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use reqwest::Client;
use serde_json::{Value, json};
use signalbox_fault_upstream::FaultUpstream;
use support::{Platform, upstream_config};

const PROMPT: &str = "I am Ada. Mail me at ada@example.com, and charge 4111 1111 1111 1111 please.";
const REDACTED: &str = "I am Ada. Mail me at <EMAIL>, and charge <CREDIT_CARD> please.";

/// Dollars a million tokens are pico-dollars a token times 1,000,000.
const INPUT: i64 = 150_000;
const CACHED: i64 = 2_500;
const OUTPUT: i64 = 600_000;

async fn post(url: &str, body: &Value) -> reqwest::Response {
    Client::new().post(url).json(body).send().await.unwrap()
}

async fn usage(platform: &Platform, user: &str) -> Value {
    let url = format!("{}/v1/router/usage?user={user}", platform.url);
    Client::new()
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reaches_the_provider_is_redacted_and_the_cost_is_exact() {
    let upstream = FaultUpstream::start().await;
    let config = upstream_config(
        &upstream.base_url(),
        &[("echo", "fault/echo,cached=3"), ("other", "fault/tokens=7")],
    );
    let platform = Platform::start_file(&config, &[]);
    let chat = format!("{}/v1/chat/completions", platform.url);

    let messages = json!([
        {"role": "system", "content": "Be brief, and CC ops@example.com."},
        {"role": "user", "name": "ada", "content": PROMPT},
    ]);
    let answer: Value = post(
        &chat,
        &json!({"model": "auto", "user": "ada", "messages": messages}),
    )
    .await
    .json()
    .await
    .unwrap();
    assert_eq!(
        answer["choices"][0]["message"]["content"], REDACTED,
        "{answer}"
    );
    assert_eq!(
        answer["signalbox"]["prompt_redactions"],
        json!(["EMAIL", "EMAIL", "CREDIT_CARD"]),
        "{answer}"
    );

    let records = upstream.records();
    assert_eq!(records.len(), 1);
    let sent = &records[0].body["messages"];
    assert_eq!(sent[0]["content"], "Be brief, and CC <EMAIL>.");
    assert_eq!(sent[1]["content"], REDACTED);
    let whole = serde_json::to_string(&records[0].body).unwrap();
    for secret in ["ada@example.com", "ops@example.com", "4111"] {
        assert!(!whole.contains(secret), "{whole}");
    }

    // A stream is booked just the same, to the same user.
    let streamed = json!({"model": "other", "user": "ada", "messages": messages, "stream": true});
    let events = post(&chat, &streamed).await.text().await.unwrap();
    assert!(events.trim_end().ends_with("data: [DONE]"), "{events}");
    // Somebody else's request is not.
    post(
        &chat,
        &json!({"model": "other", "user": "bob", "messages": messages}),
    )
    .await;

    let tokens: Vec<(i64, i64)> = upstream
        .records()
        .iter()
        .map(|record| {
            let count = |tokens: u64| i64::try_from(tokens).unwrap();
            (
                count(record.outcome.prompt_tokens),
                count(record.outcome.completion_tokens),
            )
        })
        .collect();
    let echo_cost = (tokens[0].0 - 3) * INPUT + 3 * CACHED + tokens[0].1 * OUTPUT;
    let other_cost = tokens[1].0 * INPUT + tokens[1].1 * OUTPUT;
    assert_eq!(answer["signalbox"]["cost_usd_picos"], echo_cost.to_string());

    let usage_of_ada = usage(&platform, "ada").await;
    let row = |model: &str,
               requests: i64,
               (prompt, completion): (i64, i64),
               cached: i64,
               cost: i64| {
        json!({"user": "ada", "model": model, "provider": "upstream", "totals": {
            "requests": requests.to_string(), "prompt_tokens": prompt.to_string(),
            "cached_prompt_tokens": cached.to_string(), "completion_tokens": completion.to_string(),
            "cost_usd_picos": cost.to_string(),
        }})
    };
    let expected = [
        row("echo", 1, tokens[0], 3, echo_cost),
        row("other", 1, tokens[1], 0, other_cost),
    ];
    assert_eq!(usage_of_ada["rows"], json!(expected), "{usage_of_ada}");
    assert_eq!(
        usage_of_ada["total"]["cost_usd_picos"],
        (echo_cost + other_cost).to_string()
    );
    assert_eq!(usage(&platform, "bob").await["total"]["requests"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answers_personal_data_is_taken_out_whole_and_streamed() {
    // With the prompt unchecked, `echo` makes the provider say the secrets.
    let upstream = FaultUpstream::start().await;
    let config = upstream_config(&upstream.base_url(), &[("echo", "fault/echo")]);
    let platform = Platform::start_file(&config, &["router.guardrails.prompt=off"]);
    let chat = format!("{}/v1/chat/completions", platform.url);
    let mut request = json!({"model": "auto", "messages": [{"role": "user", "content": PROMPT}]});

    let answer: Value = post(&chat, &request).await.json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], REDACTED);
    assert_eq!(
        answer["signalbox"]["completion_redactions"],
        json!(["EMAIL", "CREDIT_CARD"])
    );

    request["stream"] = json!(true);
    let events = post(&chat, &request).await.text().await.unwrap();
    let text: String = events
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|chunk| {
            Some(
                chunk["choices"].get(0)?["delta"]["content"]
                    .as_str()?
                    .to_owned(),
            )
        })
        .collect();
    assert_eq!(text, REDACTED, "{events}");
}
