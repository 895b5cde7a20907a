//! Calls as any gRPC client makes them, in plaintext to the sidecar beside it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use signalbox_proto::{
    guardrails::v1::{
        CheckTextRequest, CheckTextResponse, guardrails_service_client::GuardrailsServiceClient,
    },
    router::v1::{
        ChatCompletion, ChatCompletionChunk, ChatMessage, CreateChatCompletionRequest,
        router_service_client::RouterServiceClient,
    },
};
use tonic::{
    Code, Request, Response, Status, Streaming,
    metadata::{Ascii, MetadataKey},
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};

use super::report::ms;

/// No answer takes as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Request metadata.
pub(super) type Headers<'a> = &'a [(&'static str, &'a str)];

/// A client of what listens here. It connects at its first call.
pub(super) fn channel(address: &str) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    Ok(endpoint.timeout(PATIENCE).connect_lazy())
}

/// Guardrails' `CheckText`.
pub(super) async fn check_text(
    channel: &Channel,
    headers: Headers<'_>,
) -> anyhow::Result<Result<Response<CheckTextResponse>, Status>> {
    let message = CheckTextRequest {
        text: "Mail ada@example.com".to_owned(),
        ..CheckTextRequest::default()
    };
    let mut client = GuardrailsServiceClient::new(channel.clone());
    Ok(client.check_text(request(message, headers)?).await)
}

/// The health service's `Check`, of the whole server.
pub(super) async fn health(channel: &Channel) -> Result<Response<HealthCheckResponse>, Status> {
    let mut client = HealthClient::new(channel.clone());
    client.check(HealthCheckRequest::default()).await
}

/// Router's `CreateChatCompletion`.
pub(super) async fn chat(
    channel: &Channel,
    model: &str,
    headers: Headers<'_>,
) -> anyhow::Result<Result<Response<ChatCompletion>, Status>> {
    let mut client = RouterServiceClient::new(channel.clone());
    let request = request(question(model, None), headers)?;
    Ok(client.create_chat_completion(request).await)
}

/// Router's `StreamChatCompletion`.
pub(super) async fn stream(
    channel: &Channel,
    model: &str,
    max_tokens: u32,
) -> anyhow::Result<Result<Streaming<ChatCompletionChunk>, Status>> {
    let mut client = RouterServiceClient::new(channel.clone());
    let request = request(question(model, Some(max_tokens)), &[])?;
    let answer = client.stream_chat_completion(request).await;
    Ok(answer.map(Response::into_inner))
}

/// The words of a stream, read to its end.
pub(super) async fn words(stream: &mut Streaming<ChatCompletionChunk>) -> Result<usize, Status> {
    let mut text = String::new();
    while let Some(chunk) = stream.message().await? {
        let deltas = chunk.choices.into_iter().filter_map(|c| c.delta);
        deltas.filter_map(|d| d.content).for_each(|t| text += &t);
    }
    Ok(text.split_whitespace().count())
}

/// An answer that has to be good, and what was measured until `begun` told it.
pub(super) fn answered<T>(outcome: Result<T, Status>, begun: Instant) -> anyhow::Result<String> {
    match outcome {
        Ok(_) => Ok(format!("OK in {}", ms(begun.elapsed()))),
        Err(status) => bail!(
            "{:?} instead of an answer: {}",
            status.code(),
            status.message()
        ),
    }
}

/// The status of an answer that has to be this refusal.
pub(super) fn refused<T>(outcome: Result<T, Status>, code: Code) -> anyhow::Result<Status> {
    let status = outcome
        .err()
        .with_context(|| format!("OK instead of {code:?}"))?;
    ensure!(
        status.code() == code,
        "{:?} instead of {code:?}: {}",
        status.code(),
        status.message()
    );
    Ok(status)
}

fn question(model: &str, max_tokens: Option<u32>) -> CreateChatCompletionRequest {
    CreateChatCompletionRequest {
        model: model.to_owned(),
        messages: vec![ChatMessage {
            role: "user".to_owned(),
            content: "hello mesh".to_owned(),
            ..ChatMessage::default()
        }],
        max_tokens,
        ..CreateChatCompletionRequest::default()
    }
}

fn request<T>(message: T, headers: Headers<'_>) -> anyhow::Result<Request<T>> {
    let mut request = Request::new(message);
    for (name, value) in headers {
        let name = MetadataKey::<Ascii>::from_static(name);
        request.metadata_mut().insert(name, value.parse()?);
    }
    Ok(request)
}
