//! REST, gRPC-Web and the pages, as browsers and HTTP clients use them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use common::{Event, NAME, Served, http, piece, reason, soon, text};
use prost::Message as _;
use serde_json::{Value, json};
use signalbox_chassis::server::{ApiKey, ServerConfig};
use signalbox_proto::guardrails::v1::CheckTextResponse;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{Code, Request};

const CHECK: &str = "/v1/guardrails:check";

fn alice_only() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.auth.required = true;
    config.auth.keys.push(ApiKey {
        name: "alice".to_owned(),
        // Of "alice".
        sha256: "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90".to_owned(),
    });
    config
}

/// Sends bytes as they are, and reads until the server has closed.
async fn raw(served: &Served, bytes: &str) -> String {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn a_key_is_asked_for_on_grpc_and_rest_and_names_the_caller() {
    let served = Served::with(alice_only()).await;
    let mut client = served.client().await;
    let error = client.check_text(text("a")).await.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::Unauthenticated, "UNAUTHENTICATED")
    );
    let mut request = Request::new(text("a"));
    let bearer = "Bearer alice".parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let answer = client.check_text(request).await.unwrap().into_inner();
    assert_eq!(answer.findings[0].r#type, "alice");

    let post = || {
        http()
            .post(served.url(CHECK))
            .json(&json!({"text": "a"}))
            .header("x-request-id", "mine-8")
    };
    let refused = post().send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["x-request-id"], "mine-8");
    let answer = post().header("x-api-key", "alice").send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "mine-8");
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["findings"][0]["type"], "alice");
    assert_eq!(answer["findings"][0]["reasons"][0], "mine-8");
}

#[tokio::test]
async fn a_caller_without_a_key_is_refused_before_its_body_is_read() {
    let served = Served::with(alice_only()).await;
    let head = format!(
        "POST {CHECK} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9999\r\n\r\n"
    );
    let answer = raw(&served, &head).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test]
