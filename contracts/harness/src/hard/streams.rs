//! Ten thousand calls open at once on one connection.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::HeaderMap;
use prost::Message as _;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
};
use tonic_types::StatusExt as _;

use super::{
    Stage, Target,
    messages::{LIST_MODELS, REFLECTION, ask, hear},
    wire::{Call, Connection, soon},
};
use crate::platform::Process;

const STREAMS: usize = 10_000;
const ROOM: &[&str] = &[
    "server.limits.max_streams_per_connection=10000",
    "server.limits.max_concurrent_requests=10000",
];
/// What one idle stream may cost the server, in bytes; what has been seen is a third.
const STREAM_MAY_COST: u64 = 64 << 10;
/// Calls that are begun before the first of them is answered.
const AT_ONCE: usize = 200;
/// `server.limits.max_streams_per_connection` as it is by default.
const DEFAULT_STREAMS: usize = 1_024;
const WATCH: &str = "/grpc.health.v1.Health/Watch";

pub(super) async fn run(stage: &mut Stage<'_>, target: &Target) {
    let started = stage.server(target, ROOM);
    stage
        .case(target, "streams_10000", async || {
            let (process, target) = started?;
            let connection = Connection::open(&target).await?;
            // Pages come by another: all streams of this one are taken.
            let other = Connection::open(&target).await?;
            let questions = questions(&connection, &other, &process).await?;
            let watches = watches(&connection, &process).await?;
            Ok(format!("{questions}; {watches}"))
        })
        .await;
    let own = stage.server(target, &[]);
    stage
        .case(target, "streams_beyond_the_limit", async || {
            beyond(own?).await
        })
        .await;
    stage
        .case(target, "requests_beyond_the_limit", async || {
            overload(target).await
        })
        .await;
}

/// Opens the streams and does this on each before the next step begins on any.
async fn all<F>(calls: Vec<Call>, step: impl Fn(Call) -> F) -> anyhow::Result<Vec<Call>>
where
    F: Future<Output = anyhow::Result<Call>>,
{
    let stepped = stream::iter(calls).map(step).buffer_unordered(AT_ONCE);
    soon("a step of all streams", stepped.try_collect()).await?
}

async fn open(connection: &Connection, path: &str) -> anyhow::Result<Vec<Call>> {
    let opened = stream::iter(0..STREAMS)
        .map(|_| async move { connection.start(path, &HeaderMap::new()).await })
        .buffer_unordered(AT_ONCE);
    soon("opening the streams", opened.try_collect()).await?
}

