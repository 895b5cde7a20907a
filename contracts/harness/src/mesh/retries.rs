//! Retries: UNAVAILABLE is asked again, nothing else is, and never without bound.

use std::time::Instant;

use anyhow::ensure;
use tokio::task::JoinSet;
use tonic::Code;

use super::{
    grpc::{answered, channel, chat, refused, stream, words},
    report::Report,
    stage::{Stage, stat},
};

/// `num_retries` of `retries.yaml`, and the call itself.
const TRIES: usize = 4;
/// Calls that fail at the same time.
const CROWD: usize = 20;

const RETRIES: &str = "cluster.retries.upstream_rq_retry";
const OVER_BUDGET: &str = "cluster.retries.upstream_rq_retry_overflow";

pub(super) async fn prove(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let caller = channel(stage.client.listener("retries")?)?;
    report
        .works("two-failures-then-an-answer", async {
            let begun = Instant::now();
            let measured = answered(chat(&caller, "flaky", &[]).await?, begun)?;
            let tries = stage.asked("flaky");
            ensure!(tries == 3, "{tries} tries instead of 3");
            Ok(format!("{measured}, the upstream was asked {tries} times"))
        })
        .await;
    report
        .refused("not-for-ever", async {
            refused(chat(&caller, "broken", &[]).await?, Code::Unavailable)?;
            let tries = stage.asked("broken");
            ensure!(tries == TRIES, "{tries} tries instead of {TRIES}");
            Ok(format!("UNAVAILABLE after {tries} tries"))
        })
        .await;
    report
        .refused("not-the-callers-mistake", async {
            let retries = stat(&stage.client, RETRIES).await?;
            refused(
                chat(&caller, "rejecting", &[]).await?,
                Code::InvalidArgument,
            )?;
            let tries = stage.asked("rejecting");
            ensure!(tries == 1, "{tries} tries instead of 1");
            let retries = stat(&stage.client, RETRIES).await? - retries;
            ensure!(retries == 0, "Envoy retried {retries} times");
            Ok(format!("INVALID_ARGUMENT after {tries} try"))
        })
        .await;
    report
        .refused("not-a-stream-that-has-begun", async {
            let mut stream = stream(&caller, "breaking", 8).await??;
            let status = refused(words(&mut stream).await, Code::Unavailable)?;
            let tries = stage.asked("breaking");
            ensure!(tries == 1, "{tries} tries instead of 1");
            Ok(format!("{:?} after {tries} try", status.code()))
        })
        .await;
    report
        .refused("not-beyond-the-budget", async {
            let before = stat(&stage.client, OVER_BUDGET).await?;
            let mut calls = JoinSet::new();
            for _ in 0..CROWD {
                let caller = caller.clone();
                calls.spawn(async move { chat(&caller, "overloaded", &[]).await });
            }
            while let Some(call) = calls.join_next().await {
                refused(call??, Code::Unavailable)?;
            }
            let tries = stage.asked("overloaded");
            let over = stat(&stage.client, OVER_BUDGET).await? - before;
            let unbounded = CROWD * TRIES;
            ensure!(over > 0, "no retry was over the budget: {tries} tries");
            ensure!(
                tries < unbounded / 2,
                "{tries} tries of at most {unbounded}: no budget to speak of"
            );
            Ok(format!(
                "{CROWD} failing calls at once: the upstream was asked {tries} times, not \
                 {unbounded}; {over} retries refused"
            ))
        })
        .await;
    Ok(())
}
