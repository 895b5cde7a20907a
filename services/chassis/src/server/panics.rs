//! A handler that panics answers INTERNAL, and nobody else notices.
//!
//! Without this a panic on HTTP/1 ends the connection, and on HTTP/2 the stream,
//! without a status.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::FutureExt as _;
use http::HeaderMap;
use http_body::Frame;
use pin_project_lite::pin_project;
use tonic::{Status, body::Body};

use super::{
    Request, ResponseFuture,
    step::{Next, Step},
};
use crate::{ApiError, telemetry::metrics::RPC_PANICS};

/// The layer.
#[derive(Clone)]
pub(super) struct CatchPanics;

impl Step for CatchPanics {
    fn call(&self, request: Request, next: &mut impl Next) -> ResponseFuture {
        // What a panic leaves behind is dropped and never looked at again.
        let Ok(answer) = catch_unwind(AssertUnwindSafe(|| next.call(request))) else {
            return Box::pin(async { Ok(panicked().into_http()) });
        };
        Box::pin(async move {
            match AssertUnwindSafe(answer).catch_unwind().await {
                Ok(response) => Ok(response?.map(|body| Body::new(Caught { body: Some(body) }))),
                Err(_) => Ok(panicked().into_http()),
            }
        })
    }
}

/// What the panic says stays here: it may quote what the caller sent.
fn panicked() -> Status {
    ::metrics::counter!(RPC_PANICS).increment(1);
    tracing::error!("a handler panicked");
    ApiError::internal("the server failed on this request; the fault is its own").into()
}

pin_project! {
    /// A body whose panic becomes its trailers.
    struct Caught {
        #[pin]
        body: Option<Body>,
    }
}

impl http_body::Body for Caught {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        if let Ok(polled) = catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
            return polled;
        }
        this.body.set(None);
        let mut trailers = HeaderMap::new();
        let added = panicked().add_header(&mut trailers);
        Poll::Ready(Some(added.map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body
            .as_ref()
            .is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body
            .as_ref()
            .map_or_else(Default::default, http_body::Body::size_hint)
    }
}
