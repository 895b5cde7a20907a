#![allow(clippy::unwrap_used)]

use std::time::Duration;

use futures_util::TryStreamExt as _;
use serde_json::json;
use signalbox_proto::router::v1::{
    ChatMessage, StreamOptions, UsageTotals, router_service_client::RouterServiceClient,
};
use tokio::time::Instant;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::*;
use crate::testing::{Act, CountingGuard, Fixture, Script, answer, failed};

/// A client of the service itself, without a network between.
type Client = RouterServiceClient<RouterServiceServer<Handler>>;

fn client(fixture: &Fixture) -> Client {
    RouterServiceClient::new(service(Arc::clone(&fixture.router)))
}

fn request(model: &str, content: &str) -> CreateChatCompletionRequest {
    CreateChatCompletionRequest {
        model: model.to_owned(),
        messages: vec![ChatMessage {
            role: "user".to_owned(),
            content: content.to_owned(),
            ..ChatMessage::default()
        }],
        user: "alice".to_owned(),
        ..CreateChatCompletionRequest::default()
    }
}

#[tokio::test]
async fn a_completion_has_the_shape_that_openai_clients_expect() {
    let script = answer(&["Hello", " there"], (10, 4, 2));
    let fixture = Fixture::with(vec![script], vec![], CountingGuard::new(), &json!({})).await;
    let response = client(&fixture)
        .create_chat_completion(request("auto", "I am jane@example.com"))
        .await
        .unwrap();
    assert_eq!(
        response.metadata().get("x-signalbox-model").unwrap(),
        "small"
    );
    assert_eq!(
        response
            .metadata()
            .get("x-signalbox-cost-usd-picos")
            .unwrap(),
        "80000"
    );
    let completion = response.into_inner();
    assert!(completion.id.starts_with("chatcmpl-"), "{}", completion.id);
    assert_eq!(completion.id.len(), "chatcmpl-".len() + 26);
    assert_eq!(completion.object, "chat.completion");
    assert!(completion.created > 1_700_000_000);
    assert_eq!(completion.model, "small");
    let choice = &completion.choices[0];
    let message = choice.message.as_ref().unwrap();
    assert_eq!(
        (&*message.role, &*message.content),
        ("assistant", "Hello there")
    );
    assert_eq!(choice.finish_reason, "stop");
    let usage = completion.usage.unwrap();
    assert_eq!(
        (
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.total_tokens
        ),
        (10, 2, 12)
    );
    assert_eq!(usage.prompt_tokens_details.unwrap().cached_tokens, 4);
    let info = completion.signalbox.unwrap();
    assert_eq!(
        (&*info.route, &*info.strategy, &*info.provider),
        ("auto", "cost", "a")
    );
    assert_eq!((info.cost_usd_picos, info.usage_estimated), (80_000, false));
    assert_eq!(info.prompt_redactions, ["EMAIL"]);
    assert!(!info.request_id.is_empty());
}

#[tokio::test]
async fn chunks_come_as_role_text_finish_and_usage() {
    let script = answer(&["Hello", " there"], (10, 4, 2));
    let off = json!({"guardrails": {"completion": "off"}});
    let fixture = Fixture::with(vec![script], vec![], CountingGuard::new(), &off).await;
    let mut request = request("small", "Hi");
    request.stream_options = Some(StreamOptions {
        include_usage: true,
    });
    let stream = client(&fixture)
        .stream_chat_completion(request)
        .await
        .unwrap();
    let chunks: Vec<_> = stream.into_inner().try_collect().await.unwrap();
    assert_eq!(chunks.len(), 5);
    let delta = |index: usize| chunks[index].choices[0].delta.clone().unwrap();
    assert_eq!(
        (delta(0).role.as_deref(), delta(0).content.as_deref()),
        (Some("assistant"), Some(""))
    );
    assert_eq!(
        (delta(1).role, delta(1).content.as_deref()),
        (None, Some("Hello"))
    );
    assert_eq!(delta(2).content.as_deref(), Some(" there"));
    assert_eq!((delta(3).role, delta(3).content), (None, None));
    let finishes: Vec<_> = chunks[..4]
        .iter()
        .map(|chunk| chunk.choices[0].finish_reason.as_deref())
        .collect();
    assert_eq!(finishes, [None, None, None, Some("stop")]);
    assert_eq!(chunks[3].signalbox.as_ref().unwrap().cost_usd_picos, 80_000);
    assert!(chunks[4].choices.is_empty());
    assert_eq!(chunks[4].usage.as_ref().unwrap().total_tokens, 12);
    for chunk in &chunks {
        assert_eq!(
            (&chunk.id, &*chunk.object, &*chunk.model),
            (&chunks[0].id, "chat.completion.chunk", "small")
        );
    }
}

