//! A stream of messages as server-sent events or as lines of JSON.
//!
//! The body owns the inner response: when the caller goes away and this is
//! dropped, so is that, and the service sees its stream cancelled.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tonic::{Code, Status};

use super::frames::{Frames, Next};
use crate::{
    render::{ErrorShape, error_json},
    status,
    transcoder::Transcoder,
};

/// How messages are set apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Server-sent events; `done`: the last one is `[DONE]`.
    Events { done: bool },
    /// One JSON object a line.
    Lines,
}

pub(super) struct Events {
    transcoder: Transcoder,
    route: usize,
    rpc: usize,
    format: Format,
    /// Gone once the stream has ended.
    frames: Option<Frames>,
}

/// Messages that are ready together travel together, up to about this many bytes.
const CHUNK: usize = 16 << 10;

impl Events {
    pub(super) fn new(
        transcoder: Transcoder,
        route: usize,
        rpc: usize,
        format: Format,
        frames: Frames,
    ) -> Self {
        Self {
            transcoder,
            route,
            rpc,
            format,
            frames: Some(frames),
        }
    }

    fn message(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
        let inner = &self.transcoder.inner;
        let start = out.len();
        if self.format != Format::Lines {
            out.extend_from_slice(b"data: ");
        }
        let field = inner.routes[self.route].response_body;
        if let Err(corrupt) = inner.response_json(&inner.rpcs[self.rpc], field, message, out) {
            out.truncate(start);
            return Err(status::internal(format!(
                "the response cannot be read: {corrupt}"
            )));
        }
        out.extend_from_slice(self.separator());
        Ok(())
    }

    fn separator(&self) -> &'static [u8] {
        if self.format == Format::Lines {
            b"\n"
        } else {
            b"\n\n"
        }
    }

    fn end(&self, status: &Status, out: &mut Vec<u8>) {
        if status.code() == Code::Ok {
            if self.format == (Format::Events { done: true }) {
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
            return;
        }
        let shape = self.transcoder.inner.rpcs[self.rpc].shape;
        let mut json = error_json(status, shape);
        match (self.format, shape) {
            (Format::Events { .. }, ErrorShape::OpenAi) => out.extend_from_slice(b"data: "),
            (Format::Events { .. }, ErrorShape::GoogleRpc) => {
                out.extend_from_slice(b"event: error\ndata: ");
            }
            (Format::Lines, ErrorShape::OpenAi) => {}
            (Format::Lines, ErrorShape::GoogleRpc) => json = serde_json::json!({"error": json}),
        }
        out.extend_from_slice(json.to_string().as_bytes());
        out.extend_from_slice(self.separator());
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut out = Vec::new();
        while out.len() < CHUNK {
            let Some(frames) = &mut self.frames else {
                break;
            };
            let ended = match frames.poll_next(cx) {
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Next::Message(message)) => self.message(&message, &mut out).err(),
                Poll::Ready(Next::End(end)) => Some(end.0),
            };
            if let Some(status) = ended {
                self.frames = None;
                self.end(&status, &mut out);
            }
        }
        if out.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(out.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_none()
    }
}
