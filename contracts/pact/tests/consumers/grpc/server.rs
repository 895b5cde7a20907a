//! A gRPC server that knows one interaction of a pact: it accepts that request only, and
//! gives that answer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, body::Body, extract::State};
use http::{Request as HttpRequest, Response as HttpResponse};
use pact_models::v4::sync_message::SynchronousMessage;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::Value;
use signalbox_pact::{
    dynamic::{self, DynamicCodec},
    metadata, rich_status,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint},
};

pub(super) struct Server {
    address: String,
    known: Arc<Known>,
    task: JoinHandle<()>,
}

struct Known {
    message: SynchronousMessage,
    method: MethodDescriptor,
    path: String,
    calls: AtomicUsize,
}

impl Server {
    pub(super) async fn start(message: SynchronousMessage) -> Self {
        let name = message.request.metadata[metadata::METHOD].as_str().unwrap();
        let pool = DescriptorPool::decode(signalbox_proto::FILE_DESCRIPTOR_SET).unwrap();
        let known = Arc::new(Known {
            method: dynamic::method(&pool, name).unwrap(),
            path: format!("/{name}"),
            message,
            calls: AtomicUsize::new(0),
        });
        let app = Router::new().fallback(serve).with_state(Arc::clone(&known));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            known,
            task,
        }
    }

    pub(super) fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect_lazy()
    }

    /// Panics where the one expected call did not come.
    pub(super) fn was_called(self) {
        self.task.abort();
        assert_eq!(
            self.known.calls.load(Ordering::Relaxed),
            1,
            "calls of {}",
            self.known.path
        );
    }
}

async fn serve(State(known): State<Arc<Known>>, request: HttpRequest<Body>) -> HttpResponse<Body> {
    let codec = DynamicCodec::new(known.method.input());
    let mut grpc = tonic::server::Grpc::new(codec);
    let called = request.uri().path() == known.path;
    if known.method.is_server_streaming() {
        let service = tower::service_fn(move |request: Request<DynamicMessage>| {
            let known = Arc::clone(&known);
            async move {
                let messages = known.answer(called, &request)?;
                Ok(Response::new(tokio_stream::iter(
                    messages.into_iter().map(Ok),
                )))
            }
        });
        grpc.server_streaming(service, request).await.map(Body::new)
    } else {
        let service = tower::service_fn(move |request: Request<DynamicMessage>| {
            let known = Arc::clone(&known);
            async move {
                let mut messages = known.answer(called, &request)?;
                Ok::<_, Status>(Response::new(messages.remove(0)))
            }
        });
        grpc.unary(service, request).await.map(Body::new)
    }
}

impl Known {
    /// What the pact says; `FAILED_PRECONDITION` where the request is not the pact's.
    fn answer(
        &self,
        called: bool,
        request: &Request<DynamicMessage>,
    ) -> Result<Vec<DynamicMessage>, Status> {
        let other = |what: String| Err(Status::failed_precondition(what));
        if !called {
            return other(format!("the pact's method is {}", self.path));
        }
        let expected = json(&self.message.request.contents);
        let got = dynamic::to_json(request.get_ref()).unwrap();
        if got != expected {
            return other(format!("the pact's request is {expected}, not {got}"));
        }
        let key = (request.metadata().get(metadata::AUTHORIZATION)).map(|k| k.to_str().unwrap());
        if key != self.message.request.metadata[metadata::AUTHORIZATION].as_str() {
            return other(format!("the pact's key is another than {key:?}"));
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let response = &self.message.response[0];
        let contents = json(&response.contents);
        if response.metadata[metadata::STATUS] != "OK" {
            let status = rich_status::from_json(&contents).unwrap();
            assert_eq!(
                rich_status::code_name(status.code()),
                response.metadata[metadata::STATUS]
            );
            return Err(status);
        }
        let messages = match contents {
            Value::Array(messages) => messages,
            message => vec![message],
        };
        Ok(messages
            .iter()
            .map(|m| dynamic::from_json(self.method.output(), m).unwrap())
            .collect())
    }
}

fn json(contents: &pact_models::bodies::OptionalBody) -> Value {
    serde_json::from_slice(&contents.value().unwrap()).unwrap()
}
