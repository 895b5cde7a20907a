//! The server of `contracts/conformance/probe.proto`: our transcoding in front of a
//! service that answers as it is asked to.

use std::{collections::HashMap, convert::Infallible, path::Path, time::Duration};

use anyhow::Context as _;
use axum::Router;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    Request, Response,
    body::{Bytes, Frame},
};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use signalbox_transcode::{TranscodeLayer, Transcoder};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::{Layer as _, ServiceExt as _};

/// The services of the contract.
pub(super) const SERVICES: &[&str] = &["signalbox.probe.v1.ProbeService"];

/// Largest request body, in bytes.
pub(super) const MAX_REQUEST: usize = 2 << 20;

/// A gRPC frame's flag and length.
const FRAME_HEAD: usize = 5;

/// The running server; ended on drop.
pub(super) struct Probe {
    /// `127.0.0.1:PORT`.
    pub(super) address: String,
    /// The encoded `google.protobuf.FileDescriptorSet` of its contract.
    pub(super) descriptors: Vec<u8>,
    serving: JoinHandle<()>,
}

impl Probe {
    pub(super) async fn start(root: &Path) -> anyhow::Result<Self> {
        let descriptors = compile(root)?;
        let transcoder = Transcoder::builder(&descriptors)
            .services(SERVICES)
            .max_request_bytes(MAX_REQUEST)
            .build()?;
        let pool = DescriptorPool::decode(descriptors.as_slice())?;
        let answer = move |request| answer(pool.clone(), request);
        let service = TranscodeLayer(transcoder).layer(tower::service_fn(answer));
        let service = tower::service_fn(move |request: Request<axum::body::Body>| {
            service.clone().oneshot(request.map(Body::new))
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, Router::new().fallback_service(service)).await;
        });
        Ok(Self {
            address,
            descriptors,
            serving,
        })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn compile(root: &Path) -> anyhow::Result<Vec<u8>> {
    let includes = [root.join("contracts/conformance"), root.join("proto")];
    let mut compiler = protox::Compiler::new(includes)?;
    compiler.include_imports(true);
    compiler
        .open_file("probe.proto")
        .context("probe.proto does not compile")?;
    Ok(compiler.encode_file_descriptor_set())
}

/// `signalbox.probe.v1.RepeatRequest`.
#[derive(prost::Message)]
struct RepeatRequest {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(uint32, tag = "2")]
    count: u32,
    #[prost(int32, tag = "3")]
    code: i32,
}

/// `signalbox.probe.v1.Repeated`.
#[derive(prost::Message)]
struct Repeated {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(uint32, tag = "2")]
    index: u32,
}

/// `signalbox.probe.v1.FailRequest`.
#[derive(prost::Message)]
struct FailRequest {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(bool, tag = "3")]
    details: bool,
}

/// A gRPC request's answer; what is not gRPC gets 404, as nothing else is served.
async fn answer(
    pool: DescriptorPool,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    let content_type = request.headers().get(hyper::header::CONTENT_TYPE);
    if !content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        let mut nothing = Response::new(Body::empty());
        *nothing.status_mut() = hyper::StatusCode::NOT_FOUND;
        return Ok(nothing);
    }
    let (parts, body) = request.into_parts();
    let (messages, status) = match body.collect().await {
        Ok(body) => {
            let framed = body.to_bytes();
            let message = framed.slice(FRAME_HEAD.min(framed.len())..);
            call(&pool, parts.uri.path(), message).unwrap_or_else(|broken| (Vec::new(), broken))
        }
        Err(broken) => (Vec::new(), broken),
    };
    if messages.is_empty() {
        return Ok(status.into_http());
    }
    let mut trailers = hyper::HeaderMap::new();
    // It fails only on a message that no header can hold; then the stream ends without.
    let _ = status.add_header(&mut trailers);
    let frames = messages
        .into_iter()
        .map(|message| Ok::<_, Status>(Frame::data(frame(&message))))
        .chain([Ok(Frame::trailers(trailers))]);
    let body = StreamBody::new(tokio_stream::iter(frames.collect::<Vec<_>>()));
    let mut response = Response::new(Body::new(body));
    let content_type = hyper::header::HeaderValue::from_static("application/grpc");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, content_type);
    Ok(response)
}

/// The messages, and the status after them.
fn call(pool: &DescriptorPool, path: &str, message: Bytes) -> Result<(Vec<Bytes>, Status), Status> {
    let method = path.rsplit('/').next().unwrap_or_default();
    let undecodable = |error: prost::DecodeError| Status::invalid_argument(error.to_string());
    match method {
        "Echo" | "EchoNamed" | "Patch" => {
            let known = (pool.services())
                .flat_map(|service| service.methods().collect::<Vec<_>>())
                .find(|known| known.name() == method)
                .ok_or_else(|| Status::internal("the contract lacks the method"))?;
            // As a service would, whose answer repeats no singular field.
            let decoded = DynamicMessage::decode(known.input(), message).map_err(undecodable)?;
            Ok((vec![decoded.encode_to_vec().into()], Status::ok("")))
        }
        "Repeat" => {
            let asked = RepeatRequest::decode(message).map_err(undecodable)?;
            let one = |index| {
                let text = asked.text.clone();
                Repeated { text, index }.encode_to_vec().into()
            };
            let status = match Code::from(asked.code) {
                Code::Ok => Status::ok(""),
                code => Status::new(code, "ended as asked"),
            };
            Ok(((0..asked.count).map(one).collect(), status))
        }
        "Fail" => {
            let asked = FailRequest::decode(message).map_err(undecodable)?;
            Err(refusal(&asked))
        }
        _ => Err(Status::unimplemented("no such method")),
    }
}

fn refusal(asked: &FailRequest) -> Status {
    let code = Code::from(asked.code);
    if !asked.details {
        return Status::new(code, &asked.message);
    }
    let mut details = ErrorDetails::with_error_info("PROBED", "signalbox", HashMap::new());
    details.add_bad_request_violation("child.name", "as asked");
    details.set_retry_info(Some(Duration::from_millis(1_500)));
    Status::with_error_details(code, &asked.message, details)
}

fn frame(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    framed.into()
}
