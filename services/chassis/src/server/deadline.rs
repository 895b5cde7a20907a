//! Deadlines: nobody works for a caller that no longer waits.
//!
//! `grpc-timeout` bounds the whole call, the stream's last message included; when
//! it passes, the handler's future and stream are dropped, which cancels them.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::HeaderMap;
use http_body::{Body as _, Frame};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status, body::Body};

use super::{
    Request, ResponseFuture,
    step::{Next, Step},
};
use crate::{ApiError, context::RequestContext, error::reason};

const GRPC_TIMEOUT: &str = "grpc-timeout";

/// The layer.
#[derive(Clone)]
pub(super) struct Deadline {
    longest: Duration,
}

impl Deadline {
    /// No call may take longer than `longest`.
    pub(super) fn new(longest: Duration) -> Self {
        Self { longest }
    }
}

impl Step for Deadline {
    fn call(&self, mut request: Request, next: &mut impl Next) -> ResponseFuture {
        let timeout = match timeout(request.headers()) {
            Ok(asked) => asked.map_or(self.longest, |asked| asked.min(self.longest)),
            Err(error) => return Box::pin(async move { Ok(Status::from(error).into_http()) }),
        };
        let deadline = Instant::now() + timeout;
        if let Some(context) = request.extensions_mut().get_mut::<RequestContext>() {
            context.deadline = Some(deadline);
        }
        let answer = next.call(request);
        Box::pin(async move {
            match tokio::time::timeout_at(deadline, answer).await {
                Err(_) => Ok(exceeded(timeout).into_http()),
                Ok(response) => Ok(response?.map(|body| {
                    if body.is_end_stream() {
                        return body;
                    }
                    Body::new(Timed::new(body, deadline, timeout))
                })),
            }
        })
    }
}

fn exceeded(timeout: Duration) -> Status {
    let message = format!("no complete answer within {timeout:?}; allow more time or ask for less");
    ApiError::new(Code::DeadlineExceeded, reason::DEADLINE_EXCEEDED, message).into()
}

/// The caller's timeout, by the gRPC over HTTP/2 specification: at most 8 digits
/// and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(|text| {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        if digits.is_empty()
            || digits.len() > 8
            || !digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let count: u64 = digits.parse().ok()?;
        Some(match unit {
            "H" => Duration::from_secs(count * 3600),
            "M" => Duration::from_secs(count * 60),
            "S" => Duration::from_secs(count),
            "m" => Duration::from_millis(count),
            "u" => Duration::from_micros(count),
            "n" => Duration::from_nanos(count),
            _ => return None,
        })
    });
    parsed.map(Some).ok_or_else(|| {
        ApiError::invalid_field(
            GRPC_TIMEOUT,
            "must be at most 8 digits and one of H, M, S, m, u, n, as in 500m",
        )
    })
}

/// A body that ends in DEADLINE_EXCEEDED when its time is over.
///
/// The body is dropped by a task of its own: one whose reader has stopped reading
/// is never polled again, and would hold its handler and its place for ever.
struct Timed {
    body: Arc<Mutex<Limited>>,
    timeout: Duration,
    told: bool,
    _reaper: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Limited {
    /// Gone once its time is over.
    body: Option<Body>,
    reader: Option<Waker>,
}

impl Timed {
    fn new(body: Body, deadline: Instant, timeout: Duration) -> Self {
        let body = Arc::new(Mutex::new(Limited {
            body: Some(body),
            reader: None,
        }));
        let reaped = Arc::clone(&body);
        let reaper = tokio::spawn(async move {
            tokio::time::sleep_until(deadline).await;
            let Limited { body, reader } = std::mem::take(&mut *lock(&reaped));
            drop(body);
            if let Some(reader) = reader {
                reader.wake();
            }
        });
        Self {
            body,
            timeout,
            told: false,
            _reaper: AbortOnDropHandle::new(reaper),
        }
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        // Now, and not when the reaper's task is cleared away.
        let Limited { body, .. } = std::mem::take(&mut *lock(&self.body));
        drop(body);
    }
}

fn lock(body: &Mutex<Limited>) -> MutexGuard<'_, Limited> {
    // Panics of handlers are caught further in.
    body.lock().unwrap_or_else(PoisonError::into_inner)
}

