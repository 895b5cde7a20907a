//! gzip, for callers that use it themselves.
//!
//! A caller that compresses what it asks gets its answers compressed. One that only
//! says that it could gets them as they are: every Python client says so, and most
//! would pay for compressed vectors and tokens without having asked.
//!
//! tonic could do this too, but it would have to be told for every service, its
//! refusals carry no details, and it compresses every message, tokens of a few bytes
//! as well.

mod gzip;
mod recode;

use http::{HeaderMap, HeaderValue};
use tonic::{Code, Status, body::Body, metadata::MetadataValue};

use self::{
    gzip::{Deflate, Inflate},
    recode::Recoded,
};
use super::{
    Request, ResponseFuture,
    step::{Next, Step},
};
use crate::{ApiError, error::reason};

const ENCODING: &str = "grpc-encoding";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
const GZIP: &str = "gzip";
const IDENTITY: &str = "identity";
const ACCEPTED: &str = "gzip,identity";

/// The layer. What is behind it never sees a compressed message.
#[derive(Clone)]
pub(super) struct Compression {
    limit: usize,
}

impl Compression {
    /// Messages may hold `limit` bytes once they are decompressed.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit }
    }
}

impl Step for Compression {
    fn call(&self, mut request: Request, next: &mut impl Next) -> ResponseFuture {
        let headers = request.headers_mut();
        let Some(encoding) = headers.remove(ENCODING) else {
            return Box::pin(next.call(request));
        };
        if encoding == IDENTITY {
            return Box::pin(next.call(request));
        }
        if encoding != GZIP {
            let refusal = unknown(&encoding);
            return Box::pin(async move { Ok(refusal.into_http()) });
        }
        let accepted = accepts_gzip(headers);
        let limit = self.limit;
        let answer =
            next.call(request.map(|body| Body::new(Recoded::new(body, Inflate::new(limit)))));
        if !accepted {
            return Box::pin(answer);
        }
        Box::pin(async move {
            let mut response = answer.await?;
            if response.headers().contains_key(Status::GRPC_STATUS) {
                // It is only a status.
                return Ok(response);
            }
            let gzip = HeaderValue::from_static(GZIP);
            response.headers_mut().insert(ENCODING, gzip);
            Ok(response.map(|body| Body::new(Recoded::new(body, Deflate::default()))))
        })
    }
}

/// Whether answers may be compressed. Who compresses and does not say what it reads
/// reads what it writes.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut said = headers.get_all(ACCEPT_ENCODING).iter().peekable();
    said.peek().is_none()
        || said
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|encoding| encoding.trim() == GZIP)
}

/// As the gRPC specification has it: UNIMPLEMENTED, and what is understood.
fn unknown(encoding: &HeaderValue) -> Status {
    let message = format!(
        "{ENCODING}: `{}` is not understood; send gzip or identity",
        encoding.to_str().unwrap_or("that")
    );
    let error = ApiError::new(Code::Unimplemented, reason::UNKNOWN_ENCODING, message);
    let mut status = Status::from(error);
    let accepted = MetadataValue::from_static(ACCEPTED);
    status.metadata_mut().insert(ACCEPT_ENCODING, accepted);
    status
}

#[cfg(test)]
mod tests;
