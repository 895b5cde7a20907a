//! Refuses a message by the length it announces, before it is read, with an error
//! that names the limit. tonic's own check cannot carry details.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use http_body::Frame;
use pin_project_lite::pin_project;
use tonic::{Code, Status, body::Body};
use tower_service::Service;

use super::{Request, Response};
use crate::{ApiError, error::reason};

/// gRPC's length prefix: a compression flag and a big-endian `u32`.
const PREFIX_BYTES: usize = 5;

/// The layer.
#[derive(Clone)]
pub(super) struct MessageLimit<S> {
    inner: S,
    limit: usize,
}

impl<S> MessageLimit<S> {
    /// Messages may hold `limit` bytes.
    pub(super) fn new(inner: S, limit: usize) -> Self {
        Self { inner, limit }
    }
}

impl<S> Service<Request> for MessageLimit<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        let limit = self.limit;
        self.inner.call(request.map(|body| {
            Body::new(Limited {
                body,
                prefixes: Prefixes::new(limit),
            })
        }))
    }
}

pin_project! {
    struct Limited {
        #[pin]
        body: Body,
        prefixes: Prefixes,
    }
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let frame = std::task::ready!(this.body.poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(error) = this.prefixes.read(data)
        {
            return Poll::Ready(Some(Err(error.into())));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// Follows the length prefixes of a byte stream, however it is cut.
struct Prefixes {
    limit: usize,
    prefix: [u8; PREFIX_BYTES],
    have: usize,
    message_left: usize,
}

impl Prefixes {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            prefix: [0; PREFIX_BYTES],
            have: 0,
            message_left: 0,
        }
    }

    fn read(&mut self, mut data: &[u8]) -> Result<(), ApiError> {
        while !data.is_empty() {
            if self.message_left > 0 {
                let skipped = self.message_left.min(data.len());
                self.message_left -= skipped;
                data.advance(skipped);
                continue;
            }
            self.prefix[self.have] = data[0];
            self.have += 1;
            data.advance(1);
            if self.have == PREFIX_BYTES {
                self.have = 0;
                let [_, length @ ..] = self.prefix;
                self.message_left = u32::from_be_bytes(length) as usize;
                if self.message_left > self.limit {
                    return Err(self.too_large());
                }
            }
        }
        Ok(())
    }

    fn too_large(&self) -> ApiError {
        let message = format!(
            "the message holds {} bytes and the server takes {}; send less at once",
            self.message_left, self.limit
        );
        ApiError::new(Code::ResourceExhausted, reason::MESSAGE_TOO_LARGE, message)
            .with_metadata("limit_bytes", &self.limit.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(lengths: &[usize]) -> Vec<u8> {
        lengths
            .iter()
            .flat_map(|&length| {
                let prefix = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
                std::iter::once(0)
                    .chain(prefix)
                    .chain(std::iter::repeat_n(7, length))
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_message_is_refused_exactly_when_it_is_over_the_limit(
            lengths in prop::collection::vec(0_usize..40, 0..6),
            cut in 1_usize..9,
        ) {
            let mut prefixes = Prefixes::new(30);
            let refused = wire(&lengths).chunks(cut).any(|chunk| prefixes.read(chunk).is_err());
            prop_assert_eq!(refused, lengths.iter().any(|&length| length > 30));
        }
    }
}
