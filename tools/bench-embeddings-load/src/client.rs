//! Clients of the service: each has a connection of its own, half speak gRPC and half
//! REST.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use signalbox_proto::embeddings::v1::{
    CreateEmbeddingsRequest, embeddings_service_client::EmbeddingsServiceClient,
};
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};

use crate::Failure;

const MODEL: &str = "all-MiniLM-L6-v2";

/// The answer to 10,000 texts holds more than gRPC clients take by default.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ended {
    /// With vectors, of so many tokens.
    Answered { tokens: u64, texts: usize },
    /// Refused for lack of room, and told when to come back.
    Shed { retry_after: Option<Duration> },
    /// In any other way.
    Failed(String),
}

/// One connection.
pub(crate) enum Client {
    Grpc(EmbeddingsServiceClient<Channel>),
    Rest {
        http: reqwest::Client,
        url: String,
        /// Numbers as text, or as base64, in turns: `OpenAI`'s own clients ask for the
        /// latter.
        calls: AtomicUsize,
    },
}

#[derive(Serialize)]
struct Request<'a> {
    input: &'a [String],
    model: &'static str,
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<serde::de::IgnoredAny>,
    usage: Usage,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u64,
}

impl Client {
    pub(crate) async fn grpc(url: &str) -> Result<Self, Failure> {
        let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
        let client = EmbeddingsServiceClient::new(channel);
        Ok(Self::Grpc(
            client.max_decoding_message_size(MAX_ANSWER_BYTES),
        ))
    }

    pub(crate) fn rest(url: &str) -> Result<Self, Failure> {
        Ok(Self::Rest {
            http: reqwest::Client::builder().no_proxy().build()?,
            url: format!("{url}/v1/embeddings"),
            calls: AtomicUsize::new(0),
        })
    }

    /// As many clients, of both kinds in turns.
    pub(crate) async fn all(url: &str, count: usize) -> Result<Vec<Self>, Failure> {
        let mut clients = Vec::with_capacity(count);
        for index in 0..count {
            clients.push(match index % 2 {
                0 => Self::grpc(url).await?,
                _ => Self::rest(url)?,
            });
        }
        Ok(clients)
    }

    /// Embeds the texts.
    pub(crate) async fn embed(&self, texts: Vec<String>) -> Ended {
        match self {
            Self::Grpc(client) => embed_grpc(client.clone(), texts).await,
            Self::Rest { http, url, calls } => {
                let format = match calls.fetch_add(1, Ordering::Relaxed) % 2 {
                    0 => "float",
                    _ => "base64",
                };
                embed_rest(http, url, format, &texts).await
            }
        }
    }
}

async fn embed_grpc(mut client: EmbeddingsServiceClient<Channel>, input: Vec<String>) -> Ended {
    let request = CreateEmbeddingsRequest {
        input,
        model: MODEL.to_owned(),
        ..CreateEmbeddingsRequest::default()
    };
    match client.create_embeddings(request).await {
        Ok(answer) => {
            let answer = answer.into_inner();
            let usage = answer.usage.unwrap_or_default();
            Ended::Answered {
                tokens: usage.prompt_tokens.into(),
                texts: answer.data.len(),
            }
        }
        Err(status) if status.code() == Code::ResourceExhausted => Ended::Shed {
            // The time is in RetryInfo, which is of no use to this program; that there are
            // details is what is checked.
            retry_after: (!status.details().is_empty()).then_some(Duration::ZERO),
        },
        Err(status) => Ended::Failed(status.to_string()),
    }
}

async fn embed_rest(
    http: &reqwest::Client,
    url: &str,
    format: &'static str,
    input: &[String],
) -> Ended {
    let request = Request {
        input,
        model: MODEL,
        encoding_format: format,
    };
    let response = match http.post(url).json(&request).send().await {
        Ok(response) => response,
        Err(error) => return Ended::Failed(error.to_string()),
    };
    let status = response.status();
    if status.as_u16() == 429 {
        let seconds = response.headers().get("retry-after");
        let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
        return Ended::Shed {
            retry_after: seconds.map(Duration::from_secs),
        };
    }
    match response.json::<Answer>().await {
        Ok(answer) => Ended::Answered {
            tokens: answer.usage.prompt_tokens,
            texts: answer.data.len(),
        },
        Err(error) => Ended::Failed(format!("{status}: {error}")),
    }
}
