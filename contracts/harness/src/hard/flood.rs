//! Clients that behave badly: what they cost is bounded, and others are served.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::HeaderMap;
use prost::Message as _;
use signalbox_proto::router::v1::ChatCompletionChunk;

use super::{
    Stage, Target,
    messages::{LIST_MODELS, STREAM_CHAT, chat},
    wire::{Call, Connection, framed, soon},
};
use crate::platform::Process;

/// Streams opened and reset at once, as in the rapid-reset attack (CVE-2023-44487).
const RESETS: usize = 20_000;
/// Answers that are cancelled after they began.
const CANCELS: usize = 300;
/// So many of them at a time.
const AT_ONCE: usize = 50;
/// Answers that nobody reads, and how long nobody does.
const UNREAD: usize = 16;
const UNREAD_FOR: Duration = Duration::from_secs(3);
/// So many of them are read on afterwards, so far: past what HTTP/2's window held.
const READ_ON: usize = 2;
const CHUNKS: usize = 1_000;
/// What the server may grow by in all. What it was seen to keep after answers were
/// checked as they streamed is 390 MiB, after 300 of them as after 1,200: no leak.
const MAY_COST: u64 = 768 << 20;
/// What it may grow by while answers wait unread: its upstream offers far more.
const WAITING_MAY_COST: u64 = 16 << 20;

pub(super) async fn run(stage: &mut Stage<'_>, target: &Target) {
    // A server of its own: memory that another case has had would hide what these need.
    let (process, target) = match stage.server(target, &[]) {
        Ok(started) => started,
        Err(error) => return stage.case(target, "floods", async || Err(error)).await,
    };
    let (process, target) = (&process, &target);
    stage
        .case(target, "rapid_reset", async || {
            rapid_reset(target, process).await
        })
        .await;
    stage
        .case(target, "cancel_flood", async || {
            cancels(target, process).await
        })
        .await;
    stage
        .case(target, "slow_reader", async || {
            slow_reader(target, process).await
        })
        .await;
}

async fn served(target: &Target) -> anyhow::Result<()> {
    let connection = Connection::open(target).await?;
    connection
        .unary(LIST_MODELS, &HeaderMap::new(), &[])
        .await?
        .ok()
}

async fn rapid_reset(target: &Target, process: &Process) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    connection
        .unary(LIST_MODELS, &HeaderMap::new(), &[])
        .await?
        .ok()?;
    let before = process.memory()?;
    let flood = async {
        for sent in 0..RESETS {
            match connection.start(STREAM_CHAT, &HeaderMap::new()).await {
                Ok(call) => call.reset(),
                Err(_) => return sent,
            }
        }
        RESETS
    };
    let (sent, peak) = process.peak_while(soon("the flood", flood)).await?;
    let sent = sent?;
    let grown = peak.saturating_sub(before);
    ensure!(grown < MAY_COST, "the server grew by {} MiB", grown >> 20);
    served(target).await.context("another client")?;
    let end = match sent == RESETS {
        true => "all taken".to_owned(),
        false => {
            let end = connection.ended().await?;
            ensure!(
                matches!(end.go_away, None | Some(h2::Reason::ENHANCE_YOUR_CALM)),
                "the connection ended otherwise: {end:?}"
            );
            // Where the connection is closed while the flood is still being written, the
            // GOAWAY before it may be lost.
            match end.go_away {
                Some(reason) => format!("then GOAWAY {reason:?}"),
                None => "then the connection was closed".to_owned(),
            }
        }
    };
    Ok(format!(
        "{sent} streams reset at once, {end}; the server grew by {} MiB, others are served",
        grown >> 20
    ))
}

/// Well-behaved cancelling, in numbers: nothing is left behind, the connection lives.
async fn cancels(target: &Target, process: &Process) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let request = framed(0, &chat("slow", "x"));
    let before = process.memory()?;
    let cancelled = stream::iter(0..CANCELS)
        .map(|_| async {
            let mut call = connection.start(STREAM_CHAT, &HeaderMap::new()).await?;
            call.send(request.clone(), true).await?;
            begun(call).await?.reset();
            anyhow::Ok(())
        })
        .buffer_unordered(AT_ONCE);
    let work = soon("cancelling", cancelled.try_collect::<Vec<()>>());
    let (cancelled, peak) = process.peak_while(work).await?;
    let cancelled = cancelled??.len();
    let grown = peak.saturating_sub(before);
    ensure!(grown < MAY_COST, "the server grew by {} MiB", grown >> 20);
    let end = super::streams::in_flight(&connection, 0).await;
    end.context("the end of cancelled work")?;
    connection
        .unary(LIST_MODELS, &HeaderMap::new(), &[])
        .await?
        .ok()?;
    Ok(format!(
        "{cancelled} answers cancelled after their first text, none left in flight, the server \
         grew by {} MiB",
        grown >> 20
    ))
}

/// Reads until the first text.
async fn begun(mut call: Call) -> anyhow::Result<Call> {
    while let Some((_, message)) = call.next().await? {
        let chunk = ChatCompletionChunk::decode(message)?;
        let mut texts = (chunk.choices.into_iter()).filter_map(|choice| choice.delta?.content);
        if texts.any(|text| !text.is_empty()) {
            return Ok(call);
        }
    }
    anyhow::bail!("no text, but {:?}", call.answer().await?.status)
}

async fn slow_reader(target: &Target, process: &Process) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let request = framed(0, &chat("flood", "x"));
    let before = process.memory()?;
    let mut calls = Vec::new();
    for _ in 0..UNREAD {
        let mut call = connection.start(STREAM_CHAT, &HeaderMap::new()).await?;
        call.send(request.clone(), true).await?;
        calls.push(call);
    }
    let mut waiting = Vec::new();
    for call in calls {
        waiting.push(soon("a first text", begun(call)).await??);
    }
    let all_begun = process.memory()?;
    let ((), peak) = process.peak_while(tokio::time::sleep(UNREAD_FOR)).await?;
    let held = peak.saturating_sub(all_begun);
    ensure!(
        held < WAITING_MAY_COST,
        "the server grew by {} MiB while they waited",
        held >> 20
    );
    let grown = peak.saturating_sub(before);
    ensure!(grown < MAY_COST, "the server grew by {} MiB", grown >> 20);
    // Nothing was lost meanwhile: every stream goes on in order where it stood.
    let mut read = 0;
    for call in waiting.iter_mut().take(READ_ON) {
        for _ in 0..CHUNKS {
            let (_, message) = soon("a text", call.next()).await??.context("it goes on")?;
            ChatCompletionChunk::decode(message)?;
            read += 1;
        }
    }
    served(target).await.context("another client")?;
    Ok(format!(
        "{UNREAD} answers of 100,000 tokens unread for {} s: the server grew by {} MiB to begin \
         them and {} MiB while they waited; then {read} chunks read on",
        UNREAD_FOR.as_secs(),
        grown.saturating_sub(held) >> 20,
        held >> 20
    ))
}
