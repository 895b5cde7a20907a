//! Who gets in: authentication, rate limits, and a bound on work in flight. What
//! does not fit is refused at once, with a time to come back.

use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http_body::Frame;
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body};

use super::{
    Request, ResponseFuture, ServerConfig, ServerError,
    auth::Keys,
    rate::{Buckets, Subject},
    step::{Next, Step},
};
use crate::{ApiError, context::RequestContext, error::reason, telemetry::metrics::RPC_REFUSED};

/// Probes must work while everything else is refused, and hold no data.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// When a shed request may come back: requests are short next to this.
const SHED_RETRY: Duration = Duration::from_secs(1);

/// The remote address of the connection, put into every request's extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// A request that was let in; its place is free again when the last clone goes.
#[derive(Clone)]
pub(super) struct Admitted {
    caller: Arc<str>,
    permit: Option<Arc<OwnedSemaphorePermit>>,
}

/// What admission knows.
pub(super) struct Admission {
    keys: Keys,
    buckets: Option<Buckets>,
    in_flight: Arc<Semaphore>,
    max_in_flight: usize,
}

impl Admission {
    pub(super) fn new(config: &ServerConfig) -> Result<Self, ServerError> {
        let max_in_flight = config
            .limits
            .max_concurrent_requests
            .clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            keys: Keys::new(&config.auth)?,
            buckets: config.limits.per_caller.map(Buckets::new).transpose()?,
            in_flight: Arc::new(Semaphore::new(max_in_flight)),
            max_in_flight,
        })
    }

    /// Lets a request in, or says why not.
    pub(super) fn admit(&self, request: &Request) -> Result<Admitted, Status> {
        self.decide(request).map_err(|refusal| {
            ::metrics::counter!(RPC_REFUSED, "reason" => refusal.reason()).increment(1);
            refusal.into()
        })
    }

    pub(super) fn forget_idle_callers(&self) {
        if let Some(buckets) = &self.buckets {
            buckets.forget_idle();
        }
    }

    fn decide(&self, request: &Request) -> Result<Admitted, ApiError> {
        if request.uri().path().starts_with(HEALTH) {
            return Ok(Admitted {
                caller: RequestContext::ANONYMOUS.into(),
                permit: None,
            });
        }
        let caller = self.keys.caller(request.headers())?;
        if let Some(buckets) = &self.buckets {
            let subject = subject(&caller, request);
            buckets
                .take(&subject)
                .map_err(|wait| rate_limited(&subject, wait))?;
        }
        let permit = Arc::clone(&self.in_flight)
            .try_acquire_owned()
            .map_err(|_| self.overloaded())?;
        Ok(Admitted {
            caller,
            permit: Some(Arc::new(permit)),
        })
    }

    fn overloaded(&self) -> ApiError {
        let message = format!(
            "the server is answering {} requests, all it takes; try again",
            self.max_in_flight
        );
        ApiError::exhausted(reason::OVERLOADED, message, SHED_RETRY)
    }
}

fn subject(caller: &Arc<str>, request: &Request) -> Subject {
    if &**caller != RequestContext::ANONYMOUS {
        return Subject::Caller(Arc::clone(caller));
    }
    let address = request
        .extensions()
        .get::<Peer>()
        .map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
    Subject::network(address)
}

fn rate_limited(subject: &Subject, wait: Duration) -> ApiError {
    let message = format!(
        "{subject} is over its rate limit; try again in {:.1} s",
        wait.as_secs_f64()
    );
    ApiError::exhausted(reason::RATE_LIMITED, message, wait).with_quota_subject(subject.to_string())
}

/// The layer.
#[derive(Clone)]
pub(super) struct Admit {
    admission: Arc<Admission>,
}

impl Admit {
    pub(super) fn new(admission: Arc<Admission>) -> Self {
        Self { admission }
    }
}

impl Step for Admit {
    fn call(&self, mut request: Request, next: &mut impl Next) -> ResponseFuture {
        // A REST request was admitted before its body was read.
        let earlier = request.extensions_mut().remove::<Admitted>();
        match earlier.map_or_else(|| self.admission.admit(&request), Ok) {
            Err(refusal) => Box::pin(async move { Ok(refusal.into_http()) }),
            Ok(Admitted { caller, permit }) => {
                if let Some(context) = request.extensions_mut().get_mut::<RequestContext>() {
                    context.caller = caller;
                }
                let answer = next.call(request);
                Box::pin(
                    async move { Ok(answer.await?.map(|body| Body::new(Held { body, permit }))) },
                )
            }
        }
    }
}

pin_project! {
    /// A body that holds its request's permit until its end.
    struct Held {
        #[pin]
        body: Body,
        permit: Option<Arc<OwnedSemaphorePermit>>,
    }
}

impl http_body::Body for Held {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let this = self.project();
        let frame = this.body.poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) {
            *this.permit = None;
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
