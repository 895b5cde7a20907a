//! What the integration tests share: the test contract and a stub behind the layer.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

use std::{
    convert::Infallible,
    sync::{Arc, LazyLock, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use signalbox_transcode::{TranscodeLayer, Transcoder, openai_quirks};
use tonic::{Status, body::Body};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

/// The encoded descriptor set of `tests/proto/rich.proto`.
pub static RICH: LazyLock<Vec<u8>> = LazyLock::new(|| compile("rich.proto"));

pub fn compile(file: &str) -> Vec<u8> {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let includes = [format!("{root}/tests/proto"), format!("{root}/../../proto")];
    let mut compiler = protox::Compiler::new(includes).unwrap();
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file(file).unwrap();
    compiler.encode_file_descriptor_set()
}

pub fn rich() -> Transcoder {
    static BUILT: LazyLock<Transcoder> = LazyLock::new(|| {
        Transcoder::builder(&RICH)
            .max_request_bytes(65_536)
            .build()
            .unwrap()
    });
    BUILT.clone()
}

pub fn signalbox() -> Transcoder {
    static BUILT: LazyLock<Transcoder> = LazyLock::new(|| {
        let descriptors = signalbox_proto::FILE_DESCRIPTOR_SET;
        Transcoder::builder(descriptors)
            .quirks(openai_quirks())
            .build()
            .unwrap()
    });
    BUILT.clone()
}

pub fn rich_message(name: &str) -> MessageDescriptor {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(RICH.as_slice()).unwrap());
    POOL.get_message_by_name(name).unwrap()
}

/// The message `rich.v1.Rich` of a gRPC body.
pub fn read_rich(framed: &[u8]) -> DynamicMessage {
    DynamicMessage::decode(rich_message("rich.v1.Rich"), &framed[5..]).unwrap()
}

pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    out.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    out.extend_from_slice(message);
    out
}

/// A body of framed messages that ends in this status.
pub fn grpc_body(messages: Vec<Vec<u8>>, status: &Status) -> Body {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let frames: Vec<Result<Frame<Bytes>, Status>> = messages
        .iter()
        .map(|message| Ok(Frame::data(Bytes::from(frame(message)))))
        .chain([Ok(Frame::trailers(trailers))])
        .collect();
    Body::new(StreamBody::new(tokio_stream::iter(frames)))
}

/// A gRPC request as the inner service saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub parts: Arc<http::request::Parts>,
    pub body: Bytes,
}

/// Sends a request through the layer to a service that answers with `answer`;
/// the second value is what that service saw, if it was reached.
pub async fn through(
    transcoder: Transcoder,
    request: Request<Body>,
    answer: impl Fn() -> Response<Body> + Clone + Send + 'static,
) -> (Response<Body>, Option<Seen>) {
    let seen = Arc::new(Mutex::new(None));
    let record = seen.clone();
    let inner = service_fn(move |request: Request<Body>| {
        let (record, answer) = (record.clone(), answer.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body
                .collect()
                .await
                .map(|body| body.to_bytes())
                .unwrap_or_default();
            *record.lock().unwrap() = Some(Seen {
                parts: Arc::new(parts),
                body,
            });
            Ok::<_, Infallible>(answer())
        }
    });
    let mut service = TranscodeLayer(transcoder).layer(inner);
    let response = service.ready().await.unwrap().call(request).await.unwrap();
    let seen = seen.lock().unwrap().take();
    (response, seen)
}

pub fn ok(message: Vec<u8>) -> impl Fn() -> Response<Body> + Clone + Send + 'static {
    move || grpc_response(grpc_body(vec![message.clone()], &Status::ok("")))
}

pub fn grpc_response(body: Body) -> Response<Body> {
    let builder = Response::builder().header("content-type", "application/grpc");
    builder
        .header("x-request-id", "r-1")
        .header("secret-bin", "AA")
        .body(body)
        .unwrap()
}

pub fn request(method: &str, uri: &str, body: impl Into<Bytes>) -> Request<Body> {
    let body = Body::new(http_body_util::Full::new(body.into()));
    Request::builder()
        .method(method)
        .uri(uri)
        .body(body)
        .unwrap()
}

pub async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Status, the headers that matter and the body, for golden files.
pub async fn golden(response: Response<Body>) -> String {
    let mut out = format!("{}\n", response.status().as_u16());
    for name in [
        "allow",
        "cache-control",
        "content-type",
        "retry-after",
        "x-accel-buffering",
        "x-request-id",
    ] {
        if let Some(value) = response.headers().get(name) {
            out.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
        }
    }
    out.push('\n');
    out.push_str(&text(response).await);
    out
}
