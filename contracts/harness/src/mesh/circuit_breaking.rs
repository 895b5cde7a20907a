//! Circuit breaking: a call too many is refused at once, and those under way are left
//! alone.

use std::time::{Duration, Instant};

use anyhow::ensure;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Bytes, header};
use serde_json::json;
use tonic::Code;

use super::{
    grpc::{answered, channel, chat, check_text, refused, stream, words},
    report::{Report, ms},
    stage::{Stage, stat},
};
use crate::web;

/// `max_requests` of `circuit-breaking.yaml`.
const MOST_CALLS: usize = 2;
/// Model `slow` says 20 a second: the calls under way stay so while a busy machine looks.
const TOKENS: u32 = 80;
/// At once, on a busy machine: much less than a call of `slow` takes.
const AT_ONCE: Duration = Duration::from_millis(500);
const OVERLOADED: &str = "x-envoy-overloaded";

pub(super) async fn prove(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    grpc(stage, report).await?;
    rest(stage, report).await
}

async fn grpc(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let caller = channel(stage.client.listener("circuit-breaking")?)?;
    let mut held = Vec::new();
    for _ in 0..MOST_CALLS {
        let caller = caller.clone();
        held.push(tokio::spawn(async move {
            let mut stream = stream(&caller, "slow", TOKENS).await??;
            anyhow::Ok(words(&mut stream).await?)
        }));
    }
    let active = "cluster.circuit-breaking-grpc.upstream_rq_active";
    until(async || Ok(stat(&stage.client, active).await? == MOST_CALLS as u64)).await?;
    report
        .refused("a-call-too-many", async {
            let begun = Instant::now();
            let status = refused(chat(&caller, "steady", &[]).await?, Code::Unavailable)?;
            let took = begun.elapsed();
            ensure!(took < AT_ONCE, "it took {}", ms(took));
            let header = status.metadata().get(OVERLOADED);
            ensure!(
                header.is_some_and(|value| value == "true"),
                "no {OVERLOADED}: {:?}",
                status.metadata()
            );
            Ok(format!(
                "UNAVAILABLE with {OVERLOADED} in {}, {MOST_CALLS} calls under way",
                ms(took)
            ))
        })
        .await;
    report
        .works("other-services-meanwhile", async {
            let begun = Instant::now();
            answered(check_text(&caller, &[]).await?, begun)
        })
        .await;
    report
        .works("the-calls-under-way-and-the-next", async {
            for call in held {
                let words = call.await??;
                ensure!(words == TOKENS as usize, "{words} tokens of {TOKENS}");
            }
            let begun = Instant::now();
            let measured = answered(chat(&caller, "steady", &[]).await?, begun)?;
            Ok(format!(
                "{MOST_CALLS} streams of {TOKENS} tokens are whole; the next call: {measured}"
            ))
        })
        .await;
    Ok(())
}

async fn rest(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let address = stage.client.listener("circuit-breaking")?;
    let gauge = |name: &str| {
        let name = format!("cluster.circuit-breaking-rest.{name}");
        async move { stat(&stage.client, &name).await }
    };
    let first = tokio::spawn(post(address.to_owned(), "slow"));
    until(async || Ok(gauge("upstream_rq_active").await? == 1)).await?;
    let second = tokio::spawn(post(address.to_owned(), "steady"));
    until(async || Ok(gauge("upstream_rq_pending_active").await? == 1)).await?;
    report
        .refused("a-waiting-call-too-many-over-rest", async {
            let begun = Instant::now();
            let answer = post(address.to_owned(), "steady").await?;
            let took = begun.elapsed();
            let status = answer.status();
            ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status}");
            ensure!(answer.headers().contains_key(OVERLOADED), "no {OVERLOADED}");
            ensure!(took < AT_ONCE, "it took {}", ms(took));
            Ok(format!(
                "503 with {OVERLOADED} in {}, one call under way and one waiting",
                ms(took)
            ))
        })
        .await;
    report
        .works("the-call-under-way-and-the-waiting-one-over-rest", async {
            let begun = Instant::now();
            for call in [first, second] {
                let status = call.await??.status();
                ensure!(status == StatusCode::OK, "{status}");
            }
            Ok(format!("200 both, {} later", ms(begun.elapsed())))
        })
        .await;
    Ok(())
}

/// Waits until it is so.
async fn until(so: impl AsyncFn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !so().await? {
        ensure!(
            begun.elapsed() < Duration::from_secs(30),
            "the calls do not arrive as they should"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn post(address: String, model: &'static str) -> anyhow::Result<Response<Bytes>> {
    let body = json!({
        "model": model, "max_tokens": TOKENS,
        "messages": [{"role": "user", "content": "hello mesh"}],
    });
    let request = Request::post("/v1/chat/completions")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::from(body.to_string()))?;
    web::send(&address, request).await
}
