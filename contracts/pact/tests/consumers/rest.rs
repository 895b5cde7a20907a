//! The Rust client of the REST API.

use pact_consumer::{builders::InteractionBuilder, prelude::*};
use pact_consumer::{each_like, each_like_helper, json_pattern, json_pattern_internal, like, term};
use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;
use serde_json::{Value, json};
use signalbox_pact::KEY;

const CONSUMER: &str = "rust-rest";
const ROUTER: &str = "signalbox-router";
const EMBEDDINGS: &str = "signalbox-embeddings";
const GUARDRAILS: &str = "signalbox-guardrails";

/// The client under test: what it reads is what the pacts say.
struct Client {
    http: reqwest::Client,
    server: Box<dyn ValidatingMockServer>,
    key: Option<&'static str>,
}

#[derive(Deserialize)]
struct ChatCompletion {
    id: String,
    object: String,
    model: String,
    choices: Vec<Choice>,
    usage: Usage,
    signalbox: RouteInfo,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: String,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u32,
    #[serde(default)]
    completion_tokens: u32,
    total_tokens: u32,
}

#[derive(Deserialize)]
struct RouteInfo {
    provider: String,
    cost_usd_picos: String,
}

#[derive(Deserialize)]
struct List<T> {
    object: String,
    data: Vec<T>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    owned_by: String,
}

#[derive(Deserialize)]
struct Embeddings {
    data: Vec<Embedding>,
    model: String,
    usage: Usage,
}

#[derive(Deserialize)]
struct Embedding {
    index: u32,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Checked {
    action: String,
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Redacted {
    text: String,
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Finding {
    r#type: String,
    start_byte: String,
    end_byte: String,
}

#[derive(Deserialize)]
struct OpenAiError {
    error: OpenAiErrorBody,
}

#[derive(Deserialize)]
struct OpenAiErrorBody {
    code: String,
    message: String,
    param: Option<String>,
    r#type: String,
}

impl Client {
    fn new(pact: &PactBuilder) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            http: reqwest::Client::new(),
            server: pact.start_mock_server(None, None),
            key: Some(KEY),
        }
    }

    async fn get(&self, path: &str) -> Response {
        let mut request = self.http.get(self.server.path(path));
        if let Some(key) = self.key {
            request = request.bearer_auth(key);
        }
        request.send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        let mut request = self.http.post(self.server.path(path)).json(body);
        if let Some(key) = self.key {
            request = request.bearer_auth(key);
        }
        request.send().await.unwrap()
    }
}

/// A pact of one interaction: `given` names the provider's state and its parameters.
fn pact(
    provider: &str,
    description: &str,
    given: Option<(&str, Value)>,
    describe: impl FnOnce(&mut InteractionBuilder),
) -> PactBuilder {
    let mut pact = PactBuilder::new_v4(CONSUMER, provider);
    pact.with_output_dir(super::out());
    pact.interaction(description, "", |mut interaction| {
        if let Some((state, parameters)) = given {
            interaction.given_with_params(state, &parameters);
        }
        describe(&mut interaction);
        interaction
    });
    pact
}

fn post(interaction: &mut InteractionBuilder, path: &str, body: &Value) {
    let request = interaction
        .request
        .post()
        .path(path)
        .json_body(body.clone());
    request.header("authorization", format!("Bearer {KEY}"));
}

fn get(interaction: &mut InteractionBuilder, path: &str) {
    let request = interaction.request.get().path(path);
    request.header("authorization", format!("Bearer {KEY}"));
}

#[tokio::test]
async fn completes_a_chat() {
    let body = json!({
        "model": "echo",
        "messages": [{"role": "user", "content": "hello pact"}],
        "max_tokens": 8,
    });
    let state = Some(("a chat model", json!({"model": "echo"})));
    let pact = pact(ROUTER, "a chat completion", state, |i| {
        post(i, "/v1/chat/completions", &body);
        i.response.ok().json_body(json_pattern!({
            "id": term!("^chatcmpl-[0-9A-Z]{26}$", "chatcmpl-01M846C77G24TR7RHVE2EH0A1F"),
            "object": "chat.completion",
            "created": like!(1795437239),
            "model": "echo",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": "hello pact"},
                "finish_reason": "stop",
            }],
            "usage": {
                "prompt_tokens": like!(2),
                "completion_tokens": like!(2),
                "total_tokens": like!(4),
            },
            "signalbox": {
                "request_id": like!("01M846C758YZRN01KQWY82VKQN"),
                "strategy": like!("pinned"),
                "provider": like!("upstream"),
                "cost_usd_picos": term!("^[0-9]+$", "1500000"),
            },
        }));
    });
    let client = Client::new(&pact);
    let response = client.post("/v1/chat/completions", &body).await;
    let answer: ChatCompletion = response.json().await.unwrap();
    assert!(answer.id.starts_with("chatcmpl-"));
    assert_eq!(answer.object, "chat.completion");
    assert_eq!(answer.model, "echo");
    assert_eq!(answer.choices[0].message.role, "assistant");
    assert_eq!(answer.choices[0].message.content, "hello pact");
    assert_eq!(answer.choices[0].finish_reason, "stop");
    let usage = answer.usage;
    assert_eq!(
        usage.total_tokens,
        usage.prompt_tokens + usage.completion_tokens
    );
    assert_eq!(answer.signalbox.provider, "upstream");
    answer.signalbox.cost_usd_picos.parse::<u64>().unwrap();
}

