//! The transport below the generated clients that gives every call its deadline and its
//! retries. What gRPC's other libraries do by a service config is a tower service here.
//!
//! A call is made again only until its answer's head has come, as gRPC has it: a stream
//! that has begun is the program's. A request is kept for that only while it is short; a
//! longer one, or one that is still being written, is sent once.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::time::Instant;
use tonic::{Status, TimeoutExpired, body::Body};
use tower_service::Service;

use super::policy::{RetryPolicy, ServiceConfig};

const TIMEOUT: &str = "grpc-timeout";
/// The server's own wish for the pause, or that there is none.
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// A longer request is not kept for another attempt.
const KEPT_BYTES: usize = 256 << 10;

/// A channel, and what holds for its calls.
#[derive(Clone)]
pub(crate) struct Calls<S> {
    inner: S,
    config: Arc<ServiceConfig>,
}

impl<S> Calls<S> {
    pub(super) fn new(inner: S, config: Arc<ServiceConfig>) -> Self {
        Self { inner, config }
    }

    pub(super) fn with_config(&self, config: Arc<ServiceConfig>) -> Self
    where
        S: Clone,
    {
        Self::new(self.inner.clone(), config)
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Status;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // Each attempt waits for its own.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let (inner, config) = (self.inner.clone(), Arc::clone(&self.config));
        Box::pin(async move {
            let method = config.of(request.uri().path());
            let asked = timeout(request.headers());
            let most = method.and_then(|method| method.timeout);
            let timeout = [asked, most].into_iter().flatten().min();
            let policy = method.and_then(|method| method.retry_policy.as_ref());
            let deadline = timeout.map(|timeout| Instant::now() + timeout);
            let work = attempts(inner, request, policy, deadline);
            match deadline {
                None => work.await,
                Some(deadline) => tokio::time::timeout_at(deadline, work)
                    .await
                    .unwrap_or_else(|_| Err(too_late())),
            }
        })
    }
}

async fn attempts<S>(
    mut inner: S,
    request: Request<Body>,
    policy: Option<&RetryPolicy>,
    deadline: Option<Instant>,
) -> Result<Response<Body>, Status>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let (body, kept) = match policy {
        // Only a message that is there already can be sent twice.
        Some(_) => keep(body).await,
        None => (body, None),
    };
    let mut body = Some(body);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let again = || kept.clone().map(|kept| Body::new(Full::new(kept)));
        let Some(body) = body.take().or_else(again) else {
            return Err(Status::internal("an attempt without its request"));
        };
        let mut request = Request::from_parts(head.clone(), body);
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            request.headers_mut().insert(TIMEOUT, header(left));
        }
        let answer = async {
            std::future::poll_fn(|cx| inner.poll_ready(cx)).await?;
            inner.call(request).await
        };
        let answer = answer.await.map_err(|error| status(error.into()));
        let (code, headers) = match &answer {
            Err(status) => (status.code(), None),
            // A head that holds a status is all that comes.
            Ok(response) => match Status::from_header_map(response.headers()) {
                Some(status) => (status.code(), Some(response.headers())),
                None => return answer,
            },
        };
        let Some(policy) = policy.filter(|policy| kept.is_some() && policy.retries(attempt, code))
        else {
            return answer;
        };
        let wish = headers.and_then(|headers| headers.get(PUSHBACK)).cloned();
        let pause = match wish {
            None => policy.pause(attempt, jitter()),
            Some(wish) => match wish.to_str().ok().and_then(|ms| ms.parse().ok()) {
                Some(ms) => Duration::from_millis(ms),
                None => return answer,
            },
        };
        tokio::time::sleep(pause).await;
    }
}

fn too_late() -> Status {
    Status::deadline_exceeded("no answer in time")
}

/// tonic calls what was too late CANCELLED, and every other gRPC library
/// DEADLINE_EXCEEDED.
fn status(error: Box<dyn std::error::Error + Send + Sync>) -> Status {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
    while let Some(error) = cause {
        if error.is::<TimeoutExpired>() {
            return too_late();
        }
        if (error.downcast_ref()).is_some_and(hyper::Error::is_canceled) {
            // A connection that the server drains gives back what it has not sent.
            return Status::unavailable("the connection was closed before the call was sent");
        }
        cause = error.source();
    }
    Status::from_error(error)
}

/// Takes a request's one message out of its body, if it is short and there already.
async fn keep(body: Body) -> (Body, Option<Bytes>) {
    let mut body = Box::pin(body);
    let mut read = Vec::new();
    let whole = loop {
        let next =
            std::future::poll_fn(|cx| Poll::Ready(http_body::Body::poll_frame(body.as_mut(), cx)));
        match next.await {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => read.extend_from_slice(&data),
                Err(_) => break false,
            },
            Poll::Ready(None) => break true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => break false,
        }
        if read.len() > KEPT_BYTES {
            break false;
        }
    };
    let read = Bytes::from(read);
    if whole {
        return (Body::new(Full::new(read.clone())), Some(read));
    }
    let before = Full::new(read).map_err(|never| match never {});
    let before = http_body_util::BodyStream::new(before);
    let rest = http_body_util::BodyStream::new(body);
    let both = futures_util::StreamExt::chain(before, rest);
    (Body::new(http_body_util::StreamBody::new(both)), None)
}

/// A factor that differs from call to call; it need not be random.
fn jitter() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = now.map_or(0, |now| now.subsec_nanos());
    0.8 + 0.4 * f64::from(nanos % 1_000) / 1_000.0
}

/// What [`tonic::Request::set_timeout`] wrote.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(3_600 * count),
        "M" => Duration::from_secs(60 * count),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// At most eight digits, as the protocol has it.
fn header(left: Duration) -> HeaderValue {
    let millis = left.as_millis().max(1);
    let text = match millis {
        0..100_000_000 => format!("{millis}m"),
        _ => format!("{}S", left.as_secs().min(99_999_999)),
    };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("1S"))
}
