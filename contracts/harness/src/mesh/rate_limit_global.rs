//! The global rate limit: two Envoys, one count, kept by Envoy's rate limit service in
//! Redis.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tonic::{Code, metadata::MetadataMap, transport::Channel};

use super::{
    grpc::{answered, channel, check_text, refused},
    report::{Report, ms},
    stage::{Stage, stat},
};

/// Of a day, in `rate-limit-global.limits.yaml`.
const LIMIT: usize = 6;
const SUBJECT: &str = "x-signalbox-subject";
const BURST: &str = "x-signalbox-burst";

pub(super) async fn prove(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let envoys = [
        channel(stage.client.listener("rate-limit-global")?)?,
        channel(stage.server.listener("rate-limit-global")?)?,
    ];
    let [one, other] = &envoys;
    let ada = &[(SUBJECT, "ada")];
    report
        .works("the-limit-is-shared-by-two-envoys", async {
            let mut left = String::new();
            for call in 0..LIMIT {
                let envoy = &envoys[call % envoys.len()];
                let answer = check_text(envoy, ada).await?;
                let answer = answer.with_context(|| format!("call {call}"))?;
                left = header(answer.metadata(), "x-ratelimit-remaining")?;
            }
            ensure!(left == "0", "{left} calls are left");
            Ok(format!(
                "{LIMIT} calls, half through each: OK; x-ratelimit-remaining: {left}"
            ))
        })
        .await;
    report
        .refused("the-next-call-through-either", async {
            let status = refused(check_text(one, ada).await?, Code::ResourceExhausted)?;
            refused(check_text(other, ada).await?, Code::ResourceExhausted)?;
            let limit = header(status.metadata(), "x-ratelimit-limit")?;
            Ok(format!(
                "RESOURCE_EXHAUSTED through both, x-ratelimit-limit: {limit}"
            ))
        })
        .await;
    report
        .works("redis-keeps-the-count", async {
            let values = stage.redis.values("signalbox_subject_ada_*").await?;
            let calls = (LIMIT + 2).to_string();
            ensure!(values == [calls], "Redis holds {values:?}");
            Ok(format!("{} calls of ada", values.join(" and ")))
        })
        .await;
    report
        .works("another-subject", async {
            let begun = Instant::now();
            answered(check_text(one, &[(SUBJECT, "brook")]).await?, begun)
        })
        .await;
    report
        .refused("a-burst", async {
            let calls = 12;
            let mut admitted = 0;
            let begun = Instant::now();
            for call in 0..calls {
                let outcome = burst(&envoys[call % envoys.len()]).await?;
                if outcome.is_ok() {
                    admitted += 1;
                } else {
                    refused(outcome, Code::ResourceExhausted)?;
                }
            }
            // Seconds that the calls may have touched, with two calls each.
            let took = begun.elapsed();
            let most = 2 * (took.as_secs() + 2);
            ensure!(
                admitted <= most && admitted < 12,
                "{admitted} calls were let through"
            );
            Ok(format!(
                "{admitted} of {calls} calls in {} were let through",
                ms(took)
            ))
        })
        .await;
    report
        .works("again-in-the-next-window", async {
            let begun = Instant::now();
            while burst(one).await?.is_err() {
                ensure!(begun.elapsed() < Duration::from_secs(10), "it stays closed");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(format!("OK after {}", ms(begun.elapsed())))
        })
        .await;
    stage.rate_limiter.stop();
    report
        .works("without-the-service-calls-are-let-through", async {
            let begun = Instant::now();
            let measured = answered(check_text(one, ada).await?, begun)?;
            let name = "cluster.rate-limit-global.ratelimit.failure_mode_allowed";
            let allowed = stat(&stage.client, name).await?;
            ensure!(allowed > 0, "Envoy did not count it in {name}");
            Ok(format!("{measured}, counted in {name}"))
        })
        .await;
    Ok(())
}

async fn burst(envoy: &Channel) -> anyhow::Result<Result<impl Sized + use<>, tonic::Status>> {
    check_text(envoy, &[(BURST, "any")]).await
}

fn header(metadata: &MetadataMap, name: &str) -> anyhow::Result<String> {
    let value = metadata.get(name).with_context(|| format!("no {name}"))?;
    Ok(value.to_str()?.to_owned())
}
