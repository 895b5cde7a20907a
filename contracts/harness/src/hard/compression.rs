//! gzip both ways, what is not understood, and what only looks small.

use std::io::{Read as _, Write as _};

use anyhow::{Context as _, ensure};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use http::{HeaderMap, HeaderValue};
use prost::Message as _;
use signalbox_proto::guardrails::v1::RedactTextResponse;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{
    Stage, Target,
    limits::{MAX_REQUEST, padding, refused},
    messages::{LIST_MODELS, REDACT, REFLECTION, ask, hear, redact},
    wire::{Connection, framed},
};
use crate::platform::Process;

/// Calls at once that each hold a bomb.
const BOMBS: usize = 16;
/// What one holds once it is decompressed, in MiB.
const BOMB_MIB: usize = 128;
/// What the server's memory may grow by meanwhile: a message at the limit for each, twice
/// because the memory that takes it doubles. The bombs would hold four times that.
const BOMBS_MAY_COST: u64 = (2 * BOMBS * MAX_REQUEST) as u64;

pub(super) async fn run(stage: &mut Stage<'_>, target: &Target) {
    stage
        .case(target, "gzip_both_ways", async || both_ways(target).await)
        .await;
    stage
        .case(target, "gzip_stream", async || stream(target).await)
        .await;
    stage
        .case(target, "gzip_only_when_used", async || {
            only_when_used(target).await
        })
        .await;
    stage
        .case(target, "gzip_flag_without_encoding", async || {
            flag(target).await
        })
        .await;
    stage
        .case(target, "gzip_broken", async || broken(target).await)
        .await;
    stage
        .case(target, "unknown_encoding", async || unknown(target).await)
        .await;
    let own = stage.server(target, &[]);
    stage
        .case(target, "gzip_bomb", async || bomb(own?).await)
        .await;
}

fn gzip(message: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(message)?;
    Ok(encoder.finish()?)
}