/// Every event is one JSON object, the last before `[DONE]` has the usage. What is in an
/// event is looked for in any order: JSON has none.
const STREAM: &str = concat!(
    r#"^(data: \{[^\n]*"object":"chat\.completion\.chunk"[^\n]*\}\n\n)*"#,
    r#"data: \{[^\n]*"delta":\{[^}\n]*"content":"[^"\n]+"[^\n]*\}\n\n"#,
    r#"(data: \{[^\n]*\}\n\n)*data: \{[^\n]*"finish_reason":"stop"[^\n]*\}\n\n"#,
    r#"(data: \{[^\n]*\}\n\n)*data: \{[^\n]*"usage":\{[^\n]*"total_tokens":[0-9]+[^\n]*\}\n\n"#,
    r"data: \[DONE\]\n\n$",
);

const STREAMED: &str = concat!(
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"The signal is clear."},"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":5,"total_tokens":6}}"#,
    "\n\ndata: [DONE]\n\n",
);

#[tokio::test]
async fn streams_a_chat() {
    let body = json!({
        "model": "steady",
        "messages": [{"role": "user", "content": "hello pact"}],
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    let state = Some(("a chat model", json!({"model": "steady"})));
    let pact = pact(ROUTER, "a streamed chat completion", state, |i| {
        post(i, "/v1/chat/completions", &body);
        let response = i.response.ok().header("content-type", "text/event-stream");
        response.body_matching2(term!(STREAM, STREAMED), "text/event-stream");
    });
    let client = Client::new(&pact);
    let response = client.post("/v1/chat/completions", &body).await;
    let text = response.text().await.unwrap();
    let mut events: Vec<&str> = text.split("\n\n").filter(|e| !e.is_empty()).collect();
    assert_eq!(events.pop(), Some("data: [DONE]"));
    let mut said = String::new();
    let mut total_tokens = None;
    for event in events {
        let chunk: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        said.push_str(
            chunk["choices"][0]["delta"]["content"]
                .as_str()
                .unwrap_or_default(),
        );
        total_tokens = total_tokens.or_else(|| chunk["usage"]["total_tokens"].as_u64());
    }
    assert_eq!(said, "The signal is clear.");
    assert_eq!(total_tokens, Some(6));
}

#[tokio::test]
async fn names_the_model_that_does_not_exist() {
    let body = json!({"model": "nobody", "messages": [{"role": "user", "content": "hello"}]});
    let pact = pact(ROUTER, "a chat with an unknown model", None, |i| {
        post(i, "/v1/chat/completions", &body);
        i.response.not_found().json_body(json_pattern!({"error": {
            "code": "not_found",
            "message": term!("^model `nobody` does not exist.*$", "model `nobody` does not exist"),
            "param": null,
            "type": "not_found_error",
        }}));
    });
    let client = Client::new(&pact);
    let response = client.post("/v1/chat/completions", &body).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let OpenAiError { error } = response.json().await.unwrap();
    assert_eq!(
        (error.code.as_str(), error.r#type.as_str()),
        ("not_found", "not_found_error")
    );
    assert!(error.message.contains("nobody"));
    assert_eq!(error.param, None);
}

#[tokio::test]
async fn waits_as_long_as_a_limited_provider_asks() {
    let body = json!({"model": "limited", "messages": [{"role": "user", "content": "hello"}]});
    let state = "a chat model whose provider is over its limit";
    let state = Some((state, json!({"model": "limited"})));
    let pact = pact(ROUTER, "a chat with a limited model", state, |i| {
        post(i, "/v1/chat/completions", &body);
        let response = i
            .response
            .status(429)
            .header("retry-after", term!("^[0-9]+$", "2"));
        response.json_body(json_pattern!({"error": {
            "code": "provider_overloaded",
            "message": like!("upstream is overloaded"),
            "param": null,
            "type": "rate_limit_error",
        }}));
    });
    let client = Client::new(&pact);
    let response = client.post("/v1/chat/completions", &body).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()[RETRY_AFTER], "2");
    let OpenAiError { error } = response.json().await.unwrap();
    assert_eq!(error.r#type, "rate_limit_error");
}

#[tokio::test]
async fn is_refused_without_a_key() {
    let pact = pact(
        ROUTER,
        "models without a key",
        Some(("callers need a key", json!({}))),
        |i| {
            i.request.get().path("/v1/models");
            i.response
                .unauthorized()
                .json_body(json_pattern!({"error": {
                    "code": "unauthenticated",
                    "message": like!("no API key"),
                    "type": like!("authentication_error"),
                }}));
        },
    );
    let mut client = Client::new(&pact);
    client.key = None;
    let response = client.get("/v1/models").await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let OpenAiError { error } = response.json().await.unwrap();
    assert_eq!(error.code, "unauthenticated");
}

#[tokio::test]
async fn lists_models() {
    let state = Some(("a chat model", json!({"model": "steady"})));
    let pact = pact(ROUTER, "the list of models", state, |i| {
        get(i, "/v1/models");
        i.response.ok().json_body(json_pattern!({
            "object": "list",
            "data": each_like!({
                "id": like!("steady"),
                "object": "model",
                "created": like!(0),
                "owned_by": like!("upstream"),
            }),
        }));
    });
    let client = Client::new(&pact);
    let models: List<Model> = client.get("/v1/models").await.json().await.unwrap();
    assert_eq!(models.object, "list");
    assert_eq!(
        (&*models.data[0].id, &*models.data[0].owned_by),
        ("steady", "upstream")
    );
}

#[tokio::test]
async fn reads_what_a_user_costs() {
    let parameters = json!({"user": "rust-rest", "model": "steady"});
    let pact = pact(
        ROUTER,
        "the usage of a user",
        Some(("a user who made one call", parameters)),
        |i| {
            get(i, "/v1/router/usage");
            i.request.query_param("user", "rust-rest");
            i.response.ok().json_body(json_pattern!({
                "rows": [{
                    "user": "rust-rest",
                    "model": "steady",
                    "provider": like!("upstream"),
                    "totals": {"requests": "1", "completion_tokens": "8"},
                }],
                "total": {
                    "requests": "1",
                    "prompt_tokens": term!("^[1-9][0-9]*$", "1"),
                    "completion_tokens": "8",
                    "cost_usd_picos": term!("^[1-9][0-9]*$", "4950000"),
                },
            }));
        },
    );
    let client = Client::new(&pact);
    let usage: Value = client
        .get("/v1/router/usage?user=rust-rest")
        .await
        .json()
        .await
        .unwrap();
    let cost: u64 = usage["total"]["cost_usd_picos"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(cost > 0);
    assert_eq!(usage["rows"][0]["user"], "rust-rest");
}

#[tokio::test]
async fn embeds_texts() {
    let body = json!({"model": "all-MiniLM-L6-v2", "input": ["a red bicycle", "a blue one"]});
    let state = Some(("an embedding model", json!({"model": "all-MiniLM-L6-v2"})));
    let pact = pact(EMBEDDINGS, "embeddings of two texts", state, |i| {
        post(i, "/v1/embeddings", &body);
        i.response.ok().json_body(json_pattern!({
            "object": "list",
            "data": [
                {"object": "embedding", "index": 0, "embedding": each_like!(0.5)},
                {"object": "embedding", "index": 1, "embedding": each_like!(-0.5)},
            ],
            "model": "all-MiniLM-L6-v2",
            "usage": {"prompt_tokens": like!(10), "total_tokens": like!(10)},
        }));
    });
    let client = Client::new(&pact);
    let response = client.post("/v1/embeddings", &body).await;
    let answer: Embeddings = response.json().await.unwrap();
    assert_eq!(answer.model, "all-MiniLM-L6-v2");
    assert_eq!(answer.usage.total_tokens, answer.usage.prompt_tokens);
    let indexes: Vec<u32> = answer.data.iter().map(|e| e.index).collect();
    assert_eq!(indexes, [0, 1]);
    assert!(answer.data.iter().all(|e| !e.embedding.is_empty()));
}

#[tokio::test]
async fn names_the_field_that_is_missing() {
    let body = json!({"model": "all-MiniLM-L6-v2", "input": []});
    let pact = pact(EMBEDDINGS, "embeddings of nothing", None, |i| {
        post(i, "/v1/embeddings", &body);
        i.response.status(400).json_body(json_pattern!({"error": {
            "code": "invalid_field",
            "message": like!("input: has 0 entries; send 1 to 10000"),
            "param": "input",
            "type": "invalid_request_error",
        }}));
    });
    let client = Client::new(&pact);
    let response = client.post("/v1/embeddings", &body).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let OpenAiError { error } = response.json().await.unwrap();
    assert_eq!(error.param.as_deref(), Some("input"));
    assert_eq!(error.code, "invalid_field");
}

#[tokio::test]
async fn finds_personal_data() {
    let body = json!({"text": "Mail ada@example.com"});
    let pact = pact(GUARDRAILS, "a check of a text with an address", None, |i| {
        post(i, "/v1/guardrails:check", &body);
        i.response.ok().json_body(json_pattern!({
            "action": "ACTION_REDACT",
            "findings": [{
                "type": "EMAIL",
                "detector": "email",
                "start_byte": "5",
                "end_byte": "20",
                "score": like!(0.95),
            }],
        }));
    });
    let client = Client::new(&pact);
    let response = client.post("/v1/guardrails:check", &body).await;
    let answer: Checked = response.json().await.unwrap();
    assert_eq!(answer.action, "ACTION_REDACT");
    let finding = &answer.findings[0];
    assert_eq!(finding.r#type, "EMAIL");
    assert_eq!((&*finding.start_byte, &*finding.end_byte), ("5", "20"));
}

#[tokio::test]
async fn redacts_personal_data() {
    let body = json!({"text": "Mail ada@example.com"});
    let pact = pact(GUARDRAILS, "a text with an address to redact", None, |i| {
        post(i, "/v1/guardrails:redact", &body);
        i.response.ok().json_body(json_pattern!({
            "text": "Mail <EMAIL>",
            "findings": [{"type": "EMAIL", "start_byte": "5", "end_byte": "20"}],
        }));
    });
    let client = Client::new(&pact);
    let response = client.post("/v1/guardrails:redact", &body).await;
    let answer: Redacted = response.json().await.unwrap();
    assert_eq!(answer.text, "Mail <EMAIL>");
    assert_eq!(answer.findings.len(), 1);
}

#[tokio::test]
async fn reads_the_details_of_a_status() {
    let body = json!({"text": "hello", "detectors": ["nobody"]});
    let pact = pact(GUARDRAILS, "a check by an unknown detector", None, |i| {
        post(i, "/v1/guardrails:check", &body);
        i.response.status(400).json_body(json_pattern!({
            "code": 3,
            "message": like!("detectors[0]: `nobody` does not exist"),
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "domain": "signalbox",
                    "reason": "INVALID_FIELD",
                },
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "field_violations": [{
                        "field": "detectors[0]",
                        "description": like!("`nobody` does not exist"),
                    }],
                },
            ],
        }));
    });
    let client = Client::new(&pact);
    let response = client.post("/v1/guardrails:check", &body).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let status: Value = response.json().await.unwrap();
    assert_eq!(status["details"][0]["reason"], "INVALID_FIELD");
    assert_eq!(
        status["details"][1]["field_violations"][0]["field"],
        "detectors[0]"
    );
}

#[tokio::test]
async fn restores_a_text() {
    let body = json!({"text": "Mail <EMAIL>"});
    let pact = pact(
        GUARDRAILS,
        "a text to restore without a session",
        None,
        |i| {
            post(i, "/v1/guardrails:restore", &body);
            i.response
                .ok()
                .json_body(json_pattern!({"text": "Mail <EMAIL>"}));
        },
    );
    let client = Client::new(&pact);
    let response = client.post("/v1/guardrails:restore", &body).await;
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["text"], "Mail <EMAIL>");
}

#[tokio::test]
async fn lists_the_policies() {
    let pact = pact(GUARDRAILS, "the list of policies", None, |i| {
        get(i, "/v1/guardrails/policies");
        i.response.ok().json_body(json_pattern!({
            "policies": each_like!({
                "name": like!("default"),
                "version": like!("1.0.0"),
                "description": like!("Personal data is replaced."),
            }),
        }));
    });
    let client = Client::new(&pact);
    let response = client.get("/v1/guardrails/policies").await;
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["policies"][0]["name"], "default");
}

#[tokio::test]
async fn knows_what_is_still_to_come() {
    let pact = pact(ROUTER, "the policy of the routes", None, |i| {
        get(i, "/v1/router/policy");
        i.response.status(501).json_body(json_pattern!({
            "code": 12,
            "message": like!("RouterService.GetPolicy is not implemented yet"),
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "domain": "signalbox",
                "reason": "NOT_IMPLEMENTED",
            }],
        }));
    });
    let client = Client::new(&pact);
    let response = client.get("/v1/router/policy").await;
    assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
    let status: Value = response.json().await.unwrap();
    assert_eq!(status["details"][0]["reason"], "NOT_IMPLEMENTED");
}
