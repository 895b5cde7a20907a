//! CheckStream: pieces of a text in, what is safe of it out.
//!
//! One piece is at work at a time and nothing is read before its answer is taken, so
//! HTTP/2's flow control holds back whoever sends faster than the other side reads, and
//! a stream holds no more in memory than a piece and what is held back.

use std::sync::Arc;

use futures_util::{Stream, StreamExt as _, stream};
use signalbox_chassis::ApiError;
use signalbox_proto::guardrails::v1::{CheckStreamRequest, CheckStreamResponse};
use tonic::Status;

use super::{INLINE_BYTES, aborted, convert, on_core, policy, selection};
use crate::{
    engine::{Engine, EngineError},
    handler::Handler,
    policy::{Action, Policy},
    stream::{Piece, StreamCheck},
};

/// Answers the pieces of `texts`, and their end with what was held back and the
/// decision.
pub(super) fn answer(
    handler: Handler,
    texts: impl Stream<Item = Result<CheckStreamRequest, Status>> + Send + 'static,
) -> impl Stream<Item = Result<CheckStreamResponse, Status>> + Send + 'static {
    let call = Call {
        handler,
        texts: Box::pin(texts),
        open: None,
        action: Action::Allow,
    };
    stream::unfold(Some(call), |call| async {
        let mut call = call?;
        match call.next().await {
            Ok((response, true)) => Some((Ok(response), Some(call))),
            Ok((response, false)) => Some((Ok(response), None)),
            Err(status) => Some((Err(status), None)),
        }
    })
}

struct Call<S> {
    handler: Handler,
    texts: std::pin::Pin<Box<S>>,
    /// From the first message on.
    open: Option<(StreamCheck, Policy)>,
    /// The strictest so far.
    action: Action,
}

impl<S: Stream<Item = Result<CheckStreamRequest, Status>>> Call<S> {
    /// The next answer that says something, and whether more may follow.
    async fn next(&mut self) -> Result<(CheckStreamResponse, bool), Status> {
        while let Some(message) = self.texts.next().await {
            let message = message?;
            let (check, policy) = match self.open.take() {
                Some(open) => open,
                None => self.begin(&message)?,
            };
            let (check, piece) = push(&self.handler, check, message.text).await?;
            self.open = Some((check, policy));
            if !piece.text.is_empty() || !piece.findings.is_empty() {
                return Ok((self.respond(piece, policy), true));
            }
        }
        let piece = match self.open.take() {
            Some((check, policy)) => (check.finish().map_err(refusal)?, policy),
            None => (Piece::default(), policy("")?),
        };
        Ok((self.respond(piece.0, piece.1), false))
    }

    fn begin(&self, first: &CheckStreamRequest) -> Result<(StreamCheck, Policy), ApiError> {
        let policy = policy(&first.policy)?;
        let selection = selection(&first.detectors)?;
        let engine: Arc<Engine> = Arc::clone(&self.handler.engine);
        Ok((StreamCheck::new(engine, &selection), policy))
    }

    fn respond(&mut self, piece: Piece, policy: Policy) -> CheckStreamResponse {
        self.action = self.action.max(policy.decide(&piece.findings));
        CheckStreamResponse {
            text: piece.text,
            findings: piece.findings.into_iter().map(convert::finding).collect(),
            action: convert::action(self.action).into(),
        }
    }
}

async fn push(
    handler: &Handler,
    mut check: StreamCheck,
    text: String,
) -> Result<(StreamCheck, Piece), Status> {
    if text.len() <= INLINE_BYTES {
        let piece = check.push(&text).map_err(refusal)?;
        return Ok((check, piece));
    }
    let work = move || check.push(&text).map(|piece| (check, piece));
    let done = on_core(&handler.cores, work).await?.await;
    Ok(done.map_err(aborted)?.map_err(refusal)?)
}

fn refusal(error: EngineError) -> ApiError {
    convert::engine_error(error, "text")
}
