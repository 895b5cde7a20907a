//! The tower layer: REST in and out on the outside, gRPC on the inside.

mod events;
mod frames;
mod request;
mod response;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, header};
use tonic::body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    render::error_response,
    routes::Found,
    status,
    transcoder::{Transcoder, allow},
};

/// Puts REST in front of a gRPC service.
///
/// A request that is gRPC already (by its content type), and one whose path is no
/// route, pass through as they are.
#[derive(Clone, Debug)]
pub struct TranscodeLayer(pub Transcoder);

impl<S> Layer<S> for TranscodeLayer {
    type Service = Transcode<S>;

    fn layer(&self, inner: S) -> Transcode<S> {
        Transcode {
            inner,
            transcoder: self.0.clone(),
        }
    }
}

/// The service that [`TranscodeLayer`] makes.
#[derive(Clone, Debug)]
pub struct Transcode<S> {
    inner: S,
    transcoder: Transcoder,
}

impl<S> Service<Request<Body>> for Transcode<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let grpc = request.headers().get(header::CONTENT_TYPE);
        if grpc.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
            return ResponseFuture::Pass {
                future: self.inner.call(request),
            };
        }
        let inner = &self.transcoder.inner;
        let path = request.uri().path();
        match inner.table.find(request.method(), path) {
            Found::Nothing => ResponseFuture::Pass {
                future: self.inner.call(request),
            },
            Found::Method(methods, route) => {
                let allow = allow(&methods);
                let refusal = status::method_not_allowed(request.method(), &allow);
                let shape = inner.rpcs[inner.routes[route].rpc].shape;
                let mut response = error_response(&refusal, shape);
                if let Ok(allow) = HeaderValue::try_from(allow) {
                    response.headers_mut().insert(header::ALLOW, allow);
                }
                ResponseFuture::Made {
                    response: Some(response),
                }
            }
            Found::Route(route, _) => {
                // The instance that is ready serves this request; its clone
                // takes its place.
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                let serve = serve(self.transcoder.clone(), ready, route, request);
                ResponseFuture::Rest {
                    future: Box::pin(serve),
                }
            }
        }
    }
}

async fn serve<S>(
    transcoder: Transcoder,
    mut service: S,
    route: usize,
    request: Request<Body>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    let inner = &transcoder.inner;
    let shape = inner.rpcs[inner.routes[route].rpc].shape;
    let accept = response::Accepted::of(request.headers());
    let (rpc, request) = match request::to_grpc(inner, route, request).await {
        Ok(translated) => translated,
        Err(refusal) => return Ok(error_response(&refusal, shape)),
    };
    let response = service.call(request).await?;
    Ok(response::to_rest(&transcoder, route, rpc, accept, response).await)
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pin_project_lite::pin_project! {
    /// The future of [`Transcode`].
    #[project = ResponseFutureProj]
    pub enum ResponseFuture<F, E> {
        /// The inner service answers by itself.
        Pass { #[pin] future: F },
        /// Transcoding answers by itself.
        Made { response: Option<Response<Body>> },
        /// Transcoding goes on around the inner service.
        Rest { future: BoxFuture<Result<Response<Body>, E>> },
    }
}

impl<F, E> Future for ResponseFuture<F, E>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            ResponseFutureProj::Pass { future } => future.poll(cx),
            ResponseFutureProj::Made { response } => {
                Poll::Ready(Ok(response.take().unwrap_or_default()))
            }
            ResponseFutureProj::Rest { future } => future.as_mut().poll(cx),
        }
    }
}
