//! gRPC messages out of a response body, and the status behind them.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as _;
use tonic::{Code, Status, body::Body};

use crate::{status, transcoder::FRAME_HEAD};

/// What comes next in a response.
#[derive(Debug)]
pub(super) enum Next {
    Message(Bytes),
    /// The end: a status, which may be OK, with the trailers it came in.
    End(Box<(Status, HeaderMap)>),
}

impl Next {
    fn end(status: Status) -> Self {
        Self::End(Box::new((status, HeaderMap::new())))
    }
}

/// A response body, message by message.
pub(super) struct Frames {
    body: Body,
    /// A chunk as it came: most hold whole messages, which are cut out of it.
    chunk: Bytes,
    /// A message that spans chunks.
    partial: BytesMut,
    limit: usize,
    /// The status that came in the headers, where there will be no trailers.
    early: Option<Status>,
    /// Read ahead.
    front: Option<Next>,
}

impl Frames {
    pub(super) fn new(body: Body, limit: usize, early: Option<Status>) -> Self {
        Self {
            body,
            chunk: Bytes::new(),
            partial: BytesMut::new(),
            limit,
            early,
            front: None,
        }
    }

    pub(super) async fn next(&mut self) -> Next {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Puts back what was read.
    pub(super) fn put_back(&mut self, next: Next) {
        self.front = Some(next);
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if let Some(front) = self.front.take() {
            return Poll::Ready(front);
        }
        loop {
            match self.take() {
                Ok(Some(message)) => return Poll::Ready(Next::Message(message)),
                Ok(None) => {}
                Err(broken) => return Poll::Ready(Next::end(broken)),
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(Next::end(self.end())),
                Some(Err(broken)) => return Poll::Ready(Next::end(broken)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.push(data),
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        let status = Status::from_header_map(&trailers);
                        let status = self.whole(status.unwrap_or_else(no_status));
                        return Poll::Ready(Next::End(Box::new((status, trailers))));
                    }
                },
            }
        }
    }

    fn end(&mut self) -> Status {
        let status = self.early.take().unwrap_or_else(no_status);
        self.whole(status)
    }

    /// An OK behind half a message is not OK.
    fn whole(&self, status: Status) -> Status {
        if status.code() == Code::Ok && !(self.chunk.is_empty() && self.partial.is_empty()) {
            return status::internal("the response ended within a message");
        }
        status
    }

    fn push(&mut self, data: Bytes) {
        if self.partial.is_empty() {
            if self.chunk.is_empty() {
                self.chunk = data;
                return;
            }
            self.partial
                .extend_from_slice(&std::mem::take(&mut self.chunk));
        }
        self.partial.extend_from_slice(&data);
    }

    fn take(&mut self) -> Result<Option<Bytes>, Status> {
        let held: &[u8] = if self.partial.is_empty() {
            &self.chunk
        } else {
            &self.partial
        };
        let Some(&[flag, a, b, c, d]) = held.first_chunk::<FRAME_HEAD>() else {
            return Ok(None);
        };
        if flag != 0 {
            return Err(status::internal(
                "the response is compressed, which was not asked for",
            ));
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > self.limit {
            let message = format!("the response is larger than {} bytes", self.limit);
            return Err(status::internal(message));
        }
        if held.len() - FRAME_HEAD < length {
            if !self.partial.is_empty() {
                self.partial
                    .reserve(length + FRAME_HEAD - self.partial.len());
            }
            return Ok(None);
        }
        Ok(Some(if self.partial.is_empty() {
            self.chunk.advance(FRAME_HEAD);
            self.chunk.split_to(length)
        } else {
            self.partial.advance(FRAME_HEAD);
            self.partial.split_to(length).freeze()
        }))
    }
}

fn no_status() -> Status {
    status::internal("the response ended without a status")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::{StreamExt as _, stream};
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    fn frames(chunks: Vec<Vec<u8>>, code: Option<&'static str>) -> Frames {
        let data = stream::iter(chunks).map(|chunk| Ok::<_, Status>(Frame::data(chunk.into())));
        let trailers = code.map(|code| {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", code.parse().unwrap());
            Ok(Frame::trailers(trailers))
        });
        let body = Body::new(StreamBody::new(data.chain(stream::iter(trailers))));
        Frames::new(body, 100, None)
    }

    fn code(next: Next) -> Code {
        match next {
            Next::End(end) => end.0.code(),
            Next::Message(message) => panic!("message {message:?}"),
        }
    }

    fn message(next: Next) -> Bytes {
        match next {
            Next::Message(message) => message,
            Next::End(end) => panic!("{:?}", end.0),
        }
    }

    #[tokio::test]
    async fn messages_are_whole_wherever_the_chunks_are_cut() {
        let wire = [
            &[0, 0, 0, 0, 3, 1, 2, 3][..],
            &[0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 1, 9],
        ]
        .concat();
        for size in 1..=wire.len() {
            let chunks = wire.chunks(size).map(<[u8]>::to_vec).collect();
            let mut frames = frames(chunks, Some("0"));
            assert_eq!(
                message(frames.next().await),
                &[1, 2, 3][..],
                "chunks of {size}"
            );
            assert_eq!(message(frames.next().await), &[][..]);
            assert_eq!(message(frames.next().await), &[9][..]);
            assert_eq!(code(frames.next().await), Code::Ok);
        }
    }

    #[tokio::test]
    async fn broken_responses_are_internal_errors() {
        let cases = [
            (vec![vec![0, 0, 0, 0, 3, 1]], Some("0")),
            (vec![vec![1, 0, 0, 0, 0]], Some("0")),
            (vec![vec![0, 0, 0, 0, 101]], Some("0")),
            (vec![], None),
        ];
        for (chunks, trailer) in cases {
            assert_eq!(code(frames(chunks, trailer).next().await), Code::Internal);
        }
        assert_eq!(code(frames(vec![], Some("5")).next().await), Code::NotFound);
    }
}
