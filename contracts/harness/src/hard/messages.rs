//! Messages, metadata and status: the cases that gRPC's interop tests begin with.

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use http::{HeaderMap, HeaderValue};
use prost::Message as _;
use signalbox_proto::{
    guardrails::v1::{RedactTextRequest, RedactTextResponse},
    router::v1::{ChatMessage, CreateChatCompletionRequest, ListModelsResponse},
};
use tonic::Code;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse,
    server_reflection_request::MessageRequest as Question,
    server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt as _;

use super::{
    Stage, Target, limits,
    wire::{Call, Connection},
};

pub(super) const CHAT: &str = "/signalbox.router.v1.RouterService/CreateChatCompletion";
pub(super) const STREAM_CHAT: &str = "/signalbox.router.v1.RouterService/StreamChatCompletion";
pub(super) const LIST_MODELS: &str = "/signalbox.router.v1.RouterService/ListModels";
pub(super) const REDACT: &str = "/signalbox.guardrails.v1.GuardrailsService/RedactText";
pub(super) const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// Turns of the ping-pong.
const TURNS: usize = 100;

pub(super) async fn run(stage: &mut Stage<'_>, target: &Target) {
    stage
        .case(target, "empty_unary", async || empty_unary(target).await)
        .await;
    stage
        .case(target, "large_unary", async || large_unary(target).await)
        .await;
    stage
        .case(target, "ping_pong", async || ping_pong(target).await)
        .await;
    stage
        .case(target, "empty_stream", async || empty_stream(target).await)
        .await;
    stage
        .case(target, "status_code_and_message", async || {
            status(target).await
        })
        .await;
    stage
        .case(target, "custom_metadata", async || metadata(target).await)
        .await;
    stage
        .case(target, "unimplemented_method", async || {
            unimplemented_method(target).await
        })
        .await;
    stage
        .case(target, "unimplemented_service", async || {
            unimplemented_service(target).await
        })
        .await;
}

/// A conversation of one message with this model.
pub(super) fn chat(model: &str, text: &str) -> Vec<u8> {
    let message = ChatMessage {
        role: "user".to_owned(),
        content: text.to_owned(),
        ..ChatMessage::default()
    };
    CreateChatCompletionRequest {
        model: model.to_owned(),
        messages: vec![message],
        ..CreateChatCompletionRequest::default()
    }
    .encode_to_vec()
}

/// A text to redact. No detector but this one is run, so that what is measured is the
/// transport.
pub(super) fn redact(text: String) -> Vec<u8> {
    RedactTextRequest {
        text,
        detectors: vec!["email".to_owned()],
        ..RedactTextRequest::default()
    }
    .encode_to_vec()
}

/// Asks reflection for its services on an open stream, and reads how many there are.
pub(super) async fn ask(call: &mut Call) -> anyhow::Result<()> {
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(Question::ListServices(String::new())),
    };
    call.message(&question.encode_to_vec()).await
}

pub(super) async fn hear(call: &mut Call) -> anyhow::Result<usize> {
    let (_, message) = call.next().await?.context("the stream is open")?;
    match ServerReflectionResponse::decode(message)?.message_response {
        Some(MessageResponse::ListServicesResponse(list)) => Ok(list.service.len()),
        other => anyhow::bail!("no list of services: {other:?}"),
    }
}

async fn empty_unary(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let answer = connection
        .unary(LIST_MODELS, &HeaderMap::new(), &[])
        .await?;
    let (_, message) = answer.message()?;
    let models = ListModelsResponse::decode(message)?.data.len();
    ensure!(models > 0, "no models");
    Ok(format!("0 bytes asked, {models} models answered"))
}

async fn large_unary(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let text = "0123456789abcde ".repeat((limits::MAX_REQUEST - 1_024) / 16);
    let request = redact(text.clone());
    ensure!(request.len() > limits::MAX_REQUEST - 2_048);
    let answer = connection
        .unary(REDACT, &HeaderMap::new(), &request)
        .await?;
    let (_, message) = answer.message()?;
    let length = message.len();
    ensure!(
        RedactTextResponse::decode(message)?.text == text,
        "the text came back changed"
    );
    Ok(format!(
        "{} bytes asked, {length} bytes answered, each equal",
        request.len()
    ))
}