async fn a_place_is_taken_before_the_body_is_read_and_given_back_with_the_answer() {
    let mut config = ServerConfig::default();
    config.limits.max_concurrent_requests = 1;
    let mut served = Served::with(config).await;
    let stalled = {
        let post = http()
            .post(served.url(CHECK))
            .json(&json!({"text": "stall"}));
        tokio::spawn(post.send())
    };
    assert_eq!(served.event().await, Event::Started);
    let refused = http()
        .post(served.url(CHECK))
        .json(&json!({"text": "a"}))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    stalled.abort();
    assert_eq!(served.event().await, Event::Dropped);
    soon(async {
        loop {
            let post = http().post(served.url(CHECK)).json(&json!({"text": "a"}));
            if post.send().await.unwrap().status() == 200 {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_panic_is_500_and_the_connection_lives() {
    let served = Served::with(ServerConfig::default()).await;
    let request = |text: &str, connection: &str| {
        let body = json!({"text": text}).to_string();
        let length = body.len();
        format!(
            "POST {CHECK} HTTP/1.1\r\nhost: x\r\nconnection: {connection}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let both = request("panic", "keep-alive") + &request("fine", "close");
    let answer = raw(&served, &both).await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(
        answer.contains("HTTP/1.1 200 ") && answer.contains("fine"),
        "{answer}"
    );
    assert!(!answer.contains("as told"), "{answer}");
}

#[tokio::test]
async fn pages_and_refusals_carry_a_request_id() {
    let served = Served::with(ServerConfig::default()).await;
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/openapi.json", 200),
        ("/", 200),
        ("/nowhere", 404),
        (CHECK, 405),
    ] {
        let answer = http().get(served.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["x-request-id"].len(), 26, "{path}");
    }
    let post = http()
        .post(served.url(CHECK))
        .body("{")
        .send()
        .await
        .unwrap();
    assert_eq!(post.status(), 400);
    assert!(post.headers().contains_key("x-request-id"));
}

#[tokio::test]
async fn a_browser_is_told_what_it_may_send() {
    let origin = "https://app.example";
    let served = Served::with(ServerConfig {
        cors_allowed_origins: vec![origin.to_owned()],
        ..ServerConfig::default()
    })
    .await;
    for path in [CHECK.to_owned(), format!("/{NAME}/CheckText")] {
        let preflight = |origin: &str| {
            http()
                .request(reqwest::Method::OPTIONS, served.url(&path))
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization,x-grpc-web")
                .send()
        };
        let answer = preflight(origin).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let headers = answer.headers();
        assert_eq!(headers["access-control-allow-origin"], origin);
        assert_eq!(
            headers["access-control-allow-headers"],
            "authorization,x-grpc-web"
        );
        let stranger = preflight("https://evil.example").await.unwrap();
        let allowed = stranger.headers().get("access-control-allow-origin");
        assert_eq!(allowed, None);
    }
    let post = http().post(served.url(CHECK)).json(&json!({"text": "a"}));
    let answer = post.header("origin", origin).send().await.unwrap();
    let exposed = answer.headers()["access-control-expose-headers"].to_str();
    assert!(exposed.unwrap().contains("x-request-id"));
}

/// One frame: a flag, a length, and what it holds.
fn frame(flag: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&[flag][..], &length, data].concat()
}

/// The frames of a body, with their flags.
fn frames(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some((&[flag, a, b, c, d], rest)) = body.split_first_chunk::<5>() {
        let (data, rest) = rest.split_at(u32::from_be_bytes([a, b, c, d]) as usize);
        found.push((flag, data.to_vec()));
        body = rest;
    }
    found
}

#[tokio::test]
async fn grpc_web_is_answered_in_binary_and_in_text() {
    let served = Served::with(ServerConfig::default()).await;
    let body = frame(0, &text("a").encode_to_vec());
    for (content_type, body) in [
        ("application/grpc-web+proto", body.clone()),
        (
            "application/grpc-web-text+proto",
            BASE64_STANDARD.encode(&body).into_bytes(),
        ),
    ] {
        let answer = http()
            .post(served.url(&format!("/{NAME}/CheckText")))
            .header("content-type", content_type)
            .header("accept", content_type)
            .header("x-grpc-web", "1")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], content_type);
        assert!(answer.headers().contains_key("x-request-id"));
        let mut bytes = answer.bytes().await.unwrap().to_vec();
        if content_type.contains("text") {
            // Each piece is padded by itself.
            bytes = String::from_utf8(bytes)
                .unwrap()
                .split_inclusive('=')
                .fold(vec![String::new()], |mut pieces, part| {
                    let fresh = part != "=" && pieces.last().unwrap().ends_with('=');
                    if fresh {
                        pieces.push(String::new());
                    }
                    pieces.last_mut().unwrap().push_str(part);
                    pieces
                })
                .iter()
                .flat_map(|piece| BASE64_STANDARD.decode(piece).unwrap())
                .collect();
        }
        let frames = frames(&bytes);
        let message = CheckTextResponse::decode(&frames[0].1[..]).unwrap();
        assert_eq!(
            (frames[0].0, message.findings[0].detector.as_str()),
            (0, "a")
        );
        let trailers = String::from_utf8(frames[1].1.clone()).unwrap();
        assert_eq!((frames[1].0, frames.len()), (0x80, 2));
        assert!(trailers.contains("grpc-status:0"), "{trailers}");
    }
}

#[tokio::test]
async fn a_grpc_web_stream_has_a_frame_a_message() {
    let served = Served::with(ServerConfig::default()).await;
    let body = ["a", "b"]
        .map(|text| frame(0, &piece(text).encode_to_vec()))
        .concat();
    let answer = http()
        .post(served.url(&format!("/{NAME}/CheckStream")))
        .header("content-type", "application/grpc-web+proto")
        .body(body)
        .send()
        .await
        .unwrap();
    let flags: Vec<u8> = frames(&answer.bytes().await.unwrap())
        .iter()
        .map(|(flag, _)| *flag)
        .collect();
    assert_eq!(flags, [0, 0, 0x80]);
}
