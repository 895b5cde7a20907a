//! The local rate limit: one Envoy's bucket of tokens.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Bytes};
use tonic::Code;

use super::{
    grpc::{channel, check_text, health, refused},
    report::{Report, ms},
    stage::Stage,
};
use crate::web;

/// `token_bucket` of `rate-limit-local.yaml`.
const BUCKET: f64 = 5.0;
const A_SECOND: f64 = 2.5;
/// Far more than the bucket gets while they are made, on a busy machine too.
const CALLS: u32 = 40;

pub(super) async fn prove(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let address = stage.server.listener("rate-limit-local")?;
    let caller = channel(address)?;
    let mut admitted = 0;
    let begun = Instant::now();
    report
        .refused("an-empty-bucket", async {
            let calls = (0..CALLS).map(|_| check_text(&caller, &[]));
            for outcome in future::try_join_all(calls).await? {
                if outcome.is_ok() {
                    admitted += 1;
                } else {
                    refused(outcome, Code::ResourceExhausted)?;
                }
            }
            let took = begun.elapsed();
            // A fill may have come just then.
            let most = 2.0 * BUCKET + A_SECOND * took.as_secs_f64();
            ensure!(admitted < CALLS, "all {CALLS} calls were let through");
            ensure!(
                f64::from(admitted) <= most,
                "{admitted} calls were let through in {}, at most {most:.1} may be",
                ms(took)
            );
            let refused = CALLS - admitted;
            Ok(format!(
                "{refused} of {CALLS} calls in {}: RESOURCE_EXHAUSTED",
                ms(took)
            ))
        })
        .await;
    report
        .works("as-many-as-the-bucket-holds", async {
            ensure!(
                f64::from(admitted) >= BUCKET,
                "only {admitted} calls were let through"
            );
            Ok(format!("{admitted} of {CALLS} calls: OK"))
        })
        .await;
    report
        .refused("an-empty-bucket-over-rest", async {
            for _ in 0..CALLS {
                let answer = models(address).await?;
                if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                    let header = |name: &str| {
                        let value = answer.headers().get(name).and_then(|v| v.to_str().ok());
                        value.with_context(|| format!("no {name}"))
                    };
                    let limit = header("x-ratelimit-limit")?;
                    let remaining = header("x-ratelimit-remaining")?;
                    return Ok(format!(
                        "429, x-ratelimit-limit: {limit}, remaining: {remaining}"
                    ));
                }
            }
            anyhow::bail!("all {CALLS} calls were let through")
        })
        .await;
    report
        .works("health-is-never-limited", async {
            for _ in 0..CALLS {
                let answer = health(&caller).await;
                ensure!(answer.is_ok(), "{answer:?}");
            }
            Ok(format!(
                "{CALLS} of {CALLS} health checks: OK, the bucket is empty"
            ))
        })
        .await;
    report
        .works("again-once-it-fills", async {
            let begun = Instant::now();
            while models(address).await?.status() != StatusCode::OK {
                ensure!(begun.elapsed() < Duration::from_secs(10), "it stays empty");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(format!("200 after {}", ms(begun.elapsed())))
        })
        .await;
    Ok(())
}

async fn models(address: &str) -> anyhow::Result<Response<Bytes>> {
    let request = Request::get("/v1/models").body(Full::<Bytes>::default())?;
    web::send(address, request).await
}
