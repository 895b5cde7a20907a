//! Bad input of embeddings: each gets an error that names the item and the fix, and
//! harms nothing else.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::Platform;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

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

/// A body, and what its error must say: status, `param`, `code`, and words of the fix.
type BadEmbedding = (Vec<u8>, u16, Value, &'static str, &'static str);

/// Issue 5's table of bad input, over REST.
fn bad_embeddings() -> Vec<BadEmbedding> {
    let body = |fields: Value| {
        let mut body = json!({"model": "all-MiniLM-L6-v2", "input": "a"});
        let object = body.as_object_mut().unwrap();
        object.extend(fields.as_object().unwrap().clone());
        body.to_string().into_bytes()
    };
    let raw = |field: &str| {
        format!(r#"{{"model": "all-MiniLM-L6-v2", "input": "a", {field}}}"#).into_bytes()
    };
    let field = "invalid_field";
    let mut half = body(json!({}));
    // The first two of the three bytes of a euro sign.
    let at = half.iter().position(|byte| *byte == b'"').unwrap() + 1;
    half.splice(at..at, [0xe2, 0x82]);
    vec![
        (
            body(json!({"input": vec!["a"; 10_001]})),
            400,
            json!("input"),
            field,
            "1 to 10000",
        ),
        (
            body(json!({"input": ["a", "x".repeat(10 << 20)]})),
            400,
            json!("input[1]"),
            field,
            "1048576",
        ),
        (
            body(json!({"input": []})),
            400,
            json!("input"),
            field,
            "1 to 10000",
        ),
        (
            body(json!({"input": ""})),
            400,
            json!("input[0]"),
            field,
            "empty",
        ),
        (
            body(json!({"input": ["a", ""]})),
            400,
            json!("input[1]"),
            field,
            "empty",
        ),
        (
            body(json!({"input": null})),
            400,
            json!("input"),
            field,
            "1 to 10000",
        ),
        (
            body(json!({"input": 5.5})),
            400,
            json!("input"),
            field,
            "5.5",
        ),
        (
            body(json!({"input": {"text": "a"}})),
            400,
            json!("input"),
            field,
            "a string",
        ),
        (
            body(json!({"input": [[7592], [7592, 30_522]]})),
            400,
            json!("input_tokens[1]"),
            field,
            "0 to 30521",
        ),
        (
            body(json!({"input": [-1]})),
            400,
            json!("input[0]"),
            field,
            "at least 0",
        ),
        (
            body(json!({"input": [4_294_967_296u64]})),
            400,
            json!("input[0]"),
            field,
            "out of range",
        ),
        (
            body(json!({"dimensions": 0})),
            400,
            json!("dimensions"),
            field,
            "384",
        ),
        (
            body(json!({"dimensions": 256})),
            400,
            json!("dimensions"),
            field,
            "384",
        ),
        (
            body(json!({"dimensions": -1})),
            400,
            json!("dimensions"),
            field,
            "at least 0",
        ),
        (
            body(json!({"dimensions": 1.5})),
            400,
            json!("dimensions"),
            field,
            "1.5",
        ),
        (
            body(json!({"dimensions": "abc"})),
            400,
            json!("dimensions"),
            field,
            "abc",
        ),
        (
            body(json!({"dimensions": "NaN"})),
            400,
            json!("dimensions"),
            field,
            "NaN",
        ),
        (
            raw(r#""dimensions": 1e999"#),
            400,
            json!("dimensions"),
            field,
            "1e999",
        ),
        (
            raw(r#""dimensions": NaN"#),
            400,
            Value::Null,
            "invalid_json",
            "JSON",
        ),
        (
            body(json!({"model": "nonesuch"})),
            404,
            Value::Null,
            "not_found",
            "all-MiniLM-L6-v2",
        ),
        (
            body(json!({"model": ""})),
            400,
            json!("model"),
            field,
            "required",
        ),
        (
            body(json!({"encoding_format": "hex"})),
            400,
            json!("encoding_format"),
            field,
            "base64",
        ),
        (
            body(json!({"output_dtype": "int4"})),
            400,
            json!("output_dtype"),
            field,
            "ubinary",
        ),
        (
            body(json!({"input_type": "passage"})),
            400,
            json!("input_type"),
            field,
            "document",
        ),
        (
            body(json!({"reduction": "nobody"})),
            404,
            Value::Null,
            "not_found",
            "fit one first",
        ),
        (
            body(json!({"user": "u".repeat(257)})),
            400,
            json!("user"),
            field,
            "256",
        ),
        (half, 400, Value::Null, "invalid_json", "UTF-8"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_embedding_requests_get_an_error_that_names_the_item_and_the_fix() {
    let platform = Platform::start(&["router.providers.local.load=lazy"]);
    for (body, status, param, code, fix) in bad_embeddings() {
        let shown = String::from_utf8_lossy(&body[..body.len().min(160)]).into_owned();
        let (found, answer) = post(&platform, "/v1/embeddings", body).await;
        let error = &answer["error"];
        assert_eq!(found.as_u16(), status, "{shown}: {answer}");
        assert_eq!(
            (&error["param"], &error["code"]),
            (&param, &json!(code)),
            "{shown}: {answer}"
        );
        assert!(
            error["message"].as_str().unwrap().contains(fix),
            "{shown}: {answer}"
        );
    }
    // Half a character over gRPC, in `input`, which is field 1.
    let text = [0x0a, 2, 0xe2, 0x82];
    let frame: Vec<u8> = [0, 0, 0, 0, 4].into_iter().chain(text).collect();
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let method = "signalbox.embeddings.v1.EmbeddingsService/CreateEmbeddings";
    let response = client
        .post(format!("{}/{method}", platform.url))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(frame)
        .send()
        .await
        .unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let info = status.get_error_details().error_info().cloned();
    assert_eq!(info.unwrap().reason, "UNDECODABLE");

    // Nothing of it has harmed the service.
    let good = json!({"model": "all-MiniLM-L6-v2", "input": ["a", "b"]}).to_string();
    let (status, answer) = post(&platform, "/v1/embeddings", good).await;
    assert_eq!(
        (status.as_u16(), answer["data"].as_array().unwrap().len()),
        (200, 2)
    );
}
