//! Real clients against the real binary on real models: the OpenAI SDKs, grpcurl,
//! curl on every path, an OpenAPI validator and a Prometheus parser.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use support::{Platform, client, command, python, run, tool, tools_dir};

#[test]
fn the_openai_python_sdk_works_with_only_its_base_url_changed() {
    let platform = Platform::start(&[]);
    run(python().arg(client("openai_python.py")).arg(&platform.url));
}

#[test]
fn the_openai_node_sdk_works_with_only_its_base_url_changed() {
    let platform = Platform::start(&[]);
    run(Command::new("node")
        .arg(client("openai_node.mjs"))
        .arg(&platform.url)
        .arg(tools_dir().join("node")));
}

#[test]
fn the_openai_sdks_see_a_rate_limit_as_one_with_the_time_to_wait() {
    let limited = [
        "router.providers.local.load=lazy",
        "server.limits.per_caller={requests_per_second: 0.001, burst: 1}",
    ];
    let platform = Platform::start(&limited);
    run(python()
        .arg(client("openai_python_limited.py"))
        .arg(&platform.url));
    let platform = Platform::start(&limited);
    run(Command::new("node")
        .arg(client("openai_node_limited.mjs"))
        .arg(&platform.url)
        .arg(tools_dir().join("node")));
}

#[test]
fn grpcurl_lists_describes_and_calls() {
    let platform = Platform::start(&["router.providers.local.load=lazy"]);
    let grpcurl = |arguments: &[&str]| {
        let (flags, rest) = arguments.split_at(arguments.len() - 1);
        let mut command = Command::new(tool("bin/grpcurl"));
        run(command
            .arg("-plaintext")
            .args(flags)
            .arg(platform.address())
            .args(rest[0].split(' ')))
    };
    let services = grpcurl(&["list"]);
    for service in [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "signalbox.embeddings.v1.EmbeddingsService",
        "signalbox.guardrails.v1.GuardrailsService",
        "signalbox.router.v1.RouterService",
    ] {
        assert!(
            services.lines().any(|line| line == service),
            "{service} is not in:\n{services}"
        );
    }
    let described = grpcurl(&["describe signalbox.router.v1.RouterService"]);
    assert!(
        described.contains("rpc StreamChatCompletion"),
        "{described}"
    );
    let answer = grpcurl(&[
        "-d",
        r#"{"text":"Mail ada@example.com"}"#,
        "signalbox.guardrails.v1.GuardrailsService/RedactText",
    ]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["text"], "Mail <EMAIL>");
    let health = grpcurl(&[
        "-d",
        r#"{"service":"signalbox.router.v1.RouterService"}"#,
        "grpc.health.v1.Health/Check",
    ]);
    assert!(health.contains("SERVING"), "{health}");
}

