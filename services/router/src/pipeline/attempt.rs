//! One attempt at one model: the provider's stream, and a meter that books what it
//! took however it ends.

mod meter;

use std::{future::poll_fn, sync::Arc};

use futures_util::StreamExt as _;
use tokio::time::Instant;
use tracing::{Instrument as _, Span, field::Empty};

use self::meter::Meter;
use super::{RouteError, Settlement, error::kind};
use crate::{
    Router,
    catalog::Model,
    chat::{ChatEvent, ChatRequest, FinishReason},
    provider::{ChatStream, ProviderError},
};

/// What an answer gained.
#[derive(Debug)]
pub(super) enum Step {
    /// Text, never empty.
    Text(String),
    /// The answer is complete.
    End,
}

/// A model that has begun to answer.
pub(super) struct Attempt {
    // Declared first, so that the provider stops before anything is booked.
    stream: ChatStream,
    first: Option<Step>,
    finish: Option<FinishReason>,
    span: Span,
    meter: Meter,
}

impl Attempt {
    /// Calls the provider and waits for the first text, or the end.
    pub(super) async fn open(
        router: &Arc<Router>,
        model: &Arc<Model>,
        user: &Arc<str>,
        request: ChatRequest,
        prompt_tokens: u32,
        parent: &Span,
    ) -> Result<Self, ProviderError> {
        let span = chat_span(model, parent);
        let opened = Self::call(router, model, user, request, prompt_tokens, &span).await;
        if let Err(error) = &opened {
            router.stats.of(model).failed(Instant::now());
            fail_span(&span, error);
        }
        opened
    }

    async fn call(
        router: &Arc<Router>,
        model: &Arc<Model>,
        user: &Arc<str>,
        request: ChatRequest,
        prompt_tokens: u32,
        span: &Span,
    ) -> Result<Self, ProviderError> {
        let provider = router.provider(model);
        let max_tokens = request.sampling.max_tokens;
        let started = Instant::now();
        let in_flight = router.stats.of(model).enter();
        let stream = provider.chat(request).instrument(span.clone()).await?;
        let mut attempt = Self {
            stream,
            first: None,
            finish: None,
            span: span.clone(),
            meter: Meter::new(
                router,
                model,
                user,
                started,
                in_flight,
                prompt_tokens,
                max_tokens,
            ),
        };
        match attempt.read().await {
            Ok(step) => {
                attempt.first = Some(step);
                Ok(attempt)
            }
            Err(error) => {
                attempt.meter.failed();
                Err(error)
            }
        }
    }

    pub(super) fn model(&self) -> &Arc<Model> {
        self.meter.model()
    }

    /// The next text, or the end.
    pub(super) async fn next(&mut self) -> Result<Step, ProviderError> {
        match self.first.take() {
            Some(step) => Ok(step),
            None => self.read().await,
        }
    }

    /// All the text.
    pub(super) async fn read_all(&mut self) -> Result<String, ProviderError> {
        let mut text = String::new();
        while let Step::Text(piece) = self.next().await? {
            text.push_str(&piece);
        }
        Ok(text)
    }

    /// The attempt is given up for this error; what it generated is booked.
    pub(super) fn fail(mut self, router: &Router, error: &ProviderError) {
        router.stats.of(self.model()).failed(Instant::now());
        fail_span(&self.span, error);
        self.meter.failed();
    }

    /// Books a complete answer, and returns once it is booked.
    pub(super) async fn settle(self) -> Result<Settlement, RouteError> {
        let Self {
            finish,
            span,
            meter,
            stream,
            ..
        } = self;
        drop(stream);
        let Some(finish) = finish else {
            return Err(RouteError::Internal(
                "an answer was settled before its end".to_owned(),
            ));
        };
        let booking = meter.complete().await?;
        span.record("gen_ai.usage.input_tokens", booking.usage.prompt);
        span.record("gen_ai.usage.output_tokens", booking.usage.completion);
        span.record("gen_ai.response.finish_reasons", finish.as_str());
        Ok(Settlement {
            finish,
            usage: booking.usage,
            estimated: booking.estimated,
            cost: booking.cost,
            completion_redactions: Vec::new(),
        })
    }

    async fn read(&mut self) -> Result<Step, ProviderError> {
        loop {
            let (stream, span) = (&mut self.stream, &self.span);
            let event = poll_fn(|context| span.in_scope(|| stream.poll_next_unpin(context))).await;
            match event.transpose()? {
                Some(ChatEvent::Text(text)) if self.finish.is_some() && !text.is_empty() => {
                    return Err(self.broken("text came after the end of the answer"));
                }
                Some(ChatEvent::Text(text)) if text.is_empty() => {}
                Some(ChatEvent::Text(text)) => {
                    self.meter.text(&text);
                    return Ok(Step::Text(text));
                }
                Some(ChatEvent::Usage(usage)) => self.meter.usage(usage),
                Some(ChatEvent::Finish(reason)) => {
                    self.finish = Some(reason);
                    self.meter.finished();
                }
                None if self.finish.is_some() => return Ok(Step::End),
                None => return Err(self.broken("the answer ended before it was complete")),
            }
        }
    }

    fn broken(&self, detail: &str) -> ProviderError {
        ProviderError::Broken {
            provider: self.model().provider.to_string(),
            detail: detail.to_owned(),
        }
    }
}

/// A client span by OpenTelemetry's conventions for generative AI.
fn chat_span(model: &Model, parent: &Span) -> Span {
    tracing::info_span!(
        parent: parent,
        "chat",
        otel.name = format!("chat {}", model.name),
        otel.kind = "client",
        otel.status_code = Empty,
        error.type = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = &*model.provider,
        gen_ai.request.model = &*model.name,
        gen_ai.response.model = &*model.upstream_name,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
    )
}

fn fail_span(span: &Span, error: &ProviderError) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind(error));
}