impl http_body::Body for Timed {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let mut limited = lock(&self.body);
        if let Some(body) = &mut limited.body {
            let frame = Pin::new(body).poll_frame(cx);
            if frame.is_pending() {
                limited.reader = Some(cx.waker().clone());
            }
            return frame;
        }
        drop(limited);
        if std::mem::replace(&mut self.told, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::new();
        let added = exceeded(self.timeout).add_header(&mut trailers);
        Poll::Ready(Some(added.map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        let limited = lock(&self.body);
        limited
            .body
            .as_ref()
            .map_or(self.told, http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let limited = lock(&self.body);
        // Trailers may take the place of what would come.
        let mut hint = http_body::SizeHint::new();
        if let Some(upper) = limited
            .body
            .as_ref()
            .and_then(|body| body.size_hint().upper())
        {
            hint.set_upper(upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::convert::Infallible;

    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::{super::Response, *};

    fn with_timeout(value: &str) -> Request {
        http::Request::builder()
            .header(GRPC_TIMEOUT, value)
            .body(Body::empty())
            .unwrap()
    }

    #[test]
    fn units_are_read_and_nonsense_is_refused() {
        for (text, expected) in [
            ("2H", 7_200_000),
            ("3M", 180_000),
            ("4S", 4_000),
            ("5m", 5),
            ("6000u", 6),
        ] {
            assert_eq!(
                timeout(with_timeout(text).headers())
                    .unwrap()
                    .unwrap()
                    .as_millis(),
                expected,
                "{text}"
            );
        }
        for text in ["", "S", "1", "1s", "-1S", "123456789S", "1.5S", "é"] {
            let request = http::Request::builder()
                .header(GRPC_TIMEOUT, text.as_bytes())
                .body(Body::empty())
                .unwrap();
            assert!(timeout(request.headers()).is_err(), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_takes_too_long_is_dropped() {
        let (alive, mut gone) = tokio::sync::mpsc::channel::<()>(1);
        let inner = tower::service_fn(move |_: Request| {
            let alive = alive.clone();
            async move {
                let _alive = alive;
                std::future::pending::<Result<Response, Infallible>>().await
            }
        });
        let response = Deadline::new(Duration::from_secs(60))
            .around(inner)
            .oneshot(with_timeout("1m"))
            .await
            .unwrap();
        assert_eq!(response.headers()["grpc-status"], "4");
        assert!(gone.recv().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_takes_too_long_ends_in_the_trailers() {
        let inner = tower::service_fn(async |_: Request| {
            let first =
                futures_util::stream::iter([Ok::<_, Status>(Frame::data(bytes::Bytes::from("x")))]);
            let body = futures_util::StreamExt::chain(first, futures_util::stream::pending());
            Ok::<_, Infallible>(Response::new(Body::new(http_body_util::StreamBody::new(
                body,
            ))))
        });
        let response = Deadline::new(Duration::from_secs(60))
            .around(inner)
            .oneshot(with_timeout("5S"))
            .await
            .unwrap();
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "4");
        assert_eq!(collected.to_bytes(), "x");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_nobody_reads_is_dropped_too() {
        let (alive, mut gone) = tokio::sync::mpsc::channel::<()>(1);
        let inner = tower::service_fn(move |_: Request| {
            let alive = alive.clone();
            let body = futures_util::stream::repeat_with(move || {
                let _ = &alive;
                Ok::<_, Status>(Frame::data(bytes::Bytes::from("x")))
            });
            let body = Body::new(http_body_util::StreamBody::new(body));
            async move { Ok::<_, Infallible>(Response::new(body)) }
        });
        let response = Deadline::new(Duration::from_secs(60))
            .around(inner)
            .oneshot(with_timeout("5S"))
            .await
            .unwrap();
        assert!(gone.recv().await.is_none());
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "4");
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_own_limit_bounds_callers_that_set_none() {
        let inner =
            tower::service_fn(|_: Request| std::future::pending::<Result<Response, Infallible>>());
        let request = http::Request::new(Body::empty());
        let response = Deadline::new(Duration::from_secs(7))
            .around(inner)
            .oneshot(request)
            .await
            .unwrap();
        assert_eq!(response.headers()["grpc-status"], "4");
    }
}
