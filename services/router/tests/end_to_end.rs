//! The Router on a real HTTP upstream: what reaches the provider, what is booked, and
//! what the caller sees when the upstream fails.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{path::Path, sync::Arc, time::Duration};

use futures_util::{TryStreamExt as _, future::BoxFuture};
use regex_automata::meta::Regex;
use serde_json::json;
use signalbox_fault_upstream::{End, FaultUpstream};
use signalbox_proto::router::v1::{
    ChatCompletionChunk, ChatMessage, CreateChatCompletionRequest, GetUsageRequest, UsageTotals,
    router_service_client::RouterServiceClient, router_service_server::RouterServiceServer,
};
use signalbox_router::{
    Handler, Router,
    config::RouterConfig,
    guard::{Finding, Guard, GuardError, Verdict},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Finds email addresses and card numbers by two naive patterns.
struct PatternGuard(Regex);

impl PatternGuard {
    fn new() -> Self {
        let patterns = [
            r"\b[a-z.]{1,32}@[a-z.]{1,32}\.[a-z]{2,6}\b",
            r"\b(?:\d{4} ){3}\d{4}\b",
        ];
        Self(Regex::new_many(&patterns).unwrap())
    }
}

impl Guard for PatternGuard {
    fn redact(&self, texts: Vec<String>) -> BoxFuture<'_, Result<Vec<Verdict>, GuardError>> {
        let verdict = |text: &String| Verdict {
            findings: self
                .0
                .find_iter(text)
                .map(|found| {
                    let kind = ["EMAIL", "CREDIT_CARD"][found.pattern().as_usize()];
                    Finding {
                        kind: kind.to_owned(),
                        start: found.start(),
                        end: found.end(),
                        replacement: format!("<{kind}>"),
                    }
                })
                .collect(),
            blocked: false,
        };
        let verdicts = texts.iter().map(verdict).collect();
        Box::pin(std::future::ready(Ok(verdicts)))
    }
}

struct Rig {
    upstream: FaultUpstream,
    router: Arc<Router>,
    client: RouterServiceClient<RouterServiceServer<Handler>>,
}

impl Rig {
    /// A Router whose models `m0`, `m1` ... behave like this, in the route `auto` in
    /// this order of price.
    async fn new(behaviours: &[&str]) -> Self {
        Self::with_guardrails(behaviours, &json!({})).await
    }

    async fn with_guardrails(behaviours: &[&str], guardrails: &serde_json::Value) -> Self {
        let upstream = FaultUpstream::start().await;
        let models: Vec<_> = behaviours
            .iter()
            .enumerate()
            .map(|(index, behaviour)| {
                json!({
                    "name": format!("m{index}"),
                    "provider": "upstream",
                    "upstream_name": behaviour,
                    "price": {
                        "input_usd_per_million_tokens": format!("{}.15", index),
                        "cached_input_usd_per_million_tokens": "0.0025",
                        "output_usd_per_million_tokens": "0.6",
                    },
                })
            })
            .collect();
        let names: Vec<_> = (0..behaviours.len())
            .map(|index| format!("m{index}"))
            .collect();
        let config: RouterConfig = serde_json::from_value(json!({
            "providers": {"upstream": {
                "kind": "openai_compatible",
                "base_url": upstream.base_url(),
            }},
            "models": models,
            "routes": {"auto": {"strategy": "cost", "models": names}},
            "guardrails": guardrails,
        }))
        .unwrap();
        let guard = Arc::new(PatternGuard::new());
        let router = signalbox_router::build(&config, guard, Path::new(""), |_| None).await;
        let router = Arc::new(router.unwrap());
        let client = RouterServiceClient::new(signalbox_router::service(Arc::clone(&router)));
        Self {
            upstream,
            router,
            client,
        }
    }

    async fn total(&mut self, model: &str) -> UsageTotals {
        self.router.close().await;
        let request = GetUsageRequest {
            user: "alice".to_owned(),
            model: model.to_owned(),
        };
        let usage = self.client.get_usage(request).await.unwrap().into_inner();
        usage.total.unwrap()
    }

