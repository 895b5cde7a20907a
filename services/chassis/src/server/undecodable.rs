//! Tells a caller that its message is not what the method takes.
//!
//! tonic answers bytes that are no such message with INTERNAL and no details, as
//! if the server were at fault. Its decoder offers no hook, so its answer is
//! recognised by the text that it always begins with.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use tonic::{Code, Status};
use tower_service::Service;

use super::{Request, Response, ResponseFuture};
use crate::{ApiError, error::reason};

const TONICS_WORDS: &str = "failed to decode Protobuf message";

/// The layer.
#[derive(Clone)]
pub(super) struct Undecodable<S> {
    inner: S,
}

impl<S> Undecodable<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S> Service<Request> for Undecodable<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> ResponseFuture {
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(explained(&response).map_or(response, |status| status.into_http()))
        })
    }
}

fn explained(response: &Response) -> Option<Status> {
    let status = Status::from_header_map(response.headers())?;
    // A handler may pass on such words from a service that it called itself: then
    // the caller's message is not at fault, and the handler's details tell.
    let tonics_own = status.details().is_empty() && status.message().starts_with(TONICS_WORDS);
    if status.code() != Code::Internal || !tonics_own {
        return None;
    }
    let message = format!(
        "the request is not a message of this method: {}",
        status.message()
    );
    Some(ApiError::new(Code::InvalidArgument, reason::UNDECODABLE, message).into())
}
