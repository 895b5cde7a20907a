//! The `OpenAPI` document is whole, refers only to what it holds, and tells the
//! quirks.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::HashSet;

use common::{rich, signalbox};
use serde_json::{Value, json};
use signalbox_transcode::{Info, Transcoder};

fn document(transcoder: &Transcoder) -> Value {
    transcoder.openapi(&Info {
        title: "Signalbox".into(),
        version: "1.2.3".into(),
        description: "Decides.".into(),
    })
}

fn each<'v>(value: &'v Value, visit: &mut impl FnMut(&'v Value)) {
    visit(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| each(item, visit)),
        Value::Object(members) => members.values().for_each(|member| each(member, visit)),
        _ => {}
    }
}

/// What `OpenAPI` 3.1 requires that a walk over the document can see.
fn check(document: &Value) {
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with('/'), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            assert!(["get", "put", "post", "delete", "patch", "head"].contains(&method.as_str()));
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} twice");
            let empty = vec![];
            let parameters = operation["parameters"].as_array().unwrap_or(&empty);
            let mut names = HashSet::new();
            for parameter in parameters {
                let (name, place) = (
                    parameter["name"].as_str().unwrap(),
                    parameter["in"].as_str().unwrap(),
                );
                assert!(names.insert((name, place)), "{id}: {name} twice");
                assert!(parameter["schema"].is_object());
                if place == "path" {
                    assert_eq!(parameter["required"], true);
                    assert!(
                        path.contains(&format!("{{{name}}}")),
                        "{path} has no {name}"
                    );
                }
            }
            let in_path = path.matches('{').count();
            let bound = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .count();
            assert_eq!(in_path, bound, "{path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(status == "default" || status.len() == 3);
                assert!(response["$ref"].is_string() || response["description"].is_string());
            }
        }
    }
    for name in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(
            name.chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)),
            "{name}"
        );
    }
    each(document, &mut |value| {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(
                document.pointer(pointer).is_some_and(Value::is_object),
                "{target} leads nowhere"
            );
        }
    });
}

#[test]
fn the_documents_are_whole() {
    check(&document(&signalbox()));
    check(&document(&rich()));
}

#[test]
fn operations_carry_comments_parameters_and_both_error_shapes() {
    let document = document(&signalbox());
    let chat = &document["paths"]["/v1/chat/completions"]["post"];
    assert_eq!(chat["operationId"], "RouterService_CreateChatCompletion");
    assert_eq!(chat["summary"], "Answers a conversation with one message.");
    assert!(
        chat["description"]
            .as_str()
            .unwrap()
            .starts_with("Errors: INVALID_ARGUMENT")
    );
    assert_eq!(
        chat["responses"]["default"]["$ref"],
        "#/components/responses/OpenAiError"
    );
    let content = chat["responses"]["200"]["content"].as_object().unwrap();
    assert!(content.contains_key("application/json") && content.contains_key("text/event-stream"));

    let usage = &document["paths"]["/v1/router/usage"]["get"];
    assert_eq!(
        usage["responses"]["default"]["$ref"],
        "#/components/responses/RpcStatus"
    );
    assert_eq!(usage["parameters"][0]["name"], "user");
    assert_eq!(usage["parameters"][0]["in"], "query");
    let job = &document["paths"]["/v1/embeddings/jobs/{job_id}"]["get"];
    assert_eq!(job["parameters"][0]["description"], "The job's id.");
    let policy = &document["paths"]["/v1/router/policy"]["patch"];
    assert_eq!(policy["parameters"][0]["name"], "update_mask");
}

#[test]
fn schemas_tell_the_quirks() {
    let document = document(&signalbox());
    let schemas = &document["components"]["schemas"];
    let field = |message: &str, field: &str| schemas[message]["properties"][field].clone();
    let input = field("signalbox.embeddings.v1.CreateEmbeddingsRequest", "input");
    assert_eq!(input["oneOf"].as_array().unwrap().len(), 4);
    let stop = field("signalbox.router.v1.CreateChatCompletionRequest", "stop");
    assert_eq!(stop["oneOf"][0], json!({"type": "string"}));
    let reason = field("signalbox.router.v1.ChunkChoice", "finish_reason");
    assert_eq!(reason["oneOf"][1], json!({"type": "null"}));
    let vector = field("signalbox.embeddings.v1.Embedding", "embedding");
    assert_eq!(vector["oneOf"][1]["contentEncoding"], "base64");
    assert!(field("signalbox.embeddings.v1.Embedding", "embedding_packed").is_null());
    let state = &schemas["signalbox.embeddings.v1.EmbeddingJob.State"];
    assert_eq!(state["enum"][1], "STATE_PENDING");
}
