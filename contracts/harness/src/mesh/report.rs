//! One line for each check, and the count of both halves of a promise: that what is
//! allowed works, and that what is not allowed is refused.

use std::{fmt::Display, future::Future, time::Duration};

use anyhow::Context as _;

/// No check takes as long, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The checks of one promise so far.
pub(super) struct Report {
    outcome: Outcome,
    /// How a check that fails is called: with the policies taken out it is not `FAIL`,
    /// which a reader of a log looks for.
    broken: &'static str,
}

/// How many checks passed, by half, and how many failed.
pub(super) struct Outcome {
    pub(super) promise: String,
    pub(super) positive: u32,
    pub(super) negative: u32,
    pub(super) failed: u32,
}

impl Report {
    pub(super) fn new(promise: String, without_policies: bool) -> Self {
        Self {
            outcome: Outcome {
                promise,
                positive: 0,
                negative: 0,
                failed: 0,
            },
            broken: if without_policies { "gone" } else { "FAIL" },
        }
    }

    /// A check that something works; it says what it measured.
    pub(super) async fn works(
        &mut self,
        name: &str,
        check: impl Future<Output = anyhow::Result<String>>,
    ) {
        if self.check(name, '+', check).await {
            self.outcome.positive += 1;
        }
    }

    /// A check that something is refused, or does not happen; it says what it measured.
    pub(super) async fn refused(
        &mut self,
        name: &str,
        check: impl Future<Output = anyhow::Result<String>>,
    ) {
        if self.check(name, '-', check).await {
            self.outcome.negative += 1;
        }
    }

    async fn check(
        &mut self,
        name: &str,
        half: char,
        check: impl Future<Output = anyhow::Result<String>>,
    ) -> bool {
        let outcome = tokio::time::timeout(PATIENCE, check).await;
        match outcome.context("it does not end").flatten() {
            Ok(measured) => {
                println!(
                    "ok   mesh/{}/{half}{name}: {measured}",
                    self.outcome.promise
                );
                true
            }
            Err(error) => {
                self.failed(&format!("{half}{name}"), &error);
                false
            }
        }
    }

    pub(super) fn failed(&mut self, name: &str, error: &anyhow::Error) {
        let (broken, promise) = (self.broken, &self.outcome.promise);
        println!("{broken} mesh/{promise}/{name}: {error:#}");
        self.outcome.failed += 1;
    }

    pub(super) fn end(self) -> Outcome {
        self.outcome
    }
}

/// A duration as the report writes it.
pub(super) fn ms(duration: Duration) -> impl Display {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}
