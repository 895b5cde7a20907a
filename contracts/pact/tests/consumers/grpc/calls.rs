//! The calls of the gRPC client, and what it reads of each answer.

use pact_consumer::{each_like, each_like_helper, json_pattern, json_pattern_internal, like, term};
use serde_json::json;
use signalbox_proto::{
    embeddings::v1::{
        CreateEmbeddingsRequest, ListEmbeddingModelsRequest,
        embeddings_service_client::EmbeddingsServiceClient,
    },
    guardrails::v1::{
        Action, BatchCheckTextRequest, CheckTextRequest, ListPoliciesRequest, RedactTextRequest,
        RestoreTextRequest, guardrails_service_client::GuardrailsServiceClient,
    },
    router::v1::{
        ChatMessage, CreateChatCompletionRequest, GetPolicyRequest, GetUsageRequest,
        ListModelsRequest, StreamOptions, router_service_client::RouterServiceClient,
    },
};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{Interaction, with_key};

const ROUTER: &str = "signalbox-router";
const EMBEDDINGS: &str = "signalbox-embeddings";
const GUARDRAILS: &str = "signalbox-guardrails";

fn chat(model: &str, text: &str) -> CreateChatCompletionRequest {
    CreateChatCompletionRequest {
        model: model.to_owned(),
        messages: vec![ChatMessage {
            role: "user".to_owned(),
            content: text.to_owned(),
            ..ChatMessage::default()
        }],
        ..CreateChatCompletionRequest::default()
    }
}

