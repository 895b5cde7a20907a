//! What is too large is refused by name, what is just not is answered.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{
    Stage, Target,
    messages::LIST_MODELS,
    wire::{Connection, framed, soon},
};

/// `server.limits.max_request_bytes` as it is by default.
pub(super) const MAX_REQUEST: usize = 16 << 20;
/// Metadata together, by HTTP/2's count: 32 bytes for each entry beside its own.
const MAX_METADATA: usize = 64 << 10;

pub(super) async fn run(stage: &mut Stage<'_>, target: &Target) {
    stage
        .case(target, "max_message_size", async || message(target).await)
        .await;
    stage
        .case(target, "max_metadata_size", async || metadata(target).await)
        .await;
}

/// A message of exactly this length that any method takes: one unknown field.
pub(super) fn padding(length: usize) -> Vec<u8> {
    // Field 1,000, length-delimited, then the length as a varint of four bytes.
    let mut message = vec![0xc2, 0x3e];
    let body = length - message.len() - 4;
    message.extend(
        [7, 14, 21]
            .iter()
            .fold(vec![body as u8 | 0x80], |mut bytes, shift| {
                let more = if *shift == 21 { 0 } else { 0x80 };
                bytes.push((body >> shift) as u8 & 0x7f | more);
                bytes
            }),
    );
    message.resize(length, b'x');
    message
}

/// The refusal of a message over the limit: its code and its details.
pub(super) fn refused(status: &tonic::Status) -> anyhow::Result<()> {
    ensure!(status.code() == Code::ResourceExhausted, "{status:?}");
    let info = status.get_details_error_info().context("no ErrorInfo")?;
    ensure!(info.reason == "MESSAGE_TOO_LARGE", "{info:?}");
    let limit = info.metadata.get("limit_bytes").map(String::as_str);
    ensure!(limit == Some(MAX_REQUEST.to_string().as_str()), "{info:?}");
    Ok(())
}

async fn message(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    for length in [MAX_REQUEST - 1, MAX_REQUEST] {
        let answer = connection
            .unary(LIST_MODELS, &HeaderMap::new(), &padding(length))
            .await?;
        answer.ok().with_context(|| format!("{length} bytes"))?;
    }
    let over = padding(MAX_REQUEST + 1);
    refused(
        &connection
            .unary(LIST_MODELS, &HeaderMap::new(), &over)
            .await?
            .status,
    )?;
    // Refused by what it announces: only the prefix is ever sent.
    let announced = Bytes::copy_from_slice(&framed(0, &over)[..5]);
    let mut call = connection.start(LIST_MODELS, &HeaderMap::new()).await?;
    call.send(announced, false).await?;
    refused(&soon("the refusal", call.answer()).await??.status)?;
    connection
        .unary(LIST_MODELS, &HeaderMap::new(), &[])
        .await?
        .ok()?;
    Ok(format!(
        "{} and {MAX_REQUEST} bytes pass, {} do not (RESOURCE_EXHAUSTED, limit_bytes), nor does \
         their prefix alone",
        MAX_REQUEST - 1,
        MAX_REQUEST + 1
    ))
}

async fn metadata(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let sized = |bytes: usize| -> anyhow::Result<HeaderMap> {
        let mut metadata = HeaderMap::new();
        metadata.insert("x-large", HeaderValue::from_bytes(&vec![b'm'; bytes])?);
        Ok(metadata)
    };
    let large = MAX_METADATA - 1_024;
    let answer = connection.unary(LIST_MODELS, &sized(large)?, &[]).await?;
    answer.ok()?;
    // HTTP/2 answers for itself here; a gRPC client makes a status of it.
    let mut call = connection
        .start(LIST_MODELS, &sized(MAX_METADATA + 1)?)
        .await?;
    let _ = call.finish();
    soon("the refusal", call.head()).await??;
    ensure!(
        call.status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "{} instead of 431",
        call.status
    );
    connection
        .unary(LIST_MODELS, &HeaderMap::new(), &[])
        .await?
        .ok()?;
    Ok(format!(
        "{large} bytes in one entry pass, {} are refused with 431, the connection lives",
        MAX_METADATA + 1
    ))
}
