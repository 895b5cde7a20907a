//! Tells a caller that its message is not what the method takes.
//!
//! tonic answers bytes that are no such message with INTERNAL and no details, as
//! if the server were at fault. Its decoder offers no hook, so its answer is
//! recognised by the texts that it always begins with.

use tonic::{Code, Status};

use super::{
    Request, Response, ResponseFuture,
    step::{Next, Step},
};
use crate::{ApiError, error::reason};

/// A call that ends before its message is whole ends so too: also one that its caller
/// resets, since hyper reads that as the end of the body.
const TONICS_WORDS: [&str; 3] = [
    "failed to decode Protobuf message",
    "Missing request message.",
    "Unexpected EOF decoding stream.",
];

/// The layer.
#[derive(Clone)]
pub(super) struct Undecodable;

impl Step for Undecodable {
    fn call(&self, request: Request, next: &mut impl Next) -> ResponseFuture {
        let answer = next.call(request);
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
    let tonics_own = status.details().is_empty()
        && TONICS_WORDS
            .iter()
            .any(|words| status.message().starts_with(words));
    if status.code() != Code::Internal || !tonics_own {
        return None;
    }
    let message = format!(
        "the request is not a message of this method: {}",
        status.message()
    );
    Some(ApiError::new(Code::InvalidArgument, reason::UNDECODABLE, message).into())
}
