//! The way of a request: guard the prompt, choose a model, call its provider, guard
//! the answer, book what it took, reply.
//!
//! An answer that fails before the caller has seen any of it is tried again at the
//! next candidate. What any attempt generated is booked, whether it was delivered,
//! failed midway or was dropped by its caller, and dropping a reply drops the
//! provider's stream with it.

mod attempt;
mod error;
mod outlet;
mod run;

use std::sync::Arc;

use futures_util::stream::BoxStream;
use tokio::time::Instant;
use tracing::Span;

use self::{
    attempt::Step,
    outlet::{Outlet, Passed},
    run::Run,
};
use crate::{
    Router,
    catalog::Model,
    chat::{FinishReason, Message, Sampling, TokenUsage},
    money::UsdPicos,
};

pub(crate) use error::{FailedAttempt, RouteError};

/// A checked request.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    /// A model's or a route's name.
    pub(crate) target: String,
    pub(crate) messages: Vec<Message>,
    pub(crate) sampling: Sampling,
    /// Whom it is booked to.
    pub(crate) user: Arc<str>,
    /// When the caller stops waiting.
    pub(crate) deadline: Option<Instant>,
}

/// Who answers, and how the Router came to it.
#[derive(Clone, Debug)]
pub(crate) struct Answering {
    pub(crate) model: Arc<Model>,
    /// `None` when a model was pinned.
    pub(crate) route: Option<Arc<str>>,
    pub(crate) strategy: &'static str,
    pub(crate) prompt_redactions: Vec<String>,
}

/// How an answer ended and what it took; booked by the time anyone sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settlement {
    pub(crate) finish: FinishReason,
    pub(crate) usage: TokenUsage,
    /// Whether `usage` was estimated because the provider sent none.
    pub(crate) estimated: bool,
    pub(crate) cost: UsdPicos,
    pub(crate) completion_redactions: Vec<String>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) answering: Answering,
    pub(crate) text: String,
    pub(crate) settlement: Settlement,
}

/// A piece of an answer: one `Begin`, any number of `Text`, one `End`.
#[derive(Clone, Debug)]
pub(crate) enum AnswerEvent {
    Begin(Answering),
    Text(String),
    End(Settlement),
}

/// An answer as it may be let through. Dropping it stops the work behind it.
pub(crate) type AnswerStream = BoxStream<'static, Result<AnswerEvent, RouteError>>;

impl Router {
    /// Answers with one message.
    pub(crate) async fn complete(self: &Arc<Self>, prompt: Prompt) -> Result<Answer, RouteError> {
        let deadline = prompt.deadline;
        let mut run = Run::prepare(self, prompt, Span::current()).await?;
        let (attempt, text) = loop {
            let mut attempt = run.open().await?;
            let read = before(deadline, attempt.read_all()).await;
            match run.ended(read)? {
                Ok(text) => break (attempt, text),
                Err(error) => run.failed(attempt, error)?,
            }
        };
        let answering = run.answering(&attempt);
        let mut outlet = Outlet::new(self);
        // Booked whatever the guard says: the provider has been paid for it.
        let (settled, passed) =
            tokio::join!(attempt.settle(), before(deadline, outlet.whole(text)));
        let mut settlement = run.ended(settled)?;
        let passed = run.ended(passed.flatten())?;
        settlement.completion_redactions = passed.kinds;
        run.succeeded(&answering.model);
        Ok(Answer {
            answering,
            text: passed.text,
            settlement,
        })
    }

    /// Answers piece by piece. Returns once the first piece has arrived, so that
    /// whatever fails before is a plain error.
    pub(crate) async fn stream(
        self: &Arc<Self>,
        prompt: Prompt,
    ) -> Result<AnswerStream, RouteError> {
        let deadline = prompt.deadline;
        let mut run = Run::prepare(self, prompt, Span::current()).await?;
        let mut attempt = run.open().await?;
        let mut outlet = Outlet::new(self);
        Ok(Box::pin(async_stream::try_stream! {
            let mut begun = false;
            loop {
                let passed = match run.ended(before(deadline, attempt.next()).await)? {
                    Ok(Step::Text(piece)) => {
                        run.ended(before(deadline, outlet.push(&piece)).await.flatten())?
                    }
                    Ok(Step::End) => break,
                    Err(error) if begun => {
                        Err(run.broke(attempt, error))?;
                        return;
                    }
                    Err(error) => {
                        run.failed(attempt, error)?;
                        attempt = run.open().await?;
                        outlet = Outlet::new(&run.router);
                        Passed::default()
                    }
                };
                if !passed.text.is_empty() {
                    if !begun {
                        begun = true;
                        yield AnswerEvent::Begin(run.answering(&attempt));
                    }
                    yield AnswerEvent::Text(passed.text);
                }
            }
            let rest = run.ended(before(deadline, outlet.finish()).await.flatten())?;
            let answering = run.answering(&attempt);
            if !begun {
                yield AnswerEvent::Begin(answering.clone());
            }
            if !rest.text.is_empty() {
                yield AnswerEvent::Text(rest.text);
            }
            let mut settlement = run.ended(attempt.settle().await)?;
            settlement.completion_redactions = outlet.into_kinds();
            run.succeeded(&answering.model);
            yield AnswerEvent::End(settlement);
        }))
    }
}

/// Waits no longer than the caller does.
async fn before<T>(
    deadline: Option<Instant>,
    future: impl Future<Output = T>,
) -> Result<T, RouteError> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, future)
            .await
            .map_err(|_| RouteError::DeadlineExceeded),
        None => Ok(future.await),
    }
}

#[cfg(test)]
mod tests;