fn gunzip(message: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(message).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn encoded(encoding: &'static str, accepted: &'static str) -> HeaderMap {
    let mut metadata = HeaderMap::new();
    metadata.insert("grpc-encoding", HeaderValue::from_static(encoding));
    metadata.insert("grpc-accept-encoding", HeaderValue::from_static(accepted));
    metadata
}

async fn both_ways(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let text = "compressible ".repeat(100_000);
    let request = gzip(&redact(text.clone()))?;
    let asked = request.len();
    let bytes = framed(1, &request);
    let answer = connection
        .framed(REDACT, &encoded("gzip", "identity,gzip"), bytes)
        .await?;
    answer.ok()?;
    let encoding = answer.headers.get("grpc-encoding").cloned();
    let (compressed, message) = answer.message()?;
    ensure!(
        compressed && encoding.as_ref().is_some_and(|e| e == "gzip"),
        "the answer is not compressed"
    );
    let answered = message.len();
    let response = RedactTextResponse::decode(&gunzip(&message)?[..])?;
    ensure!(response.text == text, "the text came back changed");
    Ok(format!(
        "{} bytes of text: {asked} bytes asked, {answered} bytes answered",
        text.len()
    ))
}

/// Compressed and plain messages on one stream; a small answer stays as it is.
async fn stream(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let mut call = connection
        .start(REFLECTION, &encoded("gzip", "gzip"))
        .await?;
    ask(&mut call).await?;
    hear(&mut call).await?;
    // What `ask` sends.
    let question = gzip(&[0x3a, 0])?;
    call.send(framed(1, &question), false).await?;
    hear(&mut call).await?;
    ask(&mut call).await?;
    call.finish()?;
    let answer = call.answer().await?;
    answer.ok()?;
    ensure!(answer.messages.len() == 1 && !answer.messages[0].0);
    Ok("plain, compressed and plain again on one stream, small answers plain".to_owned())
}

/// Who only says that it reads gzip is not made to.
async fn only_when_used(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let text = "compressible ".repeat(1_000);
    let request = redact(text);
    for (encoding, accepted, flag) in [
        ("identity", "identity, deflate, gzip", 0),
        ("gzip", "identity", 1),
    ] {
        let body = if flag == 1 {
            gzip(&request)?
        } else {
            request.clone()
        };
        let metadata = encoded(encoding, accepted);
        let answer = connection
            .framed(REDACT, &metadata, framed(flag, &body))
            .await?;
        ensure!(
            !answer.headers.contains_key("grpc-encoding"),
            "{encoding}, {accepted}"
        );
        ensure!(!answer.message()?.0, "{encoding}, {accepted}: compressed");
    }
    Ok("asked in identity or accepting identity only: answered in identity".to_owned())
}

/// By the specification INTERNAL.
async fn flag(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let bytes = framed(1, &gzip(&[])?);
    let answer = connection
        .framed(LIST_MODELS, &HeaderMap::new(), bytes)
        .await?;
    answer.code(Code::Internal)?;
    Ok("INTERNAL, as the specification says".to_owned())
}

async fn broken(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let whole = gzip(&padding(4_096))?;
    let mut checksum = whole.clone();
    let at = checksum.len() - 8;
    checksum[at] ^= 1;
    let cases = [
        ("no gzip", b"not gzip at all".to_vec()),
        ("a wrong checksum", checksum),
        ("half of it", whole[..whole.len() / 2].to_vec()),
        ("more behind it", [&whole[..], b"x"].concat()),
    ];
    for (name, bytes) in &cases {
        let metadata = encoded("gzip", "gzip");
        let answer = connection
            .framed(LIST_MODELS, &metadata, framed(1, bytes))
            .await?;
        answer.code(Code::InvalidArgument).context(*name)?;
    }
    let mut call = connection
        .start(LIST_MODELS, &encoded("gzip", "gzip"))
        .await?;
    let bytes = framed(1, &whole);
    call.send(bytes.slice(..bytes.len() - 1), true).await?;
    call.answer()
        .await?
        .code(Code::InvalidArgument)
        .context("an end within the message")?;
    Ok(format!(
        "{} ways to be broken: INVALID_ARGUMENT",
        cases.len() + 1
    ))
}

async fn unknown(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let metadata = encoded("zstd", "zstd,gzip");
    let answer = connection
        .framed(LIST_MODELS, &metadata, framed(1, b"whatever"))
        .await?;
    answer.code(Code::Unimplemented)?;
    let accepted = (answer.headers.get("grpc-accept-encoding"))
        .or(answer.trailers.get("grpc-accept-encoding"))
        .and_then(|value| value.to_str().ok())
        .context("no grpc-accept-encoding")?;
    ensure!(
        accepted.split(',').any(|e| e.trim() == "gzip"),
        "{accepted}"
    );
    let info = answer
        .status
        .get_details_error_info()
        .context("no ErrorInfo")?;
    ensure!(info.reason == "UNKNOWN_ENCODING", "{info:?}");
    Ok(format!(
        "zstd: UNIMPLEMENTED, grpc-accept-encoding: {accepted}"
    ))
}

/// Eight messages' worth in a few bytes, many times at once.
async fn bomb((process, target): (Process, Target)) -> anyhow::Result<String> {
    let connection = Connection::open(&target).await?;
    let exact = gzip(&padding(MAX_REQUEST))?;
    let metadata = encoded("gzip", "gzip");
    connection
        .framed(LIST_MODELS, &metadata, framed(1, &exact))
        .await?
        .ok()?;
    let over = gzip(&padding(MAX_REQUEST + 1))?;
    let answer = connection
        .framed(LIST_MODELS, &metadata, framed(1, &over))
        .await?;
    refused(&answer.status).context("one byte over")?;

    let zeros = vec![0; 1 << 20];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..BOMB_MIB {
        encoder.write_all(&zeros)?;
    }
    let bomb = framed(1, &encoder.finish()?);
    let before = process.memory()?;
    let bombs = (0..BOMBS).map(|_| connection.framed(LIST_MODELS, &metadata, bomb.clone()));
    let peak = process
        .peak_while(futures_util::future::join_all(bombs))
        .await;
    let (answers, peak) = peak?;
    for answer in answers {
        refused(&answer?.status)?;
    }
    let grown = peak.saturating_sub(before);
    ensure!(
        grown < BOMBS_MAY_COST,
        "the server grew by {} MiB",
        grown >> 20
    );
    Ok(format!(
        "{BOMBS} messages of {} KiB that hold {BOMB_MIB} MiB each: all RESOURCE_EXHAUSTED, the server grew \
         by {} MiB; {MAX_REQUEST} bytes pass, one more does not",
        bomb.len() >> 10,
        grown >> 20
    ))
}
