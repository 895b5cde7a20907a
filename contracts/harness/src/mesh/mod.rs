//! The mesh promises, proven with a real Envoy on each side of the real service: what
//! `contracts/mesh` configures is what the callers get.

mod circuit_breaking;
mod collector;
mod grpc;
mod identity;
mod jwt;
mod mtls;
mod outlier_detection;
mod program;
mod rate_limit_global;
mod rate_limit_local;
mod redis;
mod report;
mod retries;
mod stage;
mod template;
mod token;
mod tracing;

use std::{path::Path, time::Instant};

use anyhow::ensure;
use clap::{Args, ValueEnum};

use self::{
    report::{Outcome, Report},
    stage::Stage,
};

#[derive(Debug, Args)]
pub(crate) struct Mesh {
    /// Only these promises
    #[arg(long)]
    only: Vec<Promise>,
    /// Take every policy out of the sidecars: each promise must now be seen to be broken
    #[arg(long)]
    without_policies: bool,
}

/// One file here and one or two configurations in `contracts/mesh` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Promise {
    Mtls,
    Jwt,
    Retries,
    OutlierDetection,
    CircuitBreaking,
    RateLimitLocal,
    RateLimitGlobal,
    /// Last: it ends the service, so that the service sends its spans.
    Tracing,
}

impl Promise {
    /// As a user writes it.
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    async fn prove(self, stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
        match self {
            Self::Mtls => mtls::prove(stage, report).await,
            Self::Jwt => jwt::prove(stage, report).await,
            Self::Retries => retries::prove(stage, report).await,
            Self::OutlierDetection => outlier_detection::prove(stage, report).await,
            Self::CircuitBreaking => circuit_breaking::prove(stage, report).await,
            Self::RateLimitLocal => rate_limit_local::prove(stage, report).await,
            Self::RateLimitGlobal => rate_limit_global::prove(stage, report).await,
            Self::Tracing => tracing::prove(stage, report).await,
        }
    }
}

impl Mesh {
    pub(crate) async fn run(self, binaries: &Path, root: &Path) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut stage = Stage::start(binaries, root, self.without_policies).await?;
        println!(
            "Envoy {} twice, ready after {:.1} s",
            stage.client.version().await?,
            begun.elapsed().as_secs_f64()
        );
        let mut outcomes = Vec::new();
        for promise in Promise::value_variants() {
            if !self.only.is_empty() && !self.only.contains(promise) {
                continue;
            }
            let mut report = Report::new(promise.name(), self.without_policies);
            // What a check needs and does not get is a failure of the promise too.
            if let Err(error) = promise.prove(&mut stage, &mut report).await {
                report.failed("its checks", &error);
            }
            outcomes.push(report.end());
        }
        let seconds = begun.elapsed().as_secs_f64();
        if self.without_policies {
            return all_broken(&outcomes, seconds);
        }
        let count = |of: fn(&Outcome) -> u32| outcomes.iter().map(of).sum::<u32>();
        println!(
            "mesh: {} promises, {} checks that something works, {} that something is refused, \
             {} failed, {seconds:.1} s",
            outcomes.len(),
            count(|o| o.positive),
            count(|o| o.negative),
            count(|o| o.failed),
        );
        for outcome in &outcomes {
            ensure!(outcome.failed == 0, "mesh/{} is broken", outcome.promise);
            ensure!(
                outcome.positive > 0 && outcome.negative > 0,
                "mesh/{} shows only one half",
                outcome.promise
            );
        }
        Ok(())
    }
}

/// The checks are worth something if they fail once nothing enforces what they check.
fn all_broken(outcomes: &[Outcome], seconds: f64) -> anyhow::Result<()> {
    for outcome in outcomes {
        let checks = outcome.positive + outcome.negative + outcome.failed;
        println!(
            "mesh/{} without its policy: {} of {checks} checks fail",
            outcome.promise, outcome.failed
        );
    }
    for outcome in outcomes {
        // Else the platform is broken, which says nothing about the checks.
        ensure!(
            outcome.positive + outcome.negative > 0,
            "mesh/{}: nothing at all works",
            outcome.promise
        );
        ensure!(
            outcome.failed > 0,
            "mesh/{} holds without its policy: its checks check nothing",
            outcome.promise
        );
    }
    println!(
        "mesh: all {} promises are broken without their policies, as they must be, {seconds:.1} s",
        outcomes.len()
    );
    Ok(())
}
