//! What every caller over a network needs, through the generated clients: errors by
//! name, deadlines, cancelling, metadata, retries, many calls on one connection.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures_util::future::try_join_all;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, metadata::AsciiMetadataValue};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest as Question,
    server_reflection_response::MessageResponse as Answer,
};

use super::{Report, Server};
use crate::{
    client::{Failure, chat},
    generated::{
        embeddings::CreateEmbeddingsRequest, guardrails::CheckTextRequest,
        router::ListModelsRequest,
    },
};

/// Tries soon: the cases wait for it.
const RETRYING: &str = r#"{
  "methodConfig": [{
    "name": [{"service": "signalbox.router.v1.RouterService"}],
    "retryPolicy": {
      "maxAttempts": 4,
      "initialBackoff": "0.02s",
      "maxBackoff": "0.1s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }]
}"#;
const NO_RETRIES: &str = r#"{"methodConfig": []}"#;

pub(super) async fn run(server: &Server, report: &mut Report) {
    let mut case = |group, name: &str, result| report.case(server.name, group, name, result);
    case(
        "bidirectional",
        "server reflection",
        reflection(server).await,
    );
    case(
        "error_details",
        "BadRequest names the field",
        field(server).await,
    );
    case(
        "error_details",
        "RetryInfo says when",
        retry_info(server).await,
    );
    case(
        "cancellation",
        "a dropped stream reaches the model",
        cancellation(server).await,
    );
    case("deadline", "stalled model", deadline(server).await);
    case(
        "deadline",
        "the service config's timeout",
        configured(server).await,
    );
    case("metadata", "sent and received", metadata(server).await);
    case("retry", "flaky model", retry(server).await);
    case("retry", "attempts are bounded", bounded(server).await);
    case("retry", "none without a policy", unasked(server).await);
    case(
        "concurrency",
        "200 calls on one connection",
        concurrency(server).await,
    );
}

/// A prompt that the upstream's record is searched for.
fn prompt(server: &Server, what: &str) -> String {
    format!("rust {} {what}", server.name)
}

async fn reflection(server: &Server) -> anyhow::Result<()> {
    let (questions, receiver) = mpsc::channel(1);
    let ask = async |question| {
        let host = String::new();
        let message_request = Some(question);
        questions
            .send(ServerReflectionRequest {
                host,
                message_request,
            })
            .await
    };
    let mut client = ServerReflectionClient::new(server.client.calls());
    ask(Question::ListServices(String::new())).await?;
    let stream = client
        .server_reflection_info(ReceiverStream::new(receiver))
        .await?;
    let mut answers = stream.into_inner();
    let first = answers.message().await?.context("the first answer")?;
    let Some(Answer::ListServicesResponse(list)) = first.message_response else {
        bail!("no list of services");
    };
    let service = (list.service.into_iter())
        .map(|service| service.name)
        .find(|name| name.ends_with("RouterService"))
        .context("the Router is not listed")?;
    // Asked only now that the first is answered.
    ask(Question::FileContainingSymbol(service)).await?;
    let second = answers.message().await?.context("the second answer")?;
    let Some(Answer::FileDescriptorResponse(files)) = second.message_response else {
        bail!("no file of the Router");
    };
    ensure!(!files.file_descriptor_proto.is_empty(), "no descriptors");
    drop(questions);
    ensure!(answers.message().await?.is_none(), "the stream goes on");
    Ok(())
}

async fn field(server: &Server) -> anyhow::Result<()> {
    let request = CreateEmbeddingsRequest {
        model: "all-MiniLM-L6-v2".to_owned(),
        ..CreateEmbeddingsRequest::default()
    };
    let result = server.client.embeddings().create_embeddings(request).await;
    let failure = Failure::from(result.err().context("an embedding of nothing")?);
    ensure!(failure.code == Code::InvalidArgument, "{failure:?}");
    ensure!(
        failure.domain == "signalbox" && failure.reason == "INVALID_FIELD",
        "{failure:?}"
    );
    let named = failure
        .fields
        .iter()
        .any(|(field, fix)| field == "input" && !fix.is_empty());
    ensure!(named, "{failure:?}");
    Ok(())
}

async fn retry_info(server: &Server) -> anyhow::Result<()> {
    let result = server
        .client
        .router()
        .create_chat_completion(chat("limited", "x"))
        .await;
    let failure = Failure::from(result.err().context("a limited model answered")?);
    ensure!(failure.code == Code::ResourceExhausted, "{failure:?}");
    ensure!(
        failure.retry_after == Some(Duration::from_secs(2)),
        "{failure:?}"
    );
    Ok(())
}

async fn cancellation(server: &Server) -> anyhow::Result<()> {
    let prompt = prompt(server, "cancels");
    let request = chat("slow", &prompt);
    let mut stream = (server
        .client
        .router()
        .stream_chat_completion(request)
        .await?)
        .into_inner();
    loop {
        let chunk = stream
            .message()
            .await?
            .context("the stream ends without text")?;
        let text = chunk
            .choices
            .into_iter()
            .filter_map(|choice| choice.delta?.content);
        if text.collect::<String>().is_empty() {
            continue;
        }
        break;
    }
    // In Rust this is all: what is dropped is cancelled.
    drop(stream);
    let gone = |request: &serde_json::Value| request["outcome"]["end"] == "client_disconnected";
    server.upstream.wait_for(&prompt, gone).await?;

    // A call that is awaited elsewhere ends in the same way.
    let other = format!("{prompt} unary");
    let mut router = server.client.router();
    let request = chat("stalled", &other);
    let task = tokio::spawn(async move { router.create_chat_completion(request).await });
    server.upstream.wait_for(&other, |_| true).await?;
    task.abort();
    ensure!(
        task.await.is_err_and(|error| error.is_cancelled()),
        "the call was answered"
    );
    server.upstream.wait_for(&other, gone).await
}

async fn deadline(server: &Server) -> anyhow::Result<()> {
    let mut request = Request::new(chat("stalled", "x"));
    request.set_timeout(Duration::from_millis(300));
    let begun = Instant::now();
    let result = server.client.router().create_chat_completion(request).await;
    late(result.err().map(|status| status.code()), begun)
}

async fn configured(server: &Server) -> anyhow::Result<()> {
    let config = r#"{"methodConfig": [
        {"name": [{}], "timeout": "60s"},
        {"name": [{"service": "signalbox.router.v1.RouterService"}], "timeout": "0.3s"}
    ]}"#;
    let client = server.client.with_config(config)?;
    let begun = Instant::now();
    let result = client
        .router()
        .create_chat_completion(chat("stalled", "x"))
        .await;
    late(result.err().map(|status| status.code()), begun)
}

