//! A server that is told to end while it is being called: what it has begun it answers,
//! and clients learn in time to go elsewhere.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{HeaderMap, Uri};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use signalbox_proto::router::v1::{
    ChatCompletionChunk, ChatMessage, CreateChatCompletionRequest,
    router_service_client::RouterServiceClient,
};
use tokio::{net::TcpStream, sync::watch, task::JoinSet};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use super::{
    Stage, Target,
    messages::STREAM_CHAT,
    wire::{Connection, framed, soon},
};
use crate::platform::Process;

/// Callers of unary and of streaming calls, each calling again and again.
const UNARY_CALLERS: usize = 24;
const STREAM_CALLERS: usize = 24;
/// Each caller has one of so many channels.
const CHANNELS: usize = 4;
const LOAD_BEFORE: Duration = Duration::from_millis(700);
const LOAD_AFTER: Duration = Duration::from_millis(700);
/// Tokens of a stream at 20 a second: some are always under way when the end comes.
const TOKENS: u32 = 10;
/// As an orchestrator has it: new callers go elsewhere before the port closes.
const DELAY: &str = "server.drain_delay_ms=200";

pub(super) async fn run(stage: &mut Stage<'_>, target: &Target) {
    let alone = stage.server(target, &[]);
    stage
        .case(target, "goaway", async || goaway(alone?).await)
        .await;
    let pair = (
        stage.server(target, &[DELAY]),
        stage.server(target, &[DELAY]),
    );
    stage
        .case(target, "drain_under_load", async || {
            under_load(pair.0?, pair.1?).await
        })
        .await;
}

fn question(model: &str, text: &str, tokens: u32) -> CreateChatCompletionRequest {
    CreateChatCompletionRequest {
        model: model.to_owned(),
        messages: vec![ChatMessage {
            role: "user".to_owned(),
            content: text.to_owned(),
            ..ChatMessage::default()
        }],
        max_tokens: Some(tokens),
        ..CreateChatCompletionRequest::default()
    }
}

/// One connection, one stream under way: GOAWAY comes, the stream is answered to its
/// end, then the process ends by itself.
async fn goaway((mut process, target): (Process, Target)) -> anyhow::Result<String> {
    let connection = Connection::open(&target).await?;
    let mut call = connection.start(STREAM_CHAT, &HeaderMap::new()).await?;
    let request = question("slow", "x", 4 * TOKENS).encode_to_vec();
    call.send(framed(0, &request), true).await?;
    let (_, first) = call.next().await?.context("the answer begins")?;
    let begun = Instant::now();
    process.terminate()?;
    let told = connection.told_to_go().await?;
    let told_after = begun.elapsed();
    let answer = soon("the rest", call.answer()).await??;
    answer.ok()?;
    let after = begun.elapsed();
    // 40 tokens take two seconds, and the server was told at the first.
    ensure!(after > Duration::from_millis(500), "ended after {after:?}");
    let mut words = said(first)?;
    for (_, message) in answer.messages {
        words += said(message)?;
    }
    ensure!(
        words == 4 * TOKENS as usize,
        "{words} tokens of {}",
        2 * TOKENS
    );
    let end = connection.ended().await?;
    ensure!(end.said.is_empty(), "the connection broke: {}", end.said);
    let status = soon("the process's end", process.ended()).await??;
    ensure!(status.success(), "{status}");
    Ok(format!(
        "GOAWAY {told:?} {} ms after SIGTERM, all {words} tokens of the open stream and OK, exit 0 \
         after {} ms",
        told_after.as_millis(),
        begun.elapsed().as_millis()
    ))
}

/// What callers did.
#[derive(Default)]
struct Counts {
    unary: AtomicU64,
    streams: AtomicU64,
    dialled: [AtomicU64; 2],
    /// Calls that a closed connection gave back unsent, and that were made anew, as
    /// gRPC's transparent retries are.
    unsent: AtomicU64,
}

