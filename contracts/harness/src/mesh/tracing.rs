//! Trace propagation: one trace from the caller through both sidecars and the service to
//! what the service calls, each span under the one before.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::{
    collector::Span,
    grpc::{channel, chat},
    report::Report,
    stage::Stage,
};

const CALLER_SPAN: &str = "b7ad6b7169203331";
const SAMPLED: &str = "0af7651916cd43dd8448eb211c80319c";
const UNSAMPLED: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// Who stands between the caller and the service's span, from the service on: each
/// sidecar with a span for the call that it makes and one for the call that it got.
const ABOVE: [&str; 4] = [
    "server-sidecar",
    "server-sidecar",
    "client-sidecar",
    "client-sidecar",
];
const CALL: &str = "signalbox.router.v1.RouterService/CreateChatCompletion";

pub(super) async fn prove(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let caller = channel(stage.client.listener("tracing")?)?;
    for parent in [
        Some(format!("00-{UNSAMPLED}-{CALLER_SPAN}-00")),
        Some(format!("00-{SAMPLED}-{CALLER_SPAN}-01")),
        None,
    ] {
        match &parent {
            Some(parent) => chat(&caller, "traced", &[("traceparent", parent)]).await??,
            None => chat(&caller, "traced", &[]).await??,
        };
    }
    let records = stage.upstream.records();
    let carried = records.iter().filter(|r| r.model == "fault/as=traced");
    let carried: Vec<_> = carried.map(|r| r.traceparent.clone()).collect();
    let [unsampled, sampled, own] = carried.as_slice() else {
        anyhow::bail!("the upstream was called {} times", carried.len());
    };
    let own = part(own.as_deref(), 1)?;
    // It sends what it has.
    stage.service.terminate()?;
    let whole = |spans: &[Span]| {
        let of = |trace: &str| spans.iter().filter(|s| s.trace == trace).cloned().collect();
        let traces: [Vec<Span>; 2] = [of(SAMPLED), of(own)];
        let complete = |trace: &Vec<Span>| chain(trace).is_ok();
        traces.iter().all(complete).then_some(traces)
    };
    let begun = Instant::now();
    let mut spans = stage.collector.spans()?;
    // Envoy and the service send on their own time; what is missing then is a failure
    // of the checks below.
    while whole(&spans).is_none() && begun.elapsed() < Duration::from_secs(8) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        spans = stage.collector.spans()?;
    }
    let of =
        |trace: &str| -> Vec<Span> { spans.iter().filter(|s| s.trace == trace).cloned().collect() };

    report
        .works("the-provider-gets-the-callers-trace", async {
            let trace = part(sampled.as_deref(), 1)?;
            ensure!(trace == SAMPLED, "the provider got trace {trace}");
            let flags = part(sampled.as_deref(), 3)?;
            ensure!(flags == "01", "the provider got flags {flags}");
            Ok(format!("trace {trace}, flags {flags}"))
        })
        .await;
    report
        .works("one-trace-from-caller-to-provider", async {
            let spans = of(SAMPLED);
            let chain = chain(&spans)?;
            let root = chain.last().context("an empty chain")?;
            ensure!(
                root.parent == CALLER_SPAN,
                "the first span's parent is {:?}, not the caller's",
                root.parent
            );
            let parent = part(sampled.as_deref(), 2)?;
            let parent = spans.iter().find(|span| span.id == parent);
            let parent = parent.context("the provider's parent is no span of ours")?;
            ensure!(
                parent.service == "signalbox",
                "the provider's parent is {parent:?}"
            );
            let path: Vec<_> = chain.iter().rev().map(|s| s.service.as_str()).collect();
            Ok(format!(
                "{} spans: caller > {} > provider",
                spans.len(),
                path.join(" > ")
            ))
        })
        .await;
    report
        .works("a-caller-without-a-trace-gets-one", async {
            let spans = of(own);
            let chain = chain(&spans)?;
            let root = chain.last().context("an empty chain")?;
            ensure!(root.parent.is_empty(), "it has a parent: {:?}", root.parent);
            ensure!(own != SAMPLED && own != UNSAMPLED, "another call's trace");
            Ok(format!(
                "{} spans, begun by the {}",
                spans.len(),
                root.service
            ))
        })
        .await;
    report
        .refused("an-unsampled-trace-is-carried-not-recorded", async {
            let trace = part(unsampled.as_deref(), 1)?;
            ensure!(trace == UNSAMPLED, "the provider got trace {trace}");
            let flags = part(unsampled.as_deref(), 3)?;
            ensure!(flags == "00", "the provider got flags {flags}");
            let recorded = of(UNSAMPLED);
            ensure!(recorded.is_empty(), "recorded: {recorded:?}");
            // The later calls' spans are here, so these would be too.
            ensure!(whole(&spans).is_some(), "other spans are missing too");
            Ok("0 spans; the provider got its trace id with flags 00".to_owned())
        })
        .await;
    Ok(())
}

/// The service's span of the call, and what is above it up to the first sidecar's.
fn chain(spans: &[Span]) -> anyhow::Result<Vec<&Span>> {
    let call = spans
        .iter()
        .find(|s| s.service == "signalbox" && s.name == CALL);
    let mut chain = vec![call.context("no span of the service for the call")?];
    for service in ABOVE {
        let below = chain[chain.len() - 1];
        let above = spans.iter().find(|span| span.id == below.parent);
        let above = above
            .with_context(|| format!("the parent of {}'s span was not recorded", below.service))?;
        ensure!(
            above.service == service,
            "above {}'s span is one of {}, not of {service}",
            below.service,
            above.service
        );
        chain.push(above);
    }
    Ok(chain)
}

/// A part of a `traceparent`: 1 the trace, 2 the span, 3 the flags.
fn part(traceparent: Option<&str>, index: usize) -> anyhow::Result<&str> {
    let part = traceparent.and_then(|text| text.split('-').nth(index));
    part.with_context(|| format!("the provider got traceparent {traceparent:?}"))
}
