//! Spans and metrics of every request, whatever it came in as.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::HeaderMap;
use http_body::Frame;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tracing::{Instrument as _, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{
    Request, ResponseFuture,
    admit::Peer,
    identify::request_id,
    methods::{Method, Methods},
    step::{Next, Step},
};
use crate::{
    context::RequestContext,
    telemetry::{
        metrics::{RPC_ACTIVE, RPC_DURATION},
        propagation,
    },
};

/// The layer.
#[derive(Clone)]
pub(super) struct Observe {
    methods: Arc<Methods>,
}

impl Observe {
    pub(super) fn new(methods: Arc<Methods>) -> Self {
        Self { methods }
    }
}

impl Step for Observe {
    fn call(&self, mut request: Request, next: &mut impl Next) -> ResponseFuture {
        let method = Arc::clone(self.methods.get(request.uri().path()));
        let id = request_id(request.headers());
        let span = tracing::info_span!(
            "rpc",
            otel.name = &*method.full,
            otel.kind = "server",
            otel.status_code = Empty,
            rpc.system = "grpc",
            rpc.service = &*method.service,
            rpc.method = &*method.method,
            rpc.grpc.status_code = Empty,
            request_id = &*id,
        );
        // An error means that the span is not recorded; then it needs no parent.
        let _ = span.set_parent(propagation::extract(request.headers()));
        let context = RequestContext {
            request_id: id,
            caller: RequestContext::ANONYMOUS.into(),
            peer: request.extensions().get::<Peer>().map(|peer| peer.0),
            deadline: None,
        };
        request.extensions_mut().insert(context);
        let ending = Ending::new(method, span.clone());
        let answer = span.in_scope(|| next.call(request)).instrument(span);
        Box::pin(async move {
            let mut ending = ending;
            let response = answer.await?;
            ending.read_code(response.headers());
            Ok(response.map(|body| Body::new(Observed { body, ending })))
        })
    }
}

/// Records a request's end, however it ends: a request that is dropped before
/// its status was known was cancelled by its caller.
struct Ending {
    method: Arc<Method>,
    span: Span,
    begun: Instant,
    code: Option<Code>,
}

impl Ending {
    fn new(method: Arc<Method>, span: Span) -> Self {
        ::metrics::gauge!(RPC_ACTIVE, &method.labels()).increment(1.0);
        Self {
            method,
            span,
            begun: Instant::now(),
            code: None,
        }
    }

    fn read_code(&mut self, headers: &HeaderMap) {
        if let Some(value) = headers.get(Status::GRPC_STATUS) {
            self.code = Some(Code::from_bytes(value.as_bytes()));
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        let labels = self.method.labels();
        ::metrics::gauge!(RPC_ACTIVE, &labels).decrement(1.0);
        let [service, method] = labels;
        let elapsed = self.begun.elapsed();
        ::metrics::histogram!(
            RPC_DURATION,
            &[service, method, ("code", code_name(code).into())]
        )
        .record(elapsed.as_secs_f64());
        self.span.record("rpc.grpc.status_code", code as i64);
        let fault = matches!(code, Code::Internal | Code::Unknown | Code::DataLoss);
        if is_error_of_the_server(code) {
            self.span.record("otel.status_code", "ERROR");
        }
        let _entered = self.span.enter();
        let elapsed_ms = elapsed.as_secs_f64() * 1e3;
        if fault {
            tracing::error!(code = code_name(code), elapsed_ms, "answered");
        } else {
            tracing::debug!(code = code_name(code), elapsed_ms, "answered");
        }
    }
}

/// Whether a server's span is an error, by OpenTelemetry's semantic conventions
/// for gRPC: the other codes are the caller's doing.
fn is_error_of_the_server(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The code's name in the gRPC specification.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

pin_project! {
    /// A body that tells its ending how the call went.
    struct Observed {
        #[pin]
        body: Body,
        ending: Ending,
    }
}

impl http_body::Body for Observed {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let this = self.project();
        let span = this.ending.span.clone();
        let frame = span.in_scope(|| this.body.poll_frame(cx));
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.ending.read_code(trailers);
                }
            }
            Poll::Ready(Some(Err(status))) => this.ending.code = Some(status.code()),
            Poll::Ready(None) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