/// Streams both ways, each asked twice: once while the others open, once when all are.
async fn questions(
    connection: &Connection,
    other: &Connection,
    process: &Process,
) -> anyhow::Result<String> {
    // One before, so that what is set up once is not counted.
    let mut first = connection.start(REFLECTION, &HeaderMap::new()).await?;
    ask(&mut first).await?;
    hear(&mut first).await?;
    first.finish()?;
    first.answer().await?.ok()?;

    let before = process.memory()?;
    let calls = open(connection, REFLECTION).await?;
    let turn = async |mut call: Call| {
        ask(&mut call).await?;
        hear(&mut call).await?;
        Ok(call)
    };
    let calls = all(calls, turn).await?;
    in_flight(other, STREAMS).await?;
    let held = process.memory()?.saturating_sub(before);
    ensure!(
        held < STREAM_MAY_COST * STREAMS as u64,
        "the server holds {} bytes for each stream",
        held / STREAMS as u64
    );
    let calls = all(calls, turn).await?;
    let ended: Vec<()> = stream::iter(calls)
        .map(async |mut call| {
            call.finish()?;
            call.answer().await?.ok()
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    in_flight(other, 0).await?;
    Ok(format!(
        "{} bidirectional streams at once, {} answers, all OK, {} KiB of the server for each (RSS \
         {} MiB before, {} MiB with all open)",
        ended.len(),
        2 * STREAMS,
        (held / STREAMS as u64) >> 10,
        before >> 20,
        (before + held) >> 20
    ))
}

/// Streams that wait for the server, which a drain ends.
async fn watches(connection: &Connection, process: &Process) -> anyhow::Result<String> {
    let calls = open(connection, WATCH).await?;
    let asked = HealthCheckRequest::default().encode_to_vec();
    let calls = all(calls, async |mut call: Call| {
        call.message(&asked).await?;
        call.finish()?;
        let (_, message) = call.next().await?.context("the watch begins")?;
        let status = HealthCheckResponse::decode(message)?.status();
        ensure!(status == ServingStatus::Serving, "{status:?}");
        Ok(call)
    })
    .await?;
    process.terminate()?;
    let ended = stream::iter(calls)
        .map(async |call| {
            let answer = call.answer().await?;
            answer.ok()?;
            let (_, last) = answer
                .messages
                .last()
                .cloned()
                .context("NOT_SERVING first")?;
            let status = HealthCheckResponse::decode(last)?.status();
            ensure!(status == ServingStatus::NotServing, "{status:?}");
            Ok(())
        })
        .buffer_unordered(STREAMS);
    let ended: Vec<()> = soon("the end of all watches", ended.try_collect()).await??;
    let end = connection.ended().await?;
    ensure!(end.said.is_empty(), "the connection broke: {}", end.said);
    Ok(format!(
        "{} watches told NOT_SERVING and ended by a drain",
        ended.len()
    ))
}

/// Waits until the server counts so many calls in flight. It counts a call until it has
/// let go of it, which is a moment after the caller has read its end.
pub(super) async fn in_flight(connection: &Connection, calls: usize) -> anyhow::Result<()> {
    let counted = async {
        loop {
            // The page itself is no RPC.
            let active = active(connection).await?;
            if active == calls {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(&format!("a count of {calls} calls in flight"), counted).await?
}

/// Calls in flight, by the server's own metrics.
async fn active(connection: &Connection) -> anyhow::Result<usize> {
    let page = connection.page("/metrics").await?;
    let lines = (page.lines()).filter(|line| line.starts_with("signalbox_rpc_active"));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(values.sum::<f64>() as usize)
}

/// A client keeps to what the server allows; what is over waits with it.
async fn beyond((_process, target): (Process, Target)) -> anyhow::Result<String> {
    let connection = Connection::open(&target).await?;
    let other = Connection::open(&target).await?;
    other
        .unary(LIST_MODELS, &HeaderMap::new(), &[])
        .await?
        .ok()?;
    let watch = async || {
        let mut call = connection.start(WATCH, &HeaderMap::new()).await?;
        call.message(&[]).await?;
        call.finish()?;
        anyhow::Ok(call)
    };
    let mut calls = Vec::new();
    for _ in 0..DEFAULT_STREAMS {
        let mut call = watch().await?;
        call.next().await?.context("the watch begins")?;
        calls.push(call);
    }
    let allowed = connection.allowed();
    ensure!(
        allowed == DEFAULT_STREAMS,
        "the server allows {allowed} streams"
    );
    let next = async {
        let mut call = watch().await?;
        call.next().await?.context("the watch begins")?;
        anyhow::Ok(call)
    };
    tokio::pin!(next);
    // Time enough for an answer, were one to come.
    let early = tokio::time::timeout(Duration::from_millis(200), &mut next).await;
    ensure!(early.is_err(), "one more was answered");
    in_flight(&other, DEFAULT_STREAMS).await?;
    calls.pop().context("one is open")?.reset();
    soon("the place of the one that ended", next).await??;
    Ok(format!("{allowed} calls, the next waits until one ends"))
}

/// More calls than the server answers at once are refused, not queued.
async fn overload(target: &Target) -> anyhow::Result<String> {
    const CALLS: usize = 600;
    const ROOM: usize = 512;
    let connection = Connection::open(target).await?;
    connection
        .unary(LIST_MODELS, &HeaderMap::new(), &[])
        .await?
        .ok()?;
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..CALLS {
        let mut call = connection.start(REFLECTION, &HeaderMap::new()).await?;
        ask(&mut call).await?;
        match hear(&mut call).await {
            Ok(_) => open.push(call),
            Err(_) => {
                let answer = call.answer().await?;
                answer.code(Code::ResourceExhausted)?;
                let details = answer.status.get_error_details();
                let reason = details.error_info().map(|info| info.reason.as_str());
                ensure!(reason == Some("OVERLOADED"), "{reason:?}");
                ensure!(details.retry_info().is_some(), "no RetryInfo");
                refused += 1;
            }
        }
    }
    ensure!(
        open.len() == ROOM && refused == CALLS - ROOM,
        "{} open",
        open.len()
    );
    for mut call in open {
        call.finish()?;
        call.answer().await?.ok()?;
    }
    connection
        .unary(LIST_MODELS, &HeaderMap::new(), &[])
        .await?
        .ok()?;
    Ok(format!(
        "{ROOM} open, {refused} refused with OVERLOADED and RetryInfo, then room again"
    ))
}
