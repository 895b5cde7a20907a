//! One request on its way: its redacted prompt, the models that may still answer it,
//! and what failed so far.

use std::{collections::VecDeque, sync::Arc};

use tokio::time::Instant;
use tracing::Span;

use super::{
    Answering, FailedAttempt, Prompt, RouteError,
    attempt::Attempt,
    before,
    error::{another_may_answer, kind},
    outlet::guard_texts,
};
use crate::{
    Router,
    catalog::{Model, Target},
    chat::{ChatRequest, Message, Sampling},
    config::GuardMode,
    provider::ProviderError,
    strategy::{Candidate, PromptFeatures},
    telemetry, tokens,
};

/// The strategy's name where the request names a model.
const PINNED: &str = "pinned";

/// A request on its way.
pub(super) struct Run {
    pub(super) router: Arc<Router>,
    prompt: Prompt,
    parent: Span,
    prompt_tokens: u32,
    prompt_redactions: Vec<String>,
    route: Option<Arc<str>>,
    strategy: &'static str,
    /// Models to try, in order.
    candidates: VecDeque<Arc<Model>>,
    failures: Vec<FailedAttempt>,
    outcome: Outcome,
}

impl Run {
    /// Takes out of the prompt what must not leave, and puts the models in order.
    pub(super) async fn prepare(
        router: &Arc<Router>,
        mut prompt: Prompt,
        parent: Span,
    ) -> Result<Self, RouteError> {
        let mut outcome = Outcome::default();
        // Before the guard: a name that does not exist needs no check.
        let target = outcome.note(router.catalog.resolve(&prompt.target).map_err(Into::into))?;
        let redacted = before(prompt.deadline, redact(router, &mut prompt)).await;
        let prompt_redactions = outcome.note(redacted.flatten())?;
        let prompt_tokens = tokens::of_messages(&prompt.messages);
        let features = PromptFeatures {
            prompt_tokens,
            max_tokens: prompt.sampling.max_tokens,
        };
        let (route, strategy, candidates) = match target {
            Target::Pinned(model) => (None, PINNED, VecDeque::from([Arc::clone(model)])),
            Target::Route(route) => {
                let order = order(router, route, &features);
                (Some(Arc::clone(&route.name)), route.strategy.name(), order)
            }
        };
        outcome.model = candidates.front().map(|model| Arc::clone(&model.name));
        Ok(Self {
            router: Arc::clone(router),
            prompt,
            parent,
            prompt_tokens,
            prompt_redactions,
            route,
            strategy,
            candidates,
            failures: Vec::new(),
            outcome,
        })
    }

    /// The next candidate that begins to answer.
    pub(super) async fn open(&mut self) -> Result<Attempt, RouteError> {
        while let Some(model) = self.candidates.pop_front() {
            self.outcome.model = Some(Arc::clone(&model.name));
            let request = ChatRequest {
                model: Arc::clone(&model.upstream_name),
                messages: self.prompt.messages.clone(),
                sampling: self.prompt.sampling.clone(),
            };
            let attempt = Attempt::open(
                &self.router,
                &model,
                &self.prompt.user,
                request,
                self.prompt_tokens,
                &self.parent,
            );
            let opened = before(self.prompt.deadline, attempt).await;
            match self.ended(opened)? {
                Ok(attempt) => return Ok(attempt),
                Err(error) => self.next_after(&model, error)?,
            }
        }
        let error = RouteError::Internal("a route without models".to_owned());
        self.ended(Err(error))
    }

    /// The attempt failed before the caller saw any of it: an error if no other model
    /// may take over.
    pub(super) fn failed(
        &mut self,
        attempt: Attempt,
        error: ProviderError,
    ) -> Result<(), RouteError> {
        let model = Arc::clone(attempt.model());
        attempt.fail(&self.router, &error);
        self.next_after(&model, error)
    }

    /// The attempt failed after the caller saw some of it.
    pub(super) fn broke(&mut self, attempt: Attempt, error: ProviderError) -> RouteError {
        let model = Arc::clone(attempt.model());
        attempt.fail(&self.router, &error);
        self.candidates.clear();
        match self.next_after(&model, error) {
            Err(error) => error,
            Ok(()) => RouteError::Internal("a broken answer was passed over".to_owned()),
        }
    }

    /// How the Router came to this attempt.
    pub(super) fn answering(&self, attempt: &Attempt) -> Answering {
        Answering {
            model: Arc::clone(attempt.model()),
            route: self.route.clone(),
            strategy: self.strategy,
            prompt_redactions: self.prompt_redactions.clone(),
        }
    }

