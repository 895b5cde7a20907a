//! Follows gRPC's messages through a body, and puts others in their place.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body::Frame;
use tonic::{Status, body::Body};

use crate::ApiError;

/// gRPC's length prefix: a flag and a big-endian `u32`.
const PREFIX_BYTES: usize = 5;
/// So much is recoded before other tasks of the thread have their turn.
const TURN_BYTES: usize = 256 << 10;

/// What is done to messages.
pub(super) trait Codec: Unpin + Send + 'static {
    /// A message of this flag and length begins; whether it is to be recoded.
    fn begin(&mut self, flag: u8, length: usize) -> bool;

    /// Takes the next piece of it.
    fn feed(&mut self, piece: &[u8]) -> Result<(), ApiError>;

    /// It is complete; what takes its place.
    fn end(&mut self) -> Result<(u8, Vec<u8>), ApiError>;

    /// The body ended within a message.
    fn cut(&self) -> Result<(), ApiError>;
}

/// A body whose messages go through a codec.
pub(super) struct Recoded<C> {
    body: Body,
    codec: C,
    input: Bytes,
    output: BytesMut,
    prefix: [u8; PREFIX_BYTES],
    have: usize,
    left: usize,
    recoding: bool,
}

impl<C: Codec> Recoded<C> {
    pub(super) fn new(body: Body, codec: C) -> Self {
        Self {
            body,
            codec,
            input: Bytes::new(),
            output: BytesMut::new(),
            prefix: [0; PREFIX_BYTES],
            have: 0,
            left: 0,
            recoding: false,
        }
    }

    /// Works on what has arrived, for one turn at most.
    fn work(&mut self) -> Result<(), ApiError> {
        let mut turn = TURN_BYTES;
        while turn > 0 && !self.input.is_empty() {
            if self.have < PREFIX_BYTES {
                self.prefix[self.have] = self.input.get_u8();
                self.have += 1;
                if self.have == PREFIX_BYTES {
                    self.begin();
                    self.end_if_complete()?;
                }
                continue;
            }
            let piece = self
                .input
                .split_to(self.left.min(self.input.len()).min(turn));
            self.left -= piece.len();
            turn -= piece.len();
            match self.recoding {
                true => self.codec.feed(&piece)?,
                false => self.output.extend_from_slice(&piece),
            }
            self.end_if_complete()?;
        }
        Ok(())
    }

    fn begin(&mut self) {
        let [flag, length @ ..] = self.prefix;
        self.left = u32::from_be_bytes(length) as usize;
        self.recoding = self.codec.begin(flag, self.left);
        if !self.recoding {
            self.output.extend_from_slice(&self.prefix);
        }
    }

    fn end_if_complete(&mut self) -> Result<(), ApiError> {
        if self.left > 0 {
            return Ok(());
        }
        self.have = 0;
        if std::mem::take(&mut self.recoding) {
            let (flag, message) = self.codec.end()?;
            self.output.reserve(PREFIX_BYTES + message.len());
            self.output.put_u8(flag);
            // Both codecs keep below the limit of a message, far below 4 GiB.
            self.output
                .put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
            self.output.extend_from_slice(&message);
        }
        Ok(())
    }
}

impl<C: Codec> http_body::Body for Recoded<C> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Err(error) = self.work() {
                self.input.clear();
                return Poll::Ready(Some(Err(error.into())));
            }
            if !self.output.is_empty() {
                let data = self.output.split().freeze();
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if !self.input.is_empty() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.input = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                None if self.have > 0 => {
                    self.have = 0;
                    return Poll::Ready(self.codec.cut().err().map(|error| Err(error.into())));
                }
                end => return Poll::Ready(end),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.input.is_empty() && self.output.is_empty() && self.body.is_end_stream()
    }
}
