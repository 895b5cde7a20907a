//! CheckStream: pieces of a text in, what is safe of it out.
//!
//! One piece is at work at a time and nothing is read before its answer is taken, so
//! HTTP/2's flow control holds back whoever sends faster than the other side reads, and
//! a stream holds no more in memory than a piece and what is held back.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt as _, stream};
use signalbox_chassis::ApiError;
use signalbox_proto::guardrails::v1::{self as proto, CheckStreamRequest, CheckStreamResponse};
use tonic::Status;

use super::{Handler, INLINE_BYTES, aborted, convert, on_core, policies, policies::Asked};
use crate::{
    audit::Asker,
    engine::{Engine, EngineError},
    finding::Finding,
    policy::{Action, Decision, Plan},
    protect::{ProtectError, StreamWriter},
    stream::{Piece, StreamCheck},
};

/// Answers the pieces of `texts`, and their end with what was held back and the
/// decision.
pub(super) fn answer(
    handler: Handler,
    asker: Asker,
    texts: impl Stream<Item = Result<CheckStreamRequest, Status>> + Send + 'static,
) -> impl Stream<Item = Result<CheckStreamResponse, Status>> + Send + 'static {
    let call = Call {
        handler,
        asker,
        texts: Box::pin(texts),
        open: None,
        said: Said::default(),
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
    asker: Asker,
    texts: Pin<Box<S>>,
    /// From the first message on.
    open: Option<Open>,
    said: Said,
}

/// A stream whose first message has arrived.
struct Open {
    check: StreamCheck,
    plan: Arc<Plan>,
    writer: StreamWriter,
}

/// What the answers so far said.
#[derive(Default)]
struct Said {
    findings: usize,
    /// The strictest action and why.
    decided: Option<(Action, proto::Decision)>,
}

impl<S: Stream<Item = Result<CheckStreamRequest, Status>>> Call<S> {
    /// The next answer that says something, and whether more may follow.
    async fn next(&mut self) -> Result<(CheckStreamResponse, bool), Status> {
        while let Some(message) = self.texts.next().await {
            let mut message = message?;
            let text = std::mem::take(&mut message.text);
            let open = match self.open.take() {
                Some(open) => open,
                None => self.begin(message)?,
            };
            let (open, piece) = push(&self.handler, open, text).await?;
            let says = !piece.text.is_empty() || !piece.findings.is_empty();
            if says {
                let (response, goes_on) = self.respond(&open.plan, piece);
                self.open = Some(open);
                return Ok((response, goes_on));
            }
            self.open = Some(open);
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => self.begin(CheckStreamRequest::default())?,
        };
        let Open {
            check,
            plan,
            mut writer,
        } = open;
        let piece = check.finish_with(&mut |finding, value| writer.write(finding, value));
        let piece = written(piece, &mut writer)?;
        if self.said.findings == 0 && piece.findings.is_empty() {
            self.audit(&plan, &[], &Decision::new(&plan, &[]), "");
        }
        Ok((self.respond(&plan, piece).0, false))
    }

    fn begin(&self, first: CheckStreamRequest) -> Result<Open, ApiError> {
        let asked = Asked {
            policy: first.policy,
            direction: first.direction,
            detectors: first.detectors,
            custom: first.custom,
            operators: first.operators,
        };
        let engine: Arc<Engine> = Arc::clone(&self.handler.engine);
        let control = engine.control();
        let plan = Arc::new(asked.plan(control.policies())?);
        let keys = self.asker.keys.clone();
        Ok(Open {
            writer: StreamWriter::new(Arc::clone(&plan), keys, control.year()),
            check: StreamCheck::new(Arc::clone(&engine), plan.selection()),
            plan,
        })
    }

    /// The answer, and whether the policy lets the stream go on after it.
    fn respond(&mut self, plan: &Plan, mut piece: Piece) -> (CheckStreamResponse, bool) {
        let mut decision = Decision::new(plan, &piece.findings);
        let blocked = decision.each.iter().position(|it| *it == Action::Block);
        if let Some(at) = blocked {
            piece.text.truncate(piece.places[at]);
            piece.findings.truncate(at + 1);
            piece.values.truncate(at + 1);
            decision = Decision::new(plan, &piece.findings);
        }
        if !piece.findings.is_empty() {
            self.audit(plan, &piece.findings, &decision, &piece.values.concat());
            let before = self.said.decided.as_ref().map(|(action, _)| *action);
            if before.is_none_or(|action| action < decision.action) {
                let mut why = convert::decision(plan, &decision);
                let first = u32::try_from(self.said.findings).unwrap_or(u32::MAX);
                why.finding = why.finding.saturating_add(first);
                self.said.decided = Some((decision.action, why));
            }
            self.said.findings += piece.findings.len();
        }
        let operator = |at: usize, finding: &Finding| {
            let replaced = decision.replaces(at);
            let name = replaced.then(|| plan.operator(finding).operator.name);
            name.unwrap_or_default().to_owned()
        };
        let (action, why) = match &self.said.decided {
            Some((action, why)) => (*action, Some(why.clone())),
            None => (Action::Allow, None),
        };
        let response = CheckStreamResponse {
            findings: convert::findings_of(&piece.findings, &decision, operator),
            text: piece.text,
            action: convert::action(action).into(),
            decision: why,
        };
        (response, blocked.is_none())
    }

    /// Tells of a decision. The values stand for the text: the rest of it is gone.
    fn audit(&self, plan: &Plan, findings: &[Finding], decision: &Decision, values: &str) {
        let mut from = 0;
        let findings: Vec<Finding> = findings
            .iter()
            .map(|finding| {
                let start_byte = from;
                from += finding.end_byte - finding.start_byte;
                Finding {
                    start_byte,
                    end_byte: from,
                    ..finding.clone()
                }
            })
            .collect();
        let audit = self.handler.engine.control().audit();
        audit.decided(&self.asker, "stream", plan, values, &findings, decision);
    }
}

async fn push(handler: &Handler, mut open: Open, text: String) -> Result<(Open, Piece), Status> {
    let is_short = text.len() <= INLINE_BYTES;
    let work = move || {
        let writer = &mut open.writer;
        let piece = open
            .check
            .push_with(&text, &mut |finding, value| writer.write(finding, value));
        (open, piece)
    };
    let (mut open, piece) = if is_short {
        work()
    } else {
        on_core(&handler.cores, work)
            .await?
            .await
            .map_err(aborted)?
    };
    let piece = written(piece, &mut open.writer)?;
    Ok((open, piece))
}

/// The piece, unless the engine or an operator refused it.
fn written(
    piece: Result<Piece, EngineError>,
    writer: &mut StreamWriter,
) -> Result<Piece, ApiError> {
    let piece = piece.map_err(|error| convert::engine_error(error, "text"))?;
    match writer.refused() {
        Some(error) => Err(policies::protect_error(ProtectError::Operator(error))),
        None => Ok(piece),
    }
}
