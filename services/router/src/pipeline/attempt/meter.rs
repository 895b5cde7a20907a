//! Counts what an attempt takes and books it exactly once: when it is complete, when
//! it has failed, or when it is dropped.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    Router,
    catalog::Model,
    chat::TokenUsage,
    ledger::{Booking, LedgerError},
    stats::InFlight,
    telemetry,
    tokens::TextCount,
};

/// The meter of one attempt that a provider has accepted.
pub(super) struct Meter {
    router: Arc<Router>,
    model: Arc<Model>,
    user: Arc<str>,
    _in_flight: InFlight,
    started: Instant,
    first_token: Option<Instant>,
    /// Estimated tokens of the prompt.
    prompt_tokens: u32,
    max_tokens: Option<u32>,
    text: TextCount,
    reported: Option<TokenUsage>,
    /// Whether text came after `reported`.
    outdated: bool,
    finished: bool,
    booked: bool,
}

impl Meter {
    pub(super) fn new(
        router: &Arc<Router>,
        model: &Arc<Model>,
        user: &Arc<str>,
        started: Instant,
        in_flight: InFlight,
        prompt_tokens: u32,
        max_tokens: Option<u32>,
    ) -> Self {
        Self {
            router: Arc::clone(router),
            model: Arc::clone(model),
            user: Arc::clone(user),
            _in_flight: in_flight,
            started,
            first_token: None,
            prompt_tokens,
            max_tokens,
            text: TextCount::default(),
            reported: None,
            outdated: false,
            finished: false,
            booked: false,
        }
    }

    pub(super) fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Text came.
    pub(super) fn text(&mut self, text: &str) {
        self.text.add(text);
        self.outdated = true;
        if self.first_token.is_none() {
            let now = Instant::now();
            let elapsed = now.saturating_duration_since(self.started);
            self.first_token = Some(now);
            self.router.stats.of(&self.model).first_token(elapsed, now);
            metrics::histogram!(
                telemetry::TIME_TO_FIRST_TOKEN,
                telemetry::LABEL_MODEL => Arc::clone(&self.model.name)
            )
            .record(elapsed.as_secs_f64());
        }
    }

    /// The provider reported its usage so far.
    pub(super) fn usage(&mut self, usage: TokenUsage) {
        self.reported = Some(usage);
        self.outdated = false;
    }

    /// The answer is complete; the last report counts, wherever it stood.
    pub(super) fn finished(&mut self) {
        self.finished = true;
    }

    /// The attempt has failed. What came before is booked; a provider that failed
    /// before it sent anything took nothing.
    pub(super) fn failed(&mut self) {
        if self.first_token.is_none() && self.reported.is_none() {
            self.booked = true;
        }
    }

    /// Books a complete answer; returns once it is booked.
    pub(super) async fn complete(mut self) -> Result<Booking, LedgerError> {
        let now = Instant::now();
        let booking = self.booking();
        let generating = now.saturating_duration_since(self.first_token.unwrap_or(now));
        let stats = self.router.stats.of(&self.model);
        stats.answered(booking.usage.completion, generating, now);
        // A task of its own: a caller that leaves now cannot undo the booking.
        self.booked = true;
        book(&self.router, booking.clone())
            .await
            .unwrap_or(Err(LedgerError::Closed))?;
        Ok(booking)
    }

    fn booking(&self) -> Booking {
        let (usage, estimated) = self.counted();
        let usage = TokenUsage {
            cached_prompt: usage.cached_prompt.min(usage.prompt),
            ..usage
        };
        Booking {
            user: Arc::clone(&self.user),
            model: Arc::clone(&self.model.name),
            provider: Arc::clone(&self.model.provider),
            cost: self.model.price.cost(&usage),
            usage,
            estimated,
        }
    }

    /// The tokens, and whether they were estimated.
    fn counted(&self) -> (TokenUsage, bool) {
        let generated = self.text.generated();
        let generated = self
            .max_tokens
            .map_or(generated, |most| generated.min(most));
        match self.reported {
            Some(usage) if self.finished || !self.outdated => (usage, false),
            Some(usage) => {
                let completion = usage.completion.max(generated);
                (
                    TokenUsage {
                        completion,
                        ..usage
                    },
                    true,
                )
            }
            None => {
                let usage = TokenUsage {
                    prompt: self.prompt_tokens,
                    cached_prompt: 0,
                    completion: generated,
                };
                (usage, true)
            }
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if !self.booked {
            drop(book(&self.router, self.booking()));
        }
    }
}

/// Books in a task that [`Router::close`] waits for.
fn book(
    router: &Arc<Router>,
    booking: Booking,
) -> tokio::task::JoinHandle<Result<(), LedgerError>> {
    let ledger = Arc::clone(&router.ledger);
    router.bookings.spawn(async move {
        count(&booking);
        let booked = ledger.book(booking).await;
        if let Err(error) = &booked {
            tracing::error!(%error, "usage was not booked");
            metrics::counter!(telemetry::LOST_BOOKINGS).increment(1);
        }
        booked
    })
}

fn count(booking: &Booking) {
    let usage = &booking.usage;
    for (kind, tokens) in [
        ("input", usage.prompt - usage.cached_prompt),
        ("cached_input", usage.cached_prompt),
        ("output", usage.completion),
    ] {
        metrics::counter!(
            telemetry::TOKENS,
            telemetry::LABEL_MODEL => Arc::clone(&booking.model),
            telemetry::LABEL_KIND => kind
        )
        .increment(tokens.into());
    }
    metrics::counter!(
        telemetry::COST,
        telemetry::LABEL_MODEL => Arc::clone(&booking.model)
    )
    .increment(u64::try_from(booking.cost.picos()).unwrap_or(0));
}