    /// The chunks that came, and how the stream ended.
    async fn stream(
        &mut self,
        request: CreateChatCompletionRequest,
    ) -> Result<(Vec<ChatCompletionChunk>, Result<(), Status>), Status> {
        let mut stream = self
            .client
            .stream_chat_completion(request)
            .await?
            .into_inner();
        let mut chunks = Vec::new();
        loop {
            match stream.message().await {
                Ok(Some(chunk)) => chunks.push(chunk),
                Ok(None) => return Ok((chunks, Ok(()))),
                Err(status) => return Ok((chunks, Err(status))),
            }
        }
    }
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

fn text(chunks: &[ChatCompletionChunk]) -> String {
    let deltas = chunks.iter().flat_map(|chunk| &chunk.choices);
    deltas
        .filter_map(|choice| choice.delta.as_ref()?.content.as_deref())
        .collect()
}

#[tokio::test]
async fn what_reaches_the_provider_is_redacted_and_what_is_booked_is_its_own_count() {
    let mut rig = Rig::new(&["fault/ok,tokens=7,cached=3"]).await;
    let secret = "I am jane@example.com and my card is 4111 1111 1111 1111";
    let unary = rig
        .client
        .create_chat_completion(request("auto", secret))
        .await
        .unwrap();
    let info = unary.into_inner().signalbox.unwrap();
    assert_eq!(info.prompt_redactions, ["EMAIL", "CREDIT_CARD"]);
    let (chunks, end) = rig.stream(request("m0", secret)).await.unwrap();
    end.unwrap();
    let streamed = chunks.last().unwrap().signalbox.clone().unwrap();
    assert_eq!(streamed.cost_usd_picos, info.cost_usd_picos);
    assert!(!streamed.usage_estimated);

    let records = rig.upstream.records();
    assert_eq!(records.len(), 2);
    for record in &records {
        assert_eq!(
            record.body["messages"][0]["content"],
            "I am <EMAIL> and my card is <CREDIT_CARD>"
        );
        assert!(!record.body.to_string().contains("jane"));
        assert!(!record.body.to_string().contains("4111"));
    }
    let total = rig.total("").await;
    let upstream = |count: fn(&signalbox_fault_upstream::Outcome) -> u64| -> i64 {
        records
            .iter()
            .map(|record| count(&record.outcome))
            .sum::<u64>()
            .try_into()
            .unwrap()
    };
    assert_eq!(total.requests, 2);
    assert_eq!(
        total.prompt_tokens,
        upstream(|outcome| outcome.prompt_tokens)
    );
    assert_eq!(
        total.completion_tokens,
        upstream(|outcome| outcome.completion_tokens)
    );
    assert_eq!(total.completion_tokens, 14);
    assert_eq!(total.cached_prompt_tokens, 6);
    let uncached = total.prompt_tokens - total.cached_prompt_tokens;
    assert_eq!(
        total.cost_usd_picos,
        uncached * 150_000 + 6 * 2_500 + 14 * 600_000
    );
}

#[tokio::test]
async fn an_answer_that_repeats_a_secret_is_redacted_on_the_way_out() {
    // The prompt goes out as it is, so that the upstream has a secret to repeat, word
    // by word.
    let off = json!({"prompt": "off"});
    let mut rig = Rig::with_guardrails(&["fault/echo"], &off).await;
    let secret = "card 4111 1111 1111 1111 of jane@example.com ends";
    let (chunks, end) = rig.stream(request("m0", secret)).await.unwrap();
    end.unwrap();
    assert_eq!(
        rig.upstream.records()[0].body["messages"][0]["content"],
        secret
    );
    assert_eq!(text(&chunks), "card <CREDIT_CARD> of <EMAIL> ends");
    let info = chunks.last().unwrap().signalbox.clone().unwrap();
    assert_eq!(info.completion_redactions, ["CREDIT_CARD", "EMAIL"]);
    let unary = rig
        .client
        .create_chat_completion(request("m0", secret))
        .await
        .unwrap();
    let message = unary.into_inner().choices[0].message.clone().unwrap();
    assert_eq!(message.content, "card <CREDIT_CARD> of <EMAIL> ends");
}

#[tokio::test]
async fn a_model_that_fails_is_replaced_and_the_caller_learns_who_answered() {
    for fault in [
        "status=503",
        "status=429,retry-after=2",
        "reset",
        "status=401",
        "cut-after=3",
    ] {
        let mut rig = Rig::new(&[&format!("fault/{fault}"), "fault/tokens=4"]).await;
        let unary = rig
            .client
            .create_chat_completion(request("auto", "Hi"))
            .await
            .unwrap();
        assert_eq!(unary.into_inner().model, "m1", "{fault}");
        let (chunks, end) = rig.stream(request("auto", "Hi")).await.unwrap();
        end.unwrap();
        assert!(chunks.iter().all(|chunk| chunk.model == "m1"), "{fault}");
        let total = rig.total("m1").await;
        assert_eq!((total.requests, total.completion_tokens), (2, 8), "{fault}");
        assert_eq!(
            rig.upstream.records().len(),
            4,
            "{fault}: one attempt at each model"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_is_an_error_with_the_tokens_booked() {
    for fault in [
        "cut-after=40",
        "reset-after=40",
        "error-after=40",
        "no-finish",
    ] {
        let mut rig = Rig::new(&[&format!("fault/tokens=60,{fault}"), "fault/ok"]).await;
        let (chunks, end) = rig.stream(request("auto", "Hi")).await.unwrap();
        let status = end.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{fault}: {status:?}");
        assert!(!text(&chunks).is_empty(), "{fault}: some of it had left");
        let finished = chunks.iter().flat_map(|chunk| &chunk.choices);
        assert!(
            finished
                .filter_map(|choice| choice.finish_reason.as_ref())
                .next()
                .is_none()
        );
        let info = status.get_error_details().error_info().cloned().unwrap();
        assert_eq!(
            (&*info.metadata["model"], &*info.metadata["attempts"]),
            ("m0", "1")
        );
        assert_eq!(
            rig.total("m1").await,
            UsageTotals::default(),
            "{fault}: no second answer"
        );
        let total = rig.total("m0").await;
        assert_eq!(total.requests, 1, "{fault}");
        assert!(total.completion_tokens >= 40, "{fault}: {total:?}");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_stops_the_upstream_and_pays_for_what_was_generated() {
    let mut rig = Rig::new(&["fault/tokens=100,stall-after=50"]).await;
    let stream = rig
        .client
        .stream_chat_completion(request("m0", "Hi"))
        .await
        .unwrap();
    let mut stream = stream.into_inner();
    let role = stream.try_next().await.unwrap().unwrap();
    assert_eq!(
        role.choices[0].delta.as_ref().unwrap().role.as_deref(),
        Some("assistant")
    );
    stream.try_next().await.unwrap().unwrap();
    drop(stream);
    let limit = Duration::from_secs(20);
    let gone = |records: &[signalbox_fault_upstream::Record]| {
        records
            .iter()
            .any(|record| record.outcome.end == End::ClientDisconnected)
    };
    rig.upstream.wait_for(gone, limit).await.unwrap();
    let total = rig.total("m0").await;
    assert_eq!(total.requests, 1);
    assert!(
        total.completion_tokens > 0 && total.cost_usd_picos > 0,
        "{total:?}"
    );
}

#[tokio::test]
async fn an_upstream_without_usage_is_estimated_and_marked() {
    let mut rig = Rig::new(&["fault/tokens=12,no-usage"]).await;
    let unary = rig
        .client
        .create_chat_completion(request("m0", "Hi"))
        .await
        .unwrap();
    let completion = unary.into_inner();
    assert!(completion.signalbox.unwrap().usage_estimated);
    assert!(completion.usage.unwrap().completion_tokens >= 12);
}

#[tokio::test]
async fn a_ledger_in_a_file_keeps_what_a_router_booked() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = FaultUpstream::start().await;
    let config: RouterConfig = serde_json::from_value(json!({
        "providers": {"upstream": {"kind": "openai_compatible", "base_url": upstream.base_url()}},
        "models": [{"name": "m", "provider": "upstream", "upstream_name": "fault/tokens=5"}],
        "routes": {},
        "ledger": {"path": folder.path().join("ledger.redb")},
    }))
    .unwrap();
    for run in 1..=2 {
        let router = Arc::new(build_once_the_file_is_free(&config).await);
        let mut client = RouterServiceClient::new(signalbox_router::service(Arc::clone(&router)));
        client
            .create_chat_completion(request("m", "Hi"))
            .await
            .unwrap();
        let usage = client
            .get_usage(GetUsageRequest::default())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(usage.total.unwrap().completion_tokens, 5 * run);
        router.close().await;
        drop((client, router));
    }
}

/// The ledger's file is let go once its writer, on a thread of its own, has seen that all
/// are gone: a moment after the router that is dropped, at most ten seconds.
async fn build_once_the_file_is_free(config: &RouterConfig) -> Router {
    for _ in 0..1000 {
        let guard = Arc::new(PatternGuard::new());
        match signalbox_router::build(config, guard, Path::new(""), |_| None).await {
            Err(error) if error.to_string().contains("already open") => {
                tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(10)))
                    .await
                    .unwrap();
            }
            built => return built.unwrap(),
        }
    }
    panic!("the ledger's file is still open")
}