#[tokio::test]
async fn usage_comes_only_where_it_is_asked_for() {
    let fixture = Fixture::new(vec![answer(&["Hi"], (1, 0, 1))], vec![]).await;
    let stream = client(&fixture)
        .stream_chat_completion(request("small", "Hi"))
        .await
        .unwrap();
    let chunks: Vec<_> = stream.into_inner().try_collect().await.unwrap();
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.usage.is_none() && !chunk.choices.is_empty())
    );
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_token_is_a_plain_error() {
    let scripts = || vec![Script::Refuse(failed())];
    let fixture = Fixture::new(scripts(), scripts()).await;
    let status = client(&fixture)
        .stream_chat_completion(request("auto", "Hi"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let info = status.get_error_details().error_info().unwrap().clone();
    assert_eq!(
        (&*info.metadata["model"], &*info.metadata["attempts"]),
        ("big", "2")
    );
    assert_eq!(info.metadata["models_tried"], "small,big");
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_an_error_and_no_finish() {
    let broken = Script::Answer(vec![Act::Text("Once"), Act::Fail(failed())]);
    let off = json!({"guardrails": {"completion": "off"}});
    let fixture = Fixture::with(vec![broken], vec![], CountingGuard::new(), &off).await;
    let stream = client(&fixture)
        .stream_chat_completion(request("small", "Hi"))
        .await
        .unwrap();
    let mut stream = stream.into_inner();
    let mut chunks = Vec::new();
    let status = loop {
        match stream.message().await {
            Ok(chunk) => chunks.push(chunk.expect("the stream does not just end")),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(chunks.len(), 2);
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.choices[0].finish_reason.is_none())
    );
}

#[tokio::test]
async fn an_unknown_model_is_not_found() {
    let fixture = Fixture::new(vec![], vec![]).await;
    let status = client(&fixture)
        .create_chat_completion(request("smal", "Hi"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(
        status.message().contains("did you mean `small`?"),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn a_block_is_a_failed_precondition_that_does_not_repeat_the_text() {
    let fixture = Fixture::with(vec![], vec![], CountingGuard::new(), &json!({})).await;
    let text = "FORBIDDEN 123-45-6789";
    let status = client(&fixture)
        .create_chat_completion(request("auto", text))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let info = status.get_error_details().error_info().unwrap().clone();
    assert_eq!(info.metadata["types"], "US_SSN");
    assert!(!format!("{status:?}").contains("6789"));
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_is_kept() {
    let fixture = Fixture::new(vec![Script::Answer(vec![Act::Stall])], vec![]).await;
    let mut request = Request::new(request("small", "Hi"));
    request.extensions_mut().insert(RequestContext {
        deadline: Some(Instant::now() + Duration::from_millis(1)),
        ..RequestContext::anonymous()
    });
    let handler = Handler {
        router: Arc::clone(&fixture.router),
    };
    let status = handler.create_chat_completion(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(fixture.a.open(), 0);
}

#[tokio::test]
async fn usage_is_read_by_user_and_model_with_its_sum() {
    let fixture = Fixture::new(
        vec![answer(&["x"], (10, 4, 2))],
        vec![answer(&["x"], (1, 0, 1))],
    )
    .await;
    let mut client = client(&fixture);
    for model in ["small", "small", "big"] {
        client
            .create_chat_completion(request(model, "Hi"))
            .await
            .unwrap();
    }
    let mut other = request("big", "Hi");
    other.user = String::new();
    client.create_chat_completion(other).await.unwrap();
    let of_alice = GetUsageRequest {
        user: "alice".to_owned(),
        model: String::new(),
    };
    let usage = client.get_usage(of_alice).await.unwrap().into_inner();
    let rows: Vec<_> = usage
        .rows
        .iter()
        .map(|row| (&*row.model, &*row.provider))
        .collect();
    assert_eq!(rows, [("big", "b"), ("small", "a")]);
    let total = UsageTotals {
        requests: 3,
        prompt_tokens: 21,
        cached_prompt_tokens: 8,
        completion_tokens: 5,
        cost_usd_picos: 2 * 80_000 + 5_000_000,
    };
    assert_eq!(usage.total, Some(total));
    let all = client
        .get_usage(GetUsageRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(all.rows[2].user, "anonymous");
}

#[tokio::test]
async fn what_later_issues_fill_is_unimplemented() {
    let fixture = Fixture::new(vec![], vec![]).await;
    let mut client = client(&fixture);
    let status = client
        .explain_route(ExplainRouteRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("RouterService.ExplainRoute"));
    let statuses = [
        client
            .record_feedback(RecordFeedbackRequest::default())
            .await
            .unwrap_err(),
        client
            .get_policy(GetPolicyRequest::default())
            .await
            .unwrap_err(),
        client
            .update_policy(UpdatePolicyRequest::default())
            .await
            .unwrap_err(),
        client
            .replay_policy(ReplayPolicyRequest::default())
            .await
            .unwrap_err(),
    ];
    assert!(
        statuses
            .iter()
            .all(|status| status.code() == Code::Unimplemented)
    );
}