    /// Notes how the request ended, if it ended here.
    pub(super) fn ended<T>(&mut self, result: Result<T, RouteError>) -> Result<T, RouteError> {
        self.outcome.note(result)
    }

    /// The answer is complete and booked.
    pub(super) fn succeeded(&mut self, model: &Model) {
        self.outcome.model = Some(Arc::clone(&model.name));
        self.outcome.name = "ok";
    }

    fn next_after(&mut self, model: &Model, error: ProviderError) -> Result<(), RouteError> {
        let kind = kind(&error);
        tracing::warn!(parent: &self.parent, model = &*model.name, %error, "an attempt failed");
        metrics::counter!(
            telemetry::FAILED_ATTEMPTS,
            telemetry::LABEL_MODEL => Arc::clone(&model.name),
            telemetry::LABEL_OUTCOME => kind
        )
        .increment(1);
        let goes_on = another_may_answer(&error) && !self.candidates.is_empty();
        let failure = FailedAttempt {
            model: Arc::clone(&model.name),
            provider: Arc::clone(&model.provider),
            error,
        };
        if goes_on {
            self.failures.push(failure);
            return Ok(());
        }
        let error = RouteError::Attempts {
            last: Box::new(failure),
            earlier: std::mem::take(&mut self.failures),
        };
        self.ended(Err(error))
    }
}

/// A route's models in the order in which to try them.
fn order(
    router: &Router,
    route: &crate::catalog::Route,
    features: &PromptFeatures,
) -> VecDeque<Arc<Model>> {
    let now = Instant::now();
    let candidates: Vec<_> = route
        .models
        .iter()
        .map(|model| Candidate {
            model: Arc::clone(model),
            stats: router.stats.of(model).snapshot(now),
        })
        .collect();
    let decision =
        router.with_random(|random| route.strategy.choose(features, &candidates, random));
    tracing::debug!(
        route = &*route.name,
        strategy = route.strategy.name(),
        scores = ?decision.scores,
        propensities = ?decision.propensities,
        chosen = decision.index,
        "chose a model",
    );
    let order = decision.order().into_iter();
    order
        .map(|index| Arc::clone(&candidates[index].model))
        .collect()
}

/// Redacts everything of a prompt that reaches a provider, in one call; returns the
/// kinds of what was found.
async fn redact(router: &Router, prompt: &mut Prompt) -> Result<Vec<String>, RouteError> {
    if router.policy.prompt == GuardMode::Off {
        return Ok(Vec::new());
    }
    let texts = texts(&prompt.messages, &prompt.sampling);
    let redacted = guard_texts(&*router.guard, &router.policy, telemetry::PROMPT, texts).await?;
    let mut kinds = Vec::new();
    let mut redacted = redacted
        .into_iter()
        .inspect(|one| kinds.extend_from_slice(&one.kinds));
    for message in &mut prompt.messages {
        if let Some(one) = redacted.next() {
            message.content = one.text;
        }
    }
    for message in &mut prompt.messages {
        if message.name.is_some() {
            // A label is no name that a provider accepts: a name with a finding goes.
            message.name = redacted
                .next()
                .filter(|one| one.kinds.is_empty())
                .map(|one| one.text);
        }
    }
    for stop in &mut prompt.sampling.stop {
        if let Some(one) = redacted.next() {
            *stop = one.text;
        }
    }
    drop(redacted);
    Ok(kinds)
}

/// The texts of a prompt: contents, then names, then stop strings.
fn texts(messages: &[Message], sampling: &Sampling) -> Vec<String> {
    let contents = messages.iter().map(|message| message.content.clone());
    let names = messages.iter().filter_map(|message| message.name.clone());
    contents
        .chain(names)
        .chain(sampling.stop.iter().cloned())
        .collect()
}

/// Counts the request once, however it ends; one that just goes away was cancelled.
struct Outcome {
    name: &'static str,
    model: Option<Arc<str>>,
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            name: "cancelled",
            model: None,
        }
    }
}

impl Outcome {
    fn note<T>(&mut self, result: Result<T, RouteError>) -> Result<T, RouteError> {
        if let Err(error) = &result {
            self.name = error.outcome();
        }
        result
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        metrics::counter!(
            telemetry::REQUESTS,
            telemetry::LABEL_MODEL => self.model.take().unwrap_or_else(|| "none".into()),
            telemetry::LABEL_OUTCOME => self.name
        )
        .increment(1);
    }
}