#[tokio::test]
async fn completes_a_chat() {
    let interaction = Interaction {
        provider: ROUTER,
        description: "a chat completion",
        state: Some(("a chat model", json!({"model": "echo"}))),
        method: "signalbox.router.v1.RouterService/CreateChatCompletion",
        request: json!({"model": "echo", "messages": [{"role": "user", "content": "hello pact"}]}),
        status: "OK",
        response: json_pattern!({
            "id": term!("^chatcmpl-[0-9A-Z]{26}$", "chatcmpl-01M846C77G24TR7RHVE2EH0A1F"),
            "object": "chat.completion",
            "created": like!(1795437239),
            "model": "echo",
            "choices": [{
                "message": {"role": "assistant", "content": "hello pact"},
                "finishReason": "stop",
            }],
            "usage": {
                "promptTokens": like!(2),
                "completionTokens": like!(2),
                "totalTokens": like!(4),
            },
            "signalbox": {
                "requestId": like!("01M846C758YZRN01KQWY82VKQN"),
                "strategy": like!("pinned"),
                "provider": like!("upstream"),
                "costUsdPicos": term!("^[0-9]+$", "1500000"),
            },
        }),
    };
    let call = async |channel| {
        let mut client = RouterServiceClient::new(channel);
        let request = with_key(chat("echo", "hello pact"));
        let answer = client
            .create_chat_completion(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            answer.choices[0].message.as_ref().unwrap().content,
            "hello pact"
        );
        assert_eq!(answer.choices[0].finish_reason, "stop");
        let usage = answer.usage.unwrap();
        assert_eq!(
            usage.total_tokens,
            usage.prompt_tokens + usage.completion_tokens
        );
        assert!(answer.signalbox.unwrap().cost_usd_picos > 0);
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn streams_a_chat() {
    let interaction = Interaction {
        provider: ROUTER,
        description: "a streamed chat completion",
        state: Some(("a chat model", json!({"model": "steady"}))),
        method: "signalbox.router.v1.RouterService/StreamChatCompletion",
        request: json!({
            "model": "steady",
            "messages": [{"role": "user", "content": "hello pact"}],
            "streamOptions": {"includeUsage": true},
        }),
        status: "OK",
        // The model says all at once: four messages, the first and the last fixed.
        response: json_pattern!([
            {"object": "chat.completion.chunk", "choices": [{"delta": {"role": "assistant"}}]},
            {"object": "chat.completion.chunk", "choices": [
                {"delta": {"content": like!("The signal is clear.")}},
            ]},
            {"object": "chat.completion.chunk", "choices": [{"finishReason": "stop"}]},
            {"object": "chat.completion.chunk", "usage": {
                "promptTokens": like!(1),
                "completionTokens": like!(5),
                "totalTokens": like!(6),
            }},
        ]),
    };
    let call = async |channel| {
        let mut client = RouterServiceClient::new(channel);
        let mut request = chat("steady", "hello pact");
        request.stream_options = Some(StreamOptions {
            include_usage: true,
        });
        let stream = client.stream_chat_completion(with_key(request)).await;
        let mut stream = stream.unwrap().into_inner();
        let (mut said, mut ended, mut usage) = (String::new(), None, None);
        while let Some(chunk) = stream.message().await.unwrap() {
            usage = usage.or(chunk.usage);
            for choice in chunk.choices {
                said.push_str(&choice.delta.unwrap_or_default().content.unwrap_or_default());
                ended = ended.or(choice.finish_reason);
            }
        }
        assert_eq!(said, "The signal is clear.");
        assert_eq!(ended.as_deref(), Some("stop"));
        assert_eq!(usage.unwrap().total_tokens, 6);
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn names_the_model_that_does_not_exist() {
    let interaction = Interaction {
        provider: ROUTER,
        description: "a chat with an unknown model",
        state: None,
        method: "signalbox.router.v1.RouterService/CreateChatCompletion",
        request: json!({"model": "nobody", "messages": [{"role": "user", "content": "hello"}]}),
        status: "NOT_FOUND",
        response: json_pattern!({
            "code": 5,
            "message": term!("^model `nobody` does not exist.*$", "model `nobody` does not exist"),
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "NOT_FOUND",
                "domain": "signalbox",
            }],
        }),
    };
    let call = async |channel| {
        let mut client = RouterServiceClient::new(channel);
        let request = with_key(chat("nobody", "hello"));
        let status = client.create_chat_completion(request).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((&*info.reason, &*info.domain), ("NOT_FOUND", "signalbox"));
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn waits_as_long_as_a_limited_provider_asks() {
    let state = "a chat model whose provider is over its limit";
    let interaction = Interaction {
        provider: ROUTER,
        description: "a chat with a limited model",
        state: Some((state, json!({"model": "limited"}))),
        method: "signalbox.router.v1.RouterService/CreateChatCompletion",
        request: json!({"model": "limited", "messages": [{"role": "user", "content": "hello"}]}),
        status: "RESOURCE_EXHAUSTED",
        response: json_pattern!({
            "code": 8,
            "message": like!("upstream is overloaded"),
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.RetryInfo",
                    "retryDelay": term!("^[0-9.]+s$", "2s"),
                },
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "PROVIDER_OVERLOADED",
                    "domain": "signalbox",
                },
            ],
        }),
    };
    let call = async |channel| {
        let mut client = RouterServiceClient::new(channel);
        let request = with_key(chat("limited", "hello"));
        let status = client.create_chat_completion(request).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let delay = status
            .get_details_retry_info()
            .unwrap()
            .retry_delay
            .unwrap();
        assert_eq!(delay.as_secs(), 2);
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn lists_models() {
    let interaction = Interaction {
        provider: ROUTER,
        description: "the list of models",
        state: Some(("a chat model", json!({"model": "steady"}))),
        method: "signalbox.router.v1.RouterService/ListModels",
        request: json!({}),
        status: "OK",
        response: json_pattern!({
            "object": "list",
            "data": each_like!({
                "id": like!("steady"),
                "object": "model",
                "ownedBy": like!("upstream"),
            }),
        }),
    };
    let call = async |channel| {
        let mut client = RouterServiceClient::new(channel);
        let models = client.list_models(with_key(ListModelsRequest {})).await;
        let models = models.unwrap().into_inner().data;
        assert_eq!(
            (&*models[0].id, &*models[0].owned_by),
            ("steady", "upstream")
        );
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn reads_what_a_user_costs() {
    let parameters = json!({"user": "rust-grpc", "model": "steady"});
    let interaction = Interaction {
        provider: ROUTER,
        description: "the usage of a user",
        state: Some(("a user who made one call", parameters)),
        method: "signalbox.router.v1.RouterService/GetUsage",
        request: json!({"user": "rust-grpc"}),
        status: "OK",
        response: json_pattern!({
            "rows": [{
                "user": "rust-grpc",
                "model": "steady",
                "provider": like!("upstream"),
                "totals": {"requests": "1", "completionTokens": "8"},
            }],
            "total": {
                "requests": "1",
                "completionTokens": "8",
                "costUsdPicos": term!("^[1-9][0-9]*$", "4950000"),
            },
        }),
    };
    let call = async |channel| {
        let mut client = RouterServiceClient::new(channel);
        let request = GetUsageRequest {
            user: "rust-grpc".to_owned(),
            ..GetUsageRequest::default()
        };
        let usage = client
            .get_usage(with_key(request))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(usage.rows[0].user, "rust-grpc");
        assert_eq!(usage.total.unwrap().requests, 1);
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn embeds_a_text() {
    let interaction = Interaction {
        provider: EMBEDDINGS,
        description: "the embedding of a text",
        state: Some(("an embedding model", json!({"model": "all-MiniLM-L6-v2"}))),
        method: "signalbox.embeddings.v1.EmbeddingsService/CreateEmbeddings",
        request: json!({"input": ["a red bicycle"], "model": "all-MiniLM-L6-v2"}),
        status: "OK",
        response: json_pattern!({
            "object": "list",
            "data": [{"object": "embedding", "embedding": each_like!(0.5)}],
            "model": "all-MiniLM-L6-v2",
            "usage": {"promptTokens": 5, "totalTokens": 5},
        }),
    };
    let call = async |channel| {
        let mut client = EmbeddingsServiceClient::new(channel);
        let request = CreateEmbeddingsRequest {
            input: vec!["a red bicycle".to_owned()],
            model: "all-MiniLM-L6-v2".to_owned(),
            ..CreateEmbeddingsRequest::default()
        };
        let answer = client
            .create_embeddings(with_key(request))
            .await
            .unwrap()
            .into_inner();
        assert!(!answer.data[0].embedding.is_empty());
        assert_eq!(answer.usage.unwrap().total_tokens, 5);
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn names_the_field_that_is_missing() {
    let interaction = Interaction {
        provider: EMBEDDINGS,
        description: "embeddings of nothing",
        state: None,
        method: "signalbox.embeddings.v1.EmbeddingsService/CreateEmbeddings",
        request: json!({"model": "all-MiniLM-L6-v2"}),
        status: "INVALID_ARGUMENT",
        response: json_pattern!({
            "code": 3,
            "message": like!("input: has 0 entries; send 1 to 10000"),
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "INVALID_FIELD",
                    "domain": "signalbox",
                },
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "fieldViolations": [{
                        "field": "input",
                        "description": like!("has 0 entries; send 1 to 10000"),
                    }],
                },
            ],
        }),
    };
    let call = async |channel| {
        let mut client = EmbeddingsServiceClient::new(channel);
        let request = CreateEmbeddingsRequest {
            model: "all-MiniLM-L6-v2".to_owned(),
            ..CreateEmbeddingsRequest::default()
        };
        let status = client
            .create_embeddings(with_key(request))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "input");
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn lists_embedding_models() {
    let interaction = Interaction {
        provider: EMBEDDINGS,
        description: "the list of embedding models",
        state: Some(("an embedding model", json!({"model": "all-MiniLM-L6-v2"}))),
        method: "signalbox.embeddings.v1.EmbeddingsService/ListEmbeddingModels",
        request: json!({}),
        status: "OK",
        response: json_pattern!({
            "object": "list",
            "data": [{"id": "all-MiniLM-L6-v2", "dimensions": 384}],
        }),
    };
    let call = async |channel| {
        let mut client = EmbeddingsServiceClient::new(channel);
        let models = client
            .list_embedding_models(with_key(ListEmbeddingModelsRequest {}))
            .await;
        assert_eq!(models.unwrap().into_inner().data[0].dimensions, 384);
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn finds_personal_data() {
    let interaction = Interaction {
        provider: GUARDRAILS,
        description: "a check of a text with an address",
        state: None,
        method: "signalbox.guardrails.v1.GuardrailsService/CheckText",
        request: json!({"text": "Mail ada@example.com"}),
        status: "OK",
        response: json_pattern!({
            "action": "ACTION_REDACT",
            "findings": [{
                "type": "EMAIL",
                "detector": "email",
                "startByte": "5",
                "endByte": "20",
                "score": like!(0.95),
            }],
        }),
    };
    let call = async |channel| {
        let mut client = GuardrailsServiceClient::new(channel);
        let request = CheckTextRequest {
            text: "Mail ada@example.com".to_owned(),
            ..CheckTextRequest::default()
        };
        let answer = client
            .check_text(with_key(request))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answer.action(), Action::Redact);
        let finding = &answer.findings[0];
        assert_eq!((finding.start_byte, finding.end_byte), (5, 20));
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn names_the_detector_that_does_not_exist() {
    let interaction = Interaction {
        provider: GUARDRAILS,
        description: "a check by an unknown detector",
        state: None,
        method: "signalbox.guardrails.v1.GuardrailsService/CheckText",
        request: json!({"text": "hello", "detectors": ["nobody"]}),
        status: "INVALID_ARGUMENT",
        response: json_pattern!({
            "code": 3,
            "message": like!("detectors[0]: `nobody` does not exist"),
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "INVALID_FIELD",
                    "domain": "signalbox",
                },
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "fieldViolations": [{"field": "detectors[0]"}],
                },
            ],
        }),
    };
    let call = async |channel| {
        let mut client = GuardrailsServiceClient::new(channel);
        let request = CheckTextRequest {
            text: "hello".to_owned(),
            detectors: vec!["nobody".to_owned()],
            ..CheckTextRequest::default()
        };
        let status = client.check_text(with_key(request)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "detectors[0]");
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn checks_several_texts() {
    let interaction = Interaction {
        provider: GUARDRAILS,
        description: "a check of several texts",
        state: None,
        method: "signalbox.guardrails.v1.GuardrailsService/BatchCheckText",
        request: json!({"texts": ["Mail ada@example.com", "nothing"]}),
        status: "OK",
        response: json_pattern!({
            "results": [
                {"action": "ACTION_REDACT", "findings": [{"type": "EMAIL"}]},
                {"action": "ACTION_ALLOW"},
            ],
        }),
    };
    let call = async |channel| {
        let mut client = GuardrailsServiceClient::new(channel);
        let request = BatchCheckTextRequest {
            texts: vec!["Mail ada@example.com".to_owned(), "nothing".to_owned()],
            ..BatchCheckTextRequest::default()
        };
        let results = client
            .batch_check_text(with_key(request))
            .await
            .unwrap()
            .into_inner()
            .results;
        assert_eq!(results[0].findings.len(), 1);
        assert!(results[1].findings.is_empty());
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn redacts_personal_data() {
    let interaction = Interaction {
        provider: GUARDRAILS,
        description: "a text with an address to redact",
        state: None,
        method: "signalbox.guardrails.v1.GuardrailsService/RedactText",
        request: json!({"text": "Mail ada@example.com"}),
        status: "OK",
        response: json_pattern!({"text": "Mail <EMAIL>", "findings": [{"type": "EMAIL"}]}),
    };
    let call = async |channel| {
        let mut client = GuardrailsServiceClient::new(channel);
        let request = RedactTextRequest {
            text: "Mail ada@example.com".to_owned(),
            ..RedactTextRequest::default()
        };
        let answer = client
            .redact_text(with_key(request))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answer.text, "Mail <EMAIL>");
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn restores_a_text() {
    let interaction = Interaction {
        provider: GUARDRAILS,
        description: "a text to restore without a session",
        state: None,
        method: "signalbox.guardrails.v1.GuardrailsService/RestoreText",
        request: json!({"text": "Mail <EMAIL>"}),
        status: "OK",
        response: json_pattern!({"text": "Mail <EMAIL>"}),
    };
    let call = async |channel| {
        let mut client = GuardrailsServiceClient::new(channel);
        let request = RestoreTextRequest {
            text: "Mail <EMAIL>".to_owned(),
            ..RestoreTextRequest::default()
        };
        let answer = client.restore_text(with_key(request)).await;
        assert_eq!(answer.unwrap().into_inner().text, "Mail <EMAIL>");
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn lists_the_policies() {
    let interaction = Interaction {
        provider: GUARDRAILS,
        description: "the list of policies",
        state: None,
        method: "signalbox.guardrails.v1.GuardrailsService/ListPolicies",
        request: json!({}),
        status: "OK",
        response: json_pattern!({
            "policies": each_like!({
                "name": like!("default"),
                "version": like!("1.0.0"),
                "description": like!("Personal data is replaced."),
            }),
        }),
    };
    let call = async |channel| {
        let mut client = GuardrailsServiceClient::new(channel);
        let answer = client.list_policies(with_key(ListPoliciesRequest {})).await;
        let policies = answer.unwrap().into_inner().policies;
        assert_eq!(
            (&*policies[0].name, &*policies[0].version),
            ("default", "1.0.0")
        );
    };
    interaction.relied_on_by(call).await;
}

#[tokio::test]
async fn knows_what_is_still_to_come() {
    let interaction = Interaction {
        provider: ROUTER,
        description: "the policy of the routes",
        state: None,
        method: "signalbox.router.v1.RouterService/GetPolicy",
        request: json!({}),
        status: "UNIMPLEMENTED",
        response: json_pattern!({
            "code": 12,
            "message": like!("RouterService.GetPolicy is not implemented yet"),
            "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "NOT_IMPLEMENTED",
                "domain": "signalbox",
            }],
        }),
    };
    let call = async |channel| {
        let mut client = RouterServiceClient::new(channel);
        let status = client
            .get_policy(with_key(GetPolicyRequest::default()))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        assert_eq!(
            status.get_details_error_info().unwrap().reason,
            "NOT_IMPLEMENTED"
        );
    };
    interaction.relied_on_by(call).await;
}
