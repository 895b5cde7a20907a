//! Outlier detection: an endpoint that keeps failing gets no calls for a while, and is
//! then tried again.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tonic::Code;

use super::{
    grpc::{answered, channel, chat, refused},
    report::{Report, ms},
    stage::{Stage, stat},
};

/// `consecutive_5xx` of `outlier-detection.yaml`.
const FAILURES: usize = 3;
/// `base_ejection_time` there.
const EJECTION: Duration = Duration::from_secs(2);

const EJECTED: &str = "cluster.outlier-detection.outlier_detection.ejections_active";
const EJECTIONS: &str = "cluster.outlier-detection.outlier_detection.ejections_enforced_total";

pub(super) async fn prove(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let caller = channel(stage.client.listener("outlier-detection")?)?;
    report
        .refused("the-callers-mistakes-eject-nobody", async {
            let calls = 4 * FAILURES;
            for _ in 0..calls {
                refused(
                    chat(&caller, "rejecting", &[]).await?,
                    Code::InvalidArgument,
                )?;
            }
            let ejections = stat(&stage.client, EJECTIONS).await?;
            ensure!(ejections == 0, "{ejections} ejections");
            Ok(format!(
                "{calls} calls with INVALID_ARGUMENT, {ejections} ejections"
            ))
        })
        .await;
    report
        .refused("a-failing-endpoint-is-ejected", async {
            let mut failures = 0;
            let mut calls = 0;
            while failures < FAILURES {
                ensure!(calls < 20 * FAILURES, "{failures} of {calls} calls failed");
                calls += 1;
                let outcome = chat(&caller, "pair", &[]).await?;
                if outcome.is_err() {
                    refused(outcome, Code::Unavailable)?;
                    failures += 1;
                }
            }
            let ejected = stat(&stage.client, EJECTED).await?;
            ensure!(ejected == 1, "{ejected} endpoints are ejected");
            Ok(format!(
                "1 of 2 endpoints, after {failures} UNAVAILABLE in {calls} calls"
            ))
        })
        .await;
    report
        .works("all-calls-succeed-meanwhile-and-it-returns", async {
            let begun = Instant::now();
            let mut calls = 0;
            while stage.asked_shaky() == FAILURES {
                answered(chat(&caller, "pair", &[]).await?, begun)?;
                calls += 1;
                // A steady trickle of calls, not a wait for something.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let away = begun.elapsed();
            // It was ejected some calls ago, but not many.
            ensure!(away > EJECTION / 2, "it was away for {} only", ms(away));
            let ejected = stat(&stage.client, EJECTED).await?;
            ensure!(ejected == 0, "{ejected} endpoints are still ejected");
            Ok(format!(
                "{calls} of {calls} calls OK; asked again after {}",
                ms(away)
            ))
        })
        .await;
    Ok(())
}
