//! A server on a real socket, and a service behind it that does what it is told.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::{future::Future, net::SocketAddr, pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt as _};
use signalbox_chassis::{
    RequestContext,
    server::{Server, ServerConfig},
    telemetry::Metrics,
};
use signalbox_proto::guardrails::v1::{
    guardrails_service_client::GuardrailsServiceClient,
    guardrails_service_server::{GuardrailsService, GuardrailsServiceServer},
    *,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tonic::{Request, Response, Status, Streaming, transport::Channel};

/// An upper bound for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

pub const NAME: &str = "signalbox.guardrails.v1.GuardrailsService";

/// Waits for what must happen, not for ever.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it takes too long")
}

/// What the service tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Started,
    Dropped,
}

/// Tells when it begins and when it is dropped.
struct Life(mpsc::UnboundedSender<Event>);

impl Life {
    fn new(events: &mpsc::UnboundedSender<Event>) -> Self {
        let _ = events.send(Event::Started);
        Self(events.clone())
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let _ = self.0.send(Event::Dropped);
    }
}

#[derive(Clone)]
struct Scripted {
    events: mpsc::UnboundedSender<Event>,
}

impl Scripted {
    /// `stall`, `panic`, or an answer whose detector is `text`.
    async fn act(&self, text: &str) -> Result<Finding, Status> {
        match text {
            "stall" => {
                let _life = Life::new(&self.events);
                std::future::pending().await
            }
            "panic" => panic!("as told"),
            text => Ok(Finding {
                detector: text.to_owned(),
                ..Finding::default()
            }),
        }
    }
}

fn unused<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("unused"))
}

#[tonic::async_trait]
impl GuardrailsService for Scripted {
    async fn check_text(
        &self,
        request: Request<CheckTextRequest>,
    ) -> Result<Response<CheckTextResponse>, Status> {
        let context = RequestContext::of(&request);
        let mut finding = self.act(&request.into_inner().text).await?;
        finding.r#type = context.caller.to_string();
        finding.reasons = vec![context.request_id.to_string()];
        Ok(Response::new(CheckTextResponse {
            findings: vec![finding],
            ..CheckTextResponse::default()
        }))
    }

    type CheckStreamStream =
        Pin<Box<dyn Stream<Item = Result<CheckStreamResponse, Status>> + Send>>;

    async fn check_stream(
        &self,
        request: Request<Streaming<CheckStreamRequest>>,
    ) -> Result<Response<Self::CheckStreamStream>, Status> {
        let (service, life) = (self.clone(), Life::new(&self.events));
        let answers = request.into_inner().then(move |message| {
            let (service, _) = (service.clone(), &life);
            async move {
                let text = message?.text;
                service.act(&text).await?;
                Ok(CheckStreamResponse {
                    text,
                    ..CheckStreamResponse::default()
                })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn batch_check_text(
        &self,
        _: Request<BatchCheckTextRequest>,
    ) -> Result<Response<BatchCheckTextResponse>, Status> {
        unused()
    }

    async fn redact_text(
        &self,
        _: Request<RedactTextRequest>,
    ) -> Result<Response<RedactTextResponse>, Status> {
        unused()
    }

    async fn restore_text(
        &self,
        _: Request<RestoreTextRequest>,
    ) -> Result<Response<RestoreTextResponse>, Status> {
        unused()
    }

    async fn create_moderation(
        &self,
        _: Request<CreateModerationRequest>,
    ) -> Result<Response<CreateModerationResponse>, Status> {
        unused()
    }

    async fn list_detectors(
        &self,
        _: Request<ListDetectorsRequest>,
    ) -> Result<Response<ListDetectorsResponse>, Status> {
        Ok(Response::new(ListDetectorsResponse::default()))
    }

    async fn list_policies(
        &self,
        _: Request<ListPoliciesRequest>,
    ) -> Result<Response<ListPoliciesResponse>, Status> {
        unused()
    }
}

/// A running server.
pub struct Served {
    pub address: SocketAddr,
    pub events: mpsc::UnboundedReceiver<Event>,
    stop: Option<oneshot::Sender<()>>,
    done: JoinHandle<()>,
}

pub type Client = GuardrailsServiceClient<Channel>;

impl Served {
    pub async fn with(config: ServerConfig) -> Self {
        Self::showing(config, Metrics::detached()).await
    }

    pub async fn showing(mut config: ServerConfig, metrics: Metrics) -> Self {
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let (sender, events) = mpsc::unbounded_channel();
        let service = Scripted { events: sender };
        let bound = Server::new(config, metrics, signalbox_proto::FILE_DESCRIPTOR_SET)
            .service(GuardrailsServiceServer::new(service))
            .bind()
            .await
            .expect("the configuration is right");
        let address = bound.address();
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(bound.serve(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            events,
            stop: Some(stop),
            done,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn channel(&self) -> Channel {
        Channel::from_shared(self.url(""))
            .expect("a URL")
            .connect()
            .await
            .expect("it listens")
    }

    pub async fn client(&self) -> Client {
        GuardrailsServiceClient::new(self.channel().await)
    }

    pub async fn event(&mut self) -> Event {
        soon(self.events.recv()).await.expect("the service lives")
    }

    /// As a termination signal would.
    pub fn terminate(&mut self) {
        drop(self.stop.take());
    }

    pub async fn ended(self) {
        soon(self.done).await.expect("no panic");
    }
}

pub fn text(text: &str) -> CheckTextRequest {
    CheckTextRequest {
        text: text.to_owned(),
        ..CheckTextRequest::default()
    }
}

pub fn piece(text: &str) -> CheckStreamRequest {
    CheckStreamRequest {
        text: text.to_owned(),
        ..CheckStreamRequest::default()
    }
}

/// The `ErrorInfo.reason` of an error.
pub fn reason(status: &Status) -> String {
    use tonic_types::StatusExt as _;
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

pub fn http() -> reqwest::Client {
    signalbox_chassis::tls::install_crypto();
    reqwest::Client::new()
}