fn late(code: Option<Code>, begun: Instant) -> anyhow::Result<()> {
    let code = code.context("OK instead of DEADLINE_EXCEEDED")?;
    ensure!(
        code == Code::DeadlineExceeded,
        "{code:?} instead of DEADLINE_EXCEEDED"
    );
    let after = begun.elapsed();
    ensure!(after < Duration::from_secs(2), "only after {after:?}");
    Ok(())
}

async fn metadata(server: &Server) -> anyhow::Result<()> {
    let prompt = prompt(server, "metadata");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut request = Request::new(chat("echo", &prompt));
    let sent = request.metadata_mut();
    sent.insert(
        "x-request-id",
        AsciiMetadataValue::from_static("rust-consumer-1"),
    );
    sent.insert(
        "traceparent",
        format!("00-{trace}-00f067aa0ba902b7-01").parse()?,
    );
    let answer = server
        .client
        .router()
        .create_chat_completion(request)
        .await?;
    let id = answer
        .metadata()
        .get("x-request-id")
        .context("no x-request-id")?;
    ensure!(id == "rust-consumer-1", "x-request-id is {id:?}");
    let same = |request: &serde_json::Value| {
        request["traceparent"]
            .as_str()
            .is_some_and(|parent| parent.contains(trace))
    };
    server.upstream.wait_for(&prompt, same).await
}

async fn retry(server: &Server) -> anyhow::Result<()> {
    let prompt = prompt(server, "flaky");
    server.upstream.forget().await?;
    let client = server.client.with_config(RETRYING)?;
    client
        .router()
        .create_chat_completion(chat("flaky", &prompt))
        .await?;
    let tries = server.upstream.requests(&prompt).await?.len();
    ensure!(tries == 3, "{tries} requests reached the upstream, not 3");
    // A stream that has not begun is tried again as well.
    server.upstream.forget().await?;
    let stream = client
        .router()
        .stream_chat_completion(chat("flaky", &prompt))
        .await?;
    let mut stream = stream.into_inner();
    let mut text = String::new();
    while let Some(chunk) = stream.message().await? {
        text.extend(
            chunk
                .choices
                .into_iter()
                .filter_map(|choice| choice.delta?.content),
        );
    }
    ensure!(!text.is_empty(), "the stream holds no text");
    Ok(())
}

async fn bounded(server: &Server) -> anyhow::Result<()> {
    let prompt = prompt(server, "broken");
    let client = server.client.with_config(RETRYING)?;
    let result = client
        .router()
        .create_chat_completion(chat("broken", &prompt))
        .await;
    let status = result.err().context("a broken model answered")?;
    ensure!(status.code() == Code::Unavailable, "{status:?}");
    let tries = server.upstream.requests(&prompt).await?.len();
    ensure!(tries == 4, "{tries} requests reached the upstream, not 4");
    Ok(())
}

async fn unasked(server: &Server) -> anyhow::Result<()> {
    let prompt = prompt(server, "flaky once");
    server.upstream.forget().await?;
    let client = server.client.with_config(NO_RETRIES)?;
    let result = client
        .router()
        .create_chat_completion(chat("flaky", &prompt))
        .await;
    let status = result.err().context("the first try was answered")?;
    ensure!(status.code() == Code::Unavailable, "{status:?}");
    let tries = server.upstream.requests(&prompt).await?.len();
    ensure!(tries == 1, "{tries} requests reached the upstream, not 1");
    Ok(())
}

async fn concurrency(server: &Server) -> anyhow::Result<()> {
    let calls = (0..200).map(|number| {
        let (mut guardrails, mut router) = (server.client.guardrails(), server.client.router());
        async move {
            if number % 2 == 0 {
                router.list_models(ListModelsRequest::default()).await?;
                return anyhow::Ok(());
            }
            let text = format!("Mail user{number}@example.com");
            let request = CheckTextRequest {
                text,
                ..CheckTextRequest::default()
            };
            let findings = guardrails.check_text(request).await?.into_inner().findings;
            ensure!(
                findings.len() == 1,
                "{} findings of call {number}",
                findings.len()
            );
            Ok(())
        }
    });
    try_join_all(calls).await?;
    Ok(())
}
