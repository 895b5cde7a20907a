//! Bad input and clients that go away: a specific status with details on gRPC and
//! on REST, and a server that stays up and stops the work.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use signalbox_proto::{
    embeddings::v1::{CreateEmbeddingsRequest, embeddings_service_client::EmbeddingsServiceClient},
    guardrails::v1::{RedactTextRequest, guardrails_service_client::GuardrailsServiceClient},
    router::v1::{
        ChatMessage, CreateChatCompletionRequest, router_service_client::RouterServiceClient,
    },
};
use support::{Platform, eventually};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt as _;

const LIMIT: &str = "server.limits.max_request_bytes=100000";

async fn post(
    platform: &Platform,
    path: &str,
    body: impl Into<reqwest::Body>,
) -> (StatusCode, Value) {
    let request = Client::new()
        .post(format!("{}{path}", platform.url))
        .header("content-type", "application/json");
    let response = request.body(body).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

async fn channel(platform: &Platform) -> Channel {
    Channel::from_shared(platform.url.clone())
        .unwrap()
        .connect()
        .await
        .unwrap()
}

fn chat(content: &str) -> CreateChatCompletionRequest {
    let message = ChatMessage {
        role: "user".to_owned(),
        content: content.to_owned(),
        ..ChatMessage::default()
    };
    CreateChatCompletionRequest {
        model: "auto".to_owned(),
        messages: vec![message],
        ..CreateChatCompletionRequest::default()
    }
}

#[track_caller]
fn assert_status(status: &Status, code: Code, reason: &str, field: Option<&str>) {
    assert_eq!(status.code(), code, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(
        details.error_info().map(|info| info.reason.as_str()),
        Some(reason),
        "{status:?}"
    );
    let found = details
        .bad_request()
        .map(|bad| bad.field_violations[0].field.as_str());
    assert_eq!(found, field, "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rest_requests_get_an_error_that_names_the_fix() {
    let platform = Platform::start(&["router.providers.local.load=lazy", LIMIT]);
    let message = |role: &str| json!({"role": role, "content": "hi"});
    let big =
        json!({"model": "auto", "messages": [{"role": "user", "content": "x".repeat(200_000)}]});
    let cases: Vec<(&str, Vec<u8>, u16, Value, &str)> = vec![
        (
            "/v1/chat/completions",
            b"{\"model\": \"auto\",".to_vec(),
            400,
            Value::Null,
            "invalid_json",
        ),
        (
            "/v1/chat/completions",
            json!({"model": 5, "messages": [message("user")]})
                .to_string()
                .into(),
            400,
            json!("model"),
            "invalid_field",
        ),
        (
            "/v1/chat/completions",
            json!({"model": "auto", "messages": [message("user"), {"role": ["x"]}]})
                .to_string()
                .into(),
            400,
            json!("messages[1].role"),
            "invalid_field",
        ),
        (
            "/v1/chat/completions",
            json!({"model": "auto", "messages": [message("wizard")]})
                .to_string()
                .into(),
            400,
            json!("messages[0].role"),
            "invalid_field",
        ),
        (
            "/v1/chat/completions",
            json!({"model": "auto", "messages": [message("user")], "temperature": 3})
                .to_string()
                .into(),
            400,
            json!("temperature"),
            "invalid_field",
        ),
        (
            "/v1/chat/completions",
            json!({"model": "auto", "messages": []}).to_string().into(),
            400,
            json!("messages"),
            "invalid_field",
        ),
        (
            "/v1/chat/completions",
            json!({"model": "nonesuch", "messages": [message("user")]})
                .to_string()
                .into(),
            404,
            Value::Null,
            "not_found",
        ),
        (
            "/v1/chat/completions",
            big.to_string().into(),
            413,
            Value::Null,
            "message_too_large",
        ),
        (
            "/v1/chat/completions",
            b"{\"model\": \"\xff\xfe\"}".to_vec(),
            400,
            Value::Null,
            "invalid_json",
        ),
        (
            "/v1/embeddings",
            json!({"model": "all-MiniLM-L6-v2", "input": ""})
                .to_string()
                .into(),
            400,
            json!("input[0]"),
            "invalid_field",
        ),
        (
            "/v1/embeddings",
            json!({"model": "all-MiniLM-L6-v2", "input": ["a", 5]})
                .to_string()
                .into(),
            400,
            json!("input[1]"),
            "invalid_field",
        ),
        (
            "/v1/embeddings",
            json!({"model": "nonesuch", "input": "a"})
                .to_string()
                .into(),
            404,
            Value::Null,
            "not_found",
        ),
    ];
    for (path, body, status, param, code) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        let (found, answer) = post(&platform, path, body).await;
        let error = &answer["error"];
        assert_eq!(found.as_u16(), status, "{path} {shown}: {answer}");
        assert_eq!(
            (&error["param"], &error["code"]),
            (&param, &json!(code)),
            "{path} {shown}: {answer}"
        );
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| text.len() > 10),
            "{answer}"
        );
        assert!(error["type"].is_string(), "{answer}");
    }
    // Off OpenAI's paths an error is the JSON of google.rpc.Status.
    let (status, answer) = post(
        &platform,
        "/v1/guardrails:check",
        json!({"text": 5}).to_string(),
    )
    .await;
    assert_eq!(status, 400);
    assert_eq!(answer["code"], 3, "{answer}");
    let details = answer["details"].as_array().unwrap();
    assert!(
        details
            .iter()
            .any(|detail| detail["field_violations"][0]["field"] == "text"),
        "{answer}"
    );

    let late = Client::new()
        .post(format!("{}/v1/chat/completions", platform.url))
        .header("x-request-timeout", "0.001")
        .json(&json!({"model": "auto", "messages": [message("user")]}))
        .send()
        .await
        .unwrap();
    assert_eq!(late.status(), 504);
    let answer: Value = late.json().await.unwrap();
    assert_eq!(answer["error"]["code"], "deadline_exceeded", "{answer}");
    assert!(
        Client::new()
            .get(format!("{}/readyz", platform.url))
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_grpc_requests_get_a_status_with_details() {
    let platform = Platform::start(&["router.providers.local.load=lazy", LIMIT]);
    let channel = channel(&platform).await;
    let mut router = RouterServiceClient::new(channel.clone());
    let mut embeddings = EmbeddingsServiceClient::new(channel.clone());
    let mut guardrails = GuardrailsServiceClient::new(channel);

    let unknown = CreateChatCompletionRequest {
        model: "nonesuch".to_owned(),
        ..chat("hi")
    };
    let status = router
        .create_chat_completion(unknown.clone())
        .await
        .unwrap_err();
    assert_status(&status, Code::NotFound, "NOT_FOUND", None);
    let status = router.stream_chat_completion(unknown).await.unwrap_err();
    assert_status(&status, Code::NotFound, "NOT_FOUND", None);
    let empty = CreateChatCompletionRequest {
        messages: vec![],
        ..chat("hi")
    };
    let status = router.create_chat_completion(empty).await.unwrap_err();
    assert_status(
        &status,
        Code::InvalidArgument,
        "INVALID_FIELD",
        Some("messages"),
    );
    let status = router
        .create_chat_completion(chat(&"x".repeat(200_000)))
        .await
        .unwrap_err();
    assert_status(&status, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", None);

    let input = CreateEmbeddingsRequest {
        model: "all-MiniLM-L6-v2".to_owned(),
        ..CreateEmbeddingsRequest::default()
    };
    let status = embeddings.create_embeddings(input).await.unwrap_err();
    assert_status(
        &status,
        Code::InvalidArgument,
        "INVALID_FIELD",
        Some("input"),
    );
    let detectors = RedactTextRequest {
        detectors: vec!["emial".to_owned()],
        ..RedactTextRequest::default()
    };
    let status = guardrails.redact_text(detectors).await.unwrap_err();
    assert_status(
        &status,
        Code::InvalidArgument,
        "INVALID_FIELD",
        Some("detectors[0]"),
    );
    assert!(status.message().contains("email"), "{status:?}");

    let mut late = Request::new(chat("hi"));
    late.set_timeout(Duration::from_millis(1));
    let status = router.create_chat_completion(late).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );

    // Bytes that are no UTF-8 in a string field: field 1, 2 bytes long.
    let body = [0, 0, 0, 0, 4, 0x0a, 2, 0xff, 0xfe].to_vec();
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let response = client
        .post(format!(
            "{}/signalbox.guardrails.v1.GuardrailsService/RedactText",
            platform.url
        ))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .send()
        .await
        .unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_status(&status, Code::InvalidArgument, "UNDECODABLE", None);

    assert_eq!(
        guardrails
            .redact_text(RedactTextRequest::default())
            .await
            .unwrap()
            .get_ref()
            .text,
        ""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_of_one_millisecond_is_the_servers_own_verdict() {
    let platform = Platform::start(&["router.providers.local.load=lazy"]);
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    // The client itself waits, so the status is the server's.
    let body = prost::Message::encode_to_vec(&chat("Tell me a long story."));
    let framed: Vec<u8> = [0]
        .into_iter()
        .chain(u32::try_from(body.len()).unwrap().to_be_bytes())
        .chain(body)
        .collect();
    let response = client
        .post(format!(
            "{}/signalbox.router.v1.RouterService/CreateChatCompletion",
            platform.url
        ))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "1m")
        .body(framed)
        .send()
        .await
        .unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_status(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED", None);
}

/// Generation goes on only while somebody reads: after the client has left, the
/// model is idle and has not generated what was asked for.
fn generation_stops(platform: &Platform, asked: f64) {
    eventually("the cancellation", || {
        (platform.metric("signalbox_local_cancelled_total") >= 1.0).then_some(())
    });
    eventually("an idle model", || {
        (platform.metric("signalbox_local_active") == 0.0).then_some(())
    });
    let generated = platform.metric("signalbox_local_generated_tokens_total");
    assert!(
        generated < asked,
        "{generated} tokens were generated, nobody having read them"
    );
    assert_eq!(
        platform.metric("signalbox_local_generated_tokens_total"),
        generated
    );
}

const STORY: &str = "Write a very long story about a lighthouse and its keeper. Do not stop.";

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_client_that_leaves_stops_the_generation() {
    let platform = Platform::start(&["router.guardrails.completion=off"]);
    let mut router = RouterServiceClient::new(channel(&platform).await);
    let request = CreateChatCompletionRequest {
        max_completion_tokens: Some(1_500),
        ..chat(STORY)
    };
    let mut stream = router
        .stream_chat_completion(request)
        .await
        .unwrap()
        .into_inner();
    for _ in 0..3 {
        stream.message().await.unwrap().unwrap();
    }
    drop(stream);
    drop(router);
    tokio::task::spawn_blocking(move || generation_stops(&platform, 1_500.0))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_client_that_leaves_stops_the_generation() {
    let platform = Platform::start(&["router.guardrails.completion=off"]);
    let request = json!({
        "model": "auto", "stream": true, "max_tokens": 1_500, "messages": [{"role": "user", "content": STORY}],
    });
    let client = Client::new();
    let mut response = client
        .post(format!("{}/v1/chat/completions", platform.url))
        .json(&request)
        .send()
        .await
        .unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop((response, client));
    tokio::task::spawn_blocking(move || generation_stops(&platform, 1_500.0))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_in_mid_answer_stops_the_generation() {
    let platform = Platform::start(&[]);
    let request = json!({"model": "auto", "max_tokens": 1_500, "messages": [{"role": "user", "content": STORY}]});
    // Loaded and warm first, so that the deadline falls into the generation.
    let warm =
        json!({"model": "auto", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]});
    let client = Client::new();
    let url = format!("{}/v1/chat/completions", platform.url);
    assert!(
        client
            .post(&url)
            .json(&warm)
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    let response = client
        .post(&url)
        .header("x-request-timeout", "500ms")
        .json(&request)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 504);
    tokio::task::spawn_blocking(move || generation_stops(&platform, 1_500.0))
        .await
        .unwrap();
}