async fn ping_pong(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let mut call = connection.start(REFLECTION, &HeaderMap::new()).await?;
    let mut services = 0;
    for _ in 0..TURNS {
        ask(&mut call).await?;
        services = hear(&mut call).await?;
    }
    call.finish()?;
    let answer = call.answer().await?;
    answer.ok()?;
    ensure!(answer.messages.is_empty(), "more answers than questions");
    Ok(format!(
        "{TURNS} questions, each answered ({services} services) before the next was sent"
    ))
}

async fn empty_stream(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let mut call = connection.start(REFLECTION, &HeaderMap::new()).await?;
    call.finish()?;
    let answer = call.answer().await?;
    answer.ok()?;
    ensure!(answer.messages.is_empty(), "answers to no question");
    Ok("no questions, no answers, OK".to_owned())
}

/// The message quotes what the caller sent, so that any character can be had in it.
async fn status(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let name = "zug-ÄÖ ☃ 𝄞 100% %41\t\r\nnext";
    let answer = connection
        .unary(CHAT, &HeaderMap::new(), &chat(name, "x"))
        .await?;
    answer.code(Code::NotFound)?;
    let raw = (answer
        .trailers
        .get("grpc-message")
        .or(answer.headers.get("grpc-message")))
    .context("no grpc-message")?;
    ensure!(
        raw.as_bytes()
            .iter()
            .all(|byte| (0x20..0x7f).contains(byte)),
        "grpc-message is not percent-encoded: {raw:?}"
    );
    let message = answer.status.message();
    ensure!(message.contains(name), "`{name}` is not in `{message}`");
    let info = answer
        .status
        .get_details_error_info()
        .context("no ErrorInfo")?;
    ensure!(
        info.domain == "signalbox" && info.reason == "NOT_FOUND",
        "{info:?}"
    );
    Ok(format!(
        "NOT_FOUND, {} characters quoted back through {} percent-encoded bytes",
        name.chars().count(),
        raw.len()
    ))
}

async fn metadata(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let mut metadata = HeaderMap::new();
    let id = "interop-0f9e_(~!)";
    metadata.insert("x-request-id", HeaderValue::from_static(id));
    metadata.insert("x-ascii", HeaderValue::from_static("a, b; c=\"d\""));
    metadata.append("x-ascii", HeaderValue::from_static("twice"));
    let all: Vec<u8> = (0..=255).collect();
    let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&all);
    metadata.insert("x-every-byte-bin", encoded.parse()?);
    let bare = connection
        .unary(LIST_MODELS, &HeaderMap::new(), &[])
        .await?;
    let answer = connection.unary(LIST_MODELS, &metadata, &[]).await?;
    let echoed = answer
        .headers
        .get("x-request-id")
        .cloned()
        .context("no x-request-id")?;
    ensure!(echoed == id, "x-request-id came back as {echoed:?}");
    let (_, message) = answer.message()?;
    ensure!(message == bare.message()?.1, "metadata changed the answer");
    // A request id that would not be safe in a log is replaced, not passed on.
    metadata.insert("x-request-id", HeaderValue::from_static("two words"));
    let answer = connection.unary(LIST_MODELS, &metadata, &[]).await?;
    answer.ok()?;
    ensure!(
        answer.headers["x-request-id"].len() == 26,
        "no ULID instead"
    );
    Ok(format!(
        "x-request-id echoed, twofold ASCII and {} bytes of -bin accepted",
        all.len()
    ))
}

async fn unimplemented_method(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let path = "/signalbox.router.v1.RouterService/NoSuchMethod";
    let answer = connection.unary(path, &HeaderMap::new(), &[]).await?;
    answer.code(Code::Unimplemented)?;
    let declared = "/signalbox.router.v1.RouterService/GetPolicy";
    let answer = connection.unary(declared, &HeaderMap::new(), &[]).await?;
    answer.code(Code::Unimplemented)?;
    let info = answer
        .status
        .get_details_error_info()
        .context("no ErrorInfo")?;
    ensure!(info.reason == "NOT_IMPLEMENTED", "{info:?}");
    Ok("an unknown method, and a declared one with NOT_IMPLEMENTED".to_owned())
}

async fn unimplemented_service(target: &Target) -> anyhow::Result<String> {
    let connection = Connection::open(target).await?;
    let answer = connection
        .unary("/no.such.Service/Method", &HeaderMap::new(), &[])
        .await?;
    answer.code(Code::Unimplemented)?;
    Ok("HTTP 200 and UNIMPLEMENTED".to_owned())
}
