//! A real tonic service behind the layer, reached over REST.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::{pin::Pin, sync::Arc};

use common::{golden, request, signalbox, text};
use futures_util::{Stream, StreamExt as _};
use http::Request as HttpRequest;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use signalbox_proto::router::v1::{
    router_service_server::{RouterService, RouterServiceServer},
    *,
};
use signalbox_transcode::{RestRequest, TranscodeLayer};
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, body::Body};
use tower::{Layer as _, ServiceExt as _};

type Chunks = Pin<Box<dyn Stream<Item = Result<ChatCompletionChunk, Status>> + Send>>;

/// Behaves as the model's name says.
#[derive(Clone, Default)]
struct Router {
    gone: Arc<Notify>,
}

fn chunk(text: &str) -> ChatCompletionChunk {
    let delta = Delta {
        content: Some(text.into()),
        ..Delta::default()
    };
    let choice = ChunkChoice {
        delta: Some(delta),
        ..ChunkChoice::default()
    };
    ChatCompletionChunk {
        id: "c-1".into(),
        choices: vec![choice],
        ..ChatCompletionChunk::default()
    }
}

/// Tells that it was dropped.
struct Guard(Arc<Notify>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tonic::async_trait]
impl RouterService for Router {
    async fn create_chat_completion(
        &self,
        request: Request<CreateChatCompletionRequest>,
    ) -> Result<Response<ChatCompletion>, Status> {
        assert!(request.extensions().get::<RestRequest>().is_some());
        let request = request.into_inner();
        if request.model == "none" {
            return Err(Status::not_found("model `none` does not exist"));
        }
        let message = request.messages.into_iter().next();
        let choice = Choice {
            message,
            finish_reason: "stop".into(),
            ..Choice::default()
        };
        let signalbox = RouteInfo {
            cost_usd_picos: 9_007_199_254_740_993,
            ..RouteInfo::default()
        };
        Ok(Response::new(ChatCompletion {
            id: "c-1".into(),
            choices: vec![choice],
            signalbox: Some(signalbox),
            ..ChatCompletion::default()
        }))
    }

    type StreamChatCompletionStream = Chunks;

    async fn stream_chat_completion(
        &self,
        request: Request<CreateChatCompletionRequest>,
    ) -> Result<Response<Chunks>, Status> {
        let broken = || Err(Status::unavailable("the provider hung up"));
        let chunks: Chunks = match request.into_inner().model.as_str() {
            "refused" => return Err(Status::permission_denied("not yours")),
            "before" => Box::pin(tokio_stream::iter([broken()])),
            "during" => Box::pin(tokio_stream::iter([Ok(chunk("a")), broken()])),
            "endless" => {
                let (sender, receiver) = mpsc::channel(1);
                let guard = Guard(self.gone.clone());
                tokio::spawn(async move {
                    while sender.send(Ok(chunk("a"))).await.is_ok() {}
                    drop(guard);
                });
                Box::pin(ReceiverStream::new(receiver))
            }
            _ => {
                let mut last = chunk("b\n");
                last.choices[0].finish_reason = Some("stop".into());
                Box::pin(tokio_stream::iter([Ok(chunk("a")), Ok(last)]))
            }
        };
        Ok(Response::new(chunks))
    }

    async fn list_models(
        &self,
        _: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        Err(Status::unimplemented("unused"))
    }

    async fn explain_route(
        &self,
        _: Request<ExplainRouteRequest>,
    ) -> Result<Response<ExplainRouteResponse>, Status> {
        Err(Status::unimplemented("unused"))
    }

    async fn record_feedback(
        &self,
        _: Request<RecordFeedbackRequest>,
    ) -> Result<Response<RecordFeedbackResponse>, Status> {
        Err(Status::unimplemented("unused"))
    }

    async fn get_usage(
        &self,
        request: Request<GetUsageRequest>,
    ) -> Result<Response<GetUsageResponse>, Status> {
        let request = request.into_inner();
        let row = UsageRow {
            user: request.user,
            model: request.model,
            ..UsageRow::default()
        };
        Ok(Response::new(GetUsageResponse {
            rows: vec![row],
            total: None,
        }))
    }

    async fn get_policy(
        &self,
        _: Request<GetPolicyRequest>,
    ) -> Result<Response<RoutingPolicy>, Status> {
        Err(Status::unimplemented("unused"))
    }

    async fn update_policy(
        &self,
        request: Request<UpdatePolicyRequest>,
    ) -> Result<Response<RoutingPolicy>, Status> {
        let request = request.into_inner();
        let mut policy = request.policy.unwrap_or_default();
        policy.strategy = request.update_mask.unwrap_or_default().paths.join("+");
        Ok(Response::new(policy))
    }

