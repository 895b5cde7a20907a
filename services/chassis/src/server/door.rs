//! Admits a REST request before its body is read.
//!
//! Transcoding has to read a body whole before there is a gRPC request to admit.
//! Were admission only behind it, a caller without a key could have the server
//! hold and parse any number of bodies, and a body that never comes would hold
//! its connection for ever. gRPC's messages are read behind admission anyway.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http_body::Frame;
use pin_project_lite::pin_project;
use signalbox_transcode::{Lookup, Transcoder, error_response};
use tokio::time::{Instant, Sleep};
use tonic::{Code, Status, body::Body};

use super::{
    Request, ResponseFuture,
    admit::Admission,
    plain::is_grpc,
    step::{Next, Step},
};
use crate::{ApiError, error::reason};

/// The longest pause within a body.
const PAUSE: Duration = Duration::from_secs(30);

/// The layer.
#[derive(Clone)]
pub(super) struct Door {
    admission: Arc<Admission>,
    transcoder: Transcoder,
    longest: Duration,
}

impl Door {
    /// No body may take longer than `longest` to arrive.
    pub(super) fn new(
        admission: Arc<Admission>,
        transcoder: Transcoder,
        longest: Duration,
    ) -> Self {
        Self {
            admission,
            transcoder,
            longest,
        }
    }
}

impl Step for Door {
    fn call(&self, mut request: Request, next: &mut impl Next) -> ResponseFuture {
        if is_grpc(&request) {
            return Box::pin(next.call(request));
        }
        let Lookup::Route { errors, .. } = self
            .transcoder
            .lookup(request.method(), request.uri().path())
        else {
            return Box::pin(next.call(request));
        };
        match self.admission.admit(&request) {
            Err(refusal) => {
                let response = error_response(&refusal, errors);
                Box::pin(async move { Ok(response) })
            }
            Ok(admitted) => {
                request.extensions_mut().insert(admitted);
                let until = Instant::now() + self.longest;
                Box::pin(next.call(request.map(|body| {
                    Body::new(Patient {
                        body,
                        until,
                        pause: tokio::time::sleep(PAUSE.min(self.longest)),
                    })
                })))
            }
        }
    }
}

pin_project! {
    /// A body that breaks off when it does not come.
    struct Patient {
        #[pin]
        body: Body,
        until: Instant,
        #[pin]
        pause: Sleep,
    }
}

impl http_body::Body for Patient {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let mut this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(cx) {
            let next = (Instant::now() + PAUSE).min(*this.until);
            this.pause.as_mut().reset(next);
            return Poll::Ready(frame);
        }
        std::task::ready!(this.pause.poll(cx));
        let message = "the request's body did not arrive in time; send it without pauses";
        let error = ApiError::new(Code::DeadlineExceeded, reason::DEADLINE_EXCEEDED, message);
        Poll::Ready(Some(Err(error.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let body = futures_util::stream::pending::<Result<Frame<bytes::Bytes>, Status>>();
        let patient = Patient {
            body: Body::new(http_body_util::StreamBody::new(body)),
            until: Instant::now() + Duration::from_secs(600),
            pause: tokio::time::sleep(PAUSE),
        };
        let begun = Instant::now();
        let error = patient.collect().await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert!(begun.elapsed() < PAUSE + Duration::from_secs(1));
    }
}