async fn under_load(
    (mut first, first_target): (Process, Target),
    (_second, second_target): (Process, Target),
) -> anyhow::Result<String> {
    let counts = Arc::new(Counts::default());
    // What a name service would say.
    let (say, place) = watch::channel(0_usize);
    let targets = [first_target.clone(), second_target];
    let channels: Vec<Channel> = (0..CHANNELS)
        .map(|_| reconnecting(targets.clone(), place.clone(), Arc::clone(&counts)))
        .collect();
    let (stop, stopped) = watch::channel(false);
    let mut callers = JoinSet::new();
    for caller in 0..UNARY_CALLERS + STREAM_CALLERS {
        let channel = channels[caller % CHANNELS].clone();
        let (counts, stopped) = (Arc::clone(&counts), stopped.clone());
        callers.spawn(async move {
            let mut client = RouterServiceClient::new(channel);
            while !*stopped.borrow() {
                if caller < UNARY_CALLERS {
                    unary(&mut client, &counts).await?;
                    counts.unary.fetch_add(1, Ordering::Relaxed);
                } else {
                    streaming(&mut client, &counts).await?;
                    counts.streams.fetch_add(1, Ordering::Relaxed);
                }
            }
            anyhow::Ok(())
        });
    }
    let witness = Connection::open(&first_target).await?;
    tokio::time::sleep(LOAD_BEFORE).await;
    let before = counts.unary.load(Ordering::Relaxed);
    say.send(1)?;
    first.terminate()?;
    let told = witness.told_to_go().await?;
    let status = soon("the process's end", first.ended()).await??;
    ensure!(status.success(), "{status}");
    tokio::time::sleep(LOAD_AFTER).await;
    stop.send(true)?;
    let mut failed = Vec::new();
    while let Some(caller) = soon("the last calls", callers.join_next()).await? {
        failed.extend(caller?.err());
    }
    let unary = counts.unary.load(Ordering::Relaxed);
    let streams = counts.streams.load(Ordering::Relaxed);
    if let Some(error) = failed.first() {
        anyhow::bail!(
            "{} callers failed (of {unary} unary calls and {streams} streams): {error:#}",
            failed.len()
        );
    }
    let unsent = counts.unsent.load(Ordering::Relaxed);
    let [dialled_first, dialled_second] =
        counts.dialled.each_ref().map(|c| c.load(Ordering::Relaxed));
    ensure!(
        dialled_second as usize >= CHANNELS,
        "only {dialled_second} of {CHANNELS} channels went to the second server"
    );
    ensure!(
        before > 0 && unary > before,
        "no calls before, or none after"
    );
    Ok(format!(
        "GOAWAY {told:?}, {unary} unary calls and {streams} streams, {before} unary before \
         SIGTERM, 0 failed, {unsent} given back unsent and made anew; {dialled_first} connections to the first server, {dialled_second} to \
         the second"
    ))
}

async fn unary(client: &mut RouterServiceClient<Channel>, counts: &Counts) -> anyhow::Result<()> {
    let answer = loop {
        let asked = question("echo", "hello drain", 8);
        match client.create_chat_completion(asked).await {
            Err(status) if unsent(&status) => counts.unsent.fetch_add(1, Ordering::Relaxed),
            answer => break answer?,
        };
    };
    let choice = answer.into_inner().choices.pop().context("a choice")?;
    let text = choice.message.context("a message")?.content;
    ensure!(text == "hello drain", "{text}");
    Ok(())
}

async fn streaming(
    client: &mut RouterServiceClient<Channel>,
    counts: &Counts,
) -> anyhow::Result<()> {
    let answer = loop {
        let asked = question("slow", "x", TOKENS);
        match client.stream_chat_completion(asked).await {
            Err(status) if unsent(&status) => counts.unsent.fetch_add(1, Ordering::Relaxed),
            answer => break answer?,
        };
    };
    let mut answer = answer.into_inner();
    let (mut text, mut finished) = (String::new(), false);
    while let Some(chunk) = answer.message().await? {
        for choice in chunk.choices {
            text.extend(choice.delta.and_then(|delta| delta.content));
            finished |= choice.finish_reason.is_some();
        }
    }
    let tokens = text.split_whitespace().count();
    ensure!(
        finished && tokens == TOKENS as usize,
        "{tokens} tokens, then the stream ended"
    );
    Ok(())
}

/// Whether the request never left the client: hyper gives back what waits for a
/// connection that has been told to go.
fn unsent(status: &tonic::Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        cause = error.source();
        if (error.downcast_ref::<hyper::Error>()).is_some_and(hyper::Error::is_canceled) {
            return cause.is_some_and(|why| why.to_string() == "connection closed");
        }
    }
    false
}

/// Tokens of a chunk.
fn said(message: Bytes) -> anyhow::Result<usize> {
    let choices = ChatCompletionChunk::decode(message)?.choices;
    let texts = choices
        .into_iter()
        .filter_map(|choice| choice.delta?.content);
    Ok(texts.map(|text| text.split_whitespace().count()).sum())
}

/// A channel that dials where the name service says, whenever it has to.
fn reconnecting(
    targets: [Target; 2],
    place: watch::Receiver<usize>,
    counts: Arc<Counts>,
) -> Channel {
    let connector = tower::service_fn(move |_: Uri| {
        let at = *place.borrow();
        let (target, counts) = (targets[at].clone(), Arc::clone(&counts));
        async move {
            let stream = TcpStream::connect(&target.address).await?;
            stream.set_nodelay(true)?;
            counts.dialled[at].fetch_add(1, Ordering::Relaxed);
            let stream: Box<dyn Io> = match &target.tls {
                None => Box::new(stream),
                Some(config) => {
                    let name = "localhost".try_into().map_err(std::io::Error::other)?;
                    Box::new(
                        TlsConnector::from(Arc::clone(config))
                            .connect(name, stream)
                            .await?,
                    )
                }
            };
            std::io::Result::Ok(TokioIo::new(stream))
        }
    });
    Endpoint::from_static("http://signalbox.test").connect_with_connector_lazy(connector)
}

trait Io: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Io for T {}