/// One call by curl: the HTTP status and the body.
fn curl(platform: &Platform, method: &str, path: &str, body: Option<&Value>) -> (u16, String) {
    let mut command = Command::new("curl");
    command.args([
        "-sS",
        "--max-time",
        "60",
        "-X",
        method,
        "-w",
        "\n%{http_code}",
    ]);
    if let Some(body) = body {
        command.args([
            "-H",
            "content-type: application/json",
            "-d",
            &body.to_string(),
        ]);
    }
    let output = run(command.arg(format!("{}{path}", platform.url)));
    let (body, status) = output.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// Method, path, body, expected status, and what stands where in the answer.
type Case = (
    &'static str,
    &'static str,
    Option<Value>,
    u16,
    &'static str,
    Value,
);

#[test]
fn curl_reaches_every_rest_path() {
    let platform = Platform::start(&[]);
    let question = json!([{"role": "user", "content": "Say hello."}]);
    let chat = json!({"model": "auto", "messages": question, "max_tokens": 8, "user": "curl"});
    let cases: [Case; 25] = [
        (
            "POST",
            "/v1/chat/completions",
            Some(chat.clone()),
            200,
            "/object",
            json!("chat.completion"),
        ),
        ("GET", "/v1/models", None, 200, "/object", json!("list")),
        (
            "GET",
            "/v1/router/usage?user=curl",
            None,
            200,
            "/rows/0/user",
            json!("curl"),
        ),
        (
            "POST",
            "/v1/embeddings",
            Some(json!({"model": "all-MiniLM-L6-v2", "input": "hi"})),
            200,
            "/data/0/index",
            json!(0),
        ),
        (
            "GET",
            "/v1/embeddings/models",
            None,
            200,
            "/data/0/dimensions",
            json!(384),
        ),
        (
            "POST",
            "/v1/embeddings/reductions",
            Some(json!({
                "name": "curl", "model": "all-MiniLM-L6-v2", "dimensions": 1, "input": ["a", "b"],
            })),
            200,
            "/id",
            json!("curl@1"),
        ),
        (
            "GET",
            "/v1/embeddings/reductions",
            None,
            200,
            "/data/0/kind",
            json!("pca"),
        ),
        (
            "DELETE",
            "/v1/embeddings/reductions/curl@1",
            None,
            200,
            "/deleted_versions",
            json!(1),
        ),
        (
            "POST",
            "/v1/guardrails:check",
            Some(json!({"text": "10.0.0.1"})),
            200,
            "/action",
            json!("ACTION_REDACT"),
        ),
        (
            "POST",
            "/v1/guardrails:batchCheck",
            Some(json!({"texts": ["a", "b"]})),
            200,
            "/results/1/action",
            json!("ACTION_ALLOW"),
        ),
        (
            "POST",
            "/v1/guardrails:redact",
            Some(json!({"text": "a@b.org"})),
            200,
            "/text",
            json!("<EMAIL>"),
        ),
        (
            "GET",
            "/v1/guardrails/detectors",
            None,
            200,
            "/detectors/0/default_on",
            json!(true),
        ),
        // Declared, and honest about not being there yet.
        (
            "POST",
            "/v1/router:explain",
            Some(json!({})),
            501,
            "/code",
            json!(12),
        ),
        (
            "POST",
            "/v1/router/feedback",
            Some(json!({})),
            501,
            "/code",
            json!(12),
        ),
        ("GET", "/v1/router/policy", None, 501, "/code", json!(12)),
        (
            "PATCH",
            "/v1/router/policy",
            Some(json!({})),
            501,
            "/code",
            json!(12),
        ),
        (
            "POST",
            "/v1/router:replay",
            Some(json!({})),
            501,
            "/code",
            json!(12),
        ),
        (
            "POST",
            "/v1/embeddings/jobs",
            Some(json!({})),
            400,
            "/code",
            json!(3),
        ),
        (
            "POST",
            "/v1/embeddings/jobs",
            Some(json!({"model": "all-MiniLM-L6-v2", "input": ["a", ""]})),
            200,
            "/total_items",
            json!(2),
        ),
        (
            "GET",
            "/v1/embeddings/jobs",
            None,
            200,
            "/jobs/0/total_items",
            json!(2),
        ),
        ("GET", "/v1/embeddings/jobs/7", None, 404, "/code", json!(5)),
        (
            "POST",
            "/v1/embeddings/jobs/7:cancel",
            Some(json!({})),
            404,
            "/code",
            json!(5),
        ),
        (
            "GET",
            "/v1/embeddings/jobs/7/results",
            None,
            404,
            "/code",
            json!(5),
        ),
        (
            "POST",
            "/v1/guardrails:restore",
            Some(json!({"text": "a", "session_id": "nobody"})),
            404,
            "/code",
            json!(5),
        ),
        (
            "GET",
            "/v1/guardrails/policies",
            None,
            200,
            "/policies/0/name",
            json!("default"),
        ),
    ];
    for (method, path, body, status, pointer, expected) in cases {
        let (found, answer) = curl(&platform, method, path, body.as_ref());
        assert_eq!(found, status, "{method} {path}: {answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(
            answer.pointer(pointer),
            Some(&expected),
            "{method} {path}: {answer}"
        );
    }
    let (status, answer) = curl(
        &platform,
        "POST",
        "/v1/moderations",
        Some(&json!({"input": "hi"})),
    );
    assert_eq!(status, 501, "{answer}");
    let error: Value = serde_json::from_str(&answer).unwrap();
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("CreateModeration"),
        "{answer}"
    );

    let mut streamed = chat;
    streamed["stream"] = json!(true);
    let (status, events) = curl(&platform, "POST", "/v1/chat/completions", Some(&streamed));
    assert_eq!(status, 200, "{events}");
    assert!(
        events.starts_with("data: {") && events.trim_end().ends_with("data: [DONE]"),
        "{events}"
    );

    for (path, part) in [
        ("/healthz", "ok"),
        ("/readyz", "ready"),
        ("/", "Signalbox"),
        ("/metrics", "signalbox_rpc_duration_seconds"),
    ] {
        let (status, text) = curl(&platform, "GET", path, None);
        assert!(
            status == 200 && text.contains(part),
            "{path}: {status} {text}"
        );
    }
    assert_eq!(curl(&platform, "GET", "/v2/nothing", None).0, 404);
    assert_eq!(curl(&platform, "DELETE", "/v1/models", None).0, 405);
}

#[test]
fn the_openapi_document_is_valid_and_the_metrics_parse() {
    let platform = Platform::start(&["router.providers.local.load=lazy"]);
    curl(
        &platform,
        "POST",
        "/v1/guardrails:redact",
        Some(&json!({"text": "a@b.org"})),
    );
    run(python().arg(client("documents.py")).arg(&platform.url));
}

#[test]
fn the_commands_talk_to_the_server() {
    let platform = Platform::start(&[]);
    let signalbox = |arguments: &[&str]| {
        run(command("signalbox")
            .args(arguments)
            .args(["--url", &platform.url]))
    };
    assert!(
        signalbox(&[
            "ask",
            "--temperature",
            "0",
            "--max-tokens",
            "24",
            "Which city is the capital of France?"
        ])
        .contains("Paris")
    );
    let vector: Vec<f32> =
        serde_json::from_str(signalbox(&["embed", "a red bicycle"]).trim()).unwrap();
    assert_eq!(vector.len(), 384);
    assert_eq!(
        signalbox(&["check", "Mail ada@example.com"]),
        "Mail <EMAIL>\n"
    );
    assert!(!signalbox(&["doctor"]).contains("BAD"));
}