    async fn replay_policy(
        &self,
        _: Request<ReplayPolicyRequest>,
    ) -> Result<Response<ReplayPolicyResponse>, Status> {
        Err(Status::unimplemented("unused"))
    }
}

async fn serve(router: Router, request: HttpRequest<Body>) -> http::Response<Body> {
    let routes = tonic::service::Routes::new(RouterServiceServer::new(router)).prepare();
    TranscodeLayer(signalbox())
        .layer(routes)
        .oneshot(request)
        .await
        .unwrap()
}

fn chat(model: &str, stream: bool) -> HttpRequest<Body> {
    let body =
        json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
    request("POST", "/v1/chat/completions", body.to_string())
}

#[tokio::test]
async fn a_completion_is_answered_as_json() {
    let response = serve(Router::default(), chat("auto", false)).await;
    assert_eq!(response.status(), 200);
    let body: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "hi");
    assert_eq!(body["choices"][0]["index"], 0);
    assert_eq!(body["created"], 0);
    assert_eq!(body["signalbox"]["cost_usd_picos"], "9007199254740993");
}

#[tokio::test]
async fn an_error_of_the_service_has_openais_shape() {
    let response = serve(Router::default(), chat("none", false)).await;
    assert_eq!(response.status(), 404);
    let body: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(body["error"]["type"], "not_found_error");
    assert_eq!(body["error"]["message"], "model `none` does not exist");
}

#[tokio::test]
async fn stream_true_is_answered_as_events_that_end_in_done() {
    insta::assert_snapshot!(golden(serve(Router::default(), chat("auto", true)).await).await);
}

#[tokio::test]
async fn an_error_in_mid_stream_is_an_event_and_no_done_follows() {
    insta::assert_snapshot!(golden(serve(Router::default(), chat("during", true)).await).await);
}

#[tokio::test]
async fn an_error_before_the_first_message_is_an_http_status() {
    for (model, status) in [("before", 503), ("refused", 403)] {
        let response = serve(Router::default(), chat(model, true)).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["content-type"], "application/json");
    }
}

#[tokio::test]
async fn the_service_is_cancelled_when_the_client_goes_away() {
    let router = Router::default();
    let gone = router.gone.clone();
    let mut response = serve(router, chat("endless", true)).await;
    for _ in 0..3 {
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert!(
            frame
                .into_data()
                .unwrap()
                .starts_with(b"data: {\"id\":\"c-1\"")
        );
    }
    drop(response);
    // Hangs, and so fails by the harness's timeout, where the stream lives on.
    gone.notified().await;
}

#[tokio::test]
async fn queries_bodies_and_unfilled_rpcs_reach_the_service() {
    let get = request("GET", "/v1/router/usage?user=al%20ice&model=m&limit=5", "");
    let body: Value =
        serde_json::from_str(&text(serve(Router::default(), get).await).await).unwrap();
    assert_eq!(body["rows"][0]["user"], "al ice");
    assert_eq!(body.get("total"), None);
    let patch = request(
        "PATCH",
        "/v1/router/policy?update_mask=strategy,updateTime",
        r#"{"route":"auto","models":["a"]}"#,
    );
    let body: Value =
        serde_json::from_str(&text(serve(Router::default(), patch).await).await).unwrap();
    assert_eq!(
        body,
        json!({"route": "auto", "strategy": "strategy+update_time", "models": ["a"]})
    );
    let unfilled = serve(Router::default(), request("GET", "/v1/models", "")).await;
    assert_eq!(unfilled.status(), 501);
    // A service that the server does not have at all.
    let absent = serve(
        Router::default(),
        request("GET", "/v1/embeddings/models", ""),
    )
    .await;
    assert_eq!(absent.status(), 501);
    let body: Value = serde_json::from_str(&text(absent).await).unwrap();
    assert_eq!(body["code"], i32::from(Code::Unimplemented));
}

#[tokio::test]
async fn many_messages_arrive_whole_and_in_order() {
    let router = Router::default();
    let response = serve(router, chat("endless", true)).await;
    let mut body = response.into_body().into_data_stream();
    let mut text = String::new();
    while text.matches("data: ").count() < 2_000 {
        text.push_str(str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
    }
    for event in text.split_terminator("\n\n") {
        let json: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(json["choices"][0]["delta"]["content"], "a");
        assert_eq!(json["choices"][0]["finish_reason"], Value::Null);
    }
}
