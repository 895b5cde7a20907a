//! What the verifier's message transport calls: a synchronous message of a pact becomes a
//! real gRPC call to the provider, and its answer goes back as canonical JSON with the
//! gRPC status as metadata.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost_reflect::DescriptorPool;
use serde_json::{Value, json};
use signalbox_pact::{
    KEY,
    dynamic::{self, DynamicCodec},
    metadata, rich_status,
};
use tokio::{net::TcpListener, sync::Mutex, task::JoinHandle};
use tonic::{
    Code, Request, Status,
    metadata::{AsciiMetadataKey, MetadataMap},
    transport::{Channel, Endpoint},
};

/// A running harness before one provider; ended on drop.
pub(crate) struct Harness {
    pub(crate) port: u16,
    task: JoinHandle<()>,
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Harness {
    /// `address` is the provider's, or that of a proxy before it.
    pub(crate) async fn start(address: &str) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
        let provider = Arc::new(Provider {
            channel,
            pool: Mutex::new(None),
        });
        let app = Router::new().route("/", post(answer)).with_state(provider);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            // Serves until aborted.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { port, task })
    }
}

struct Provider {
    channel: Channel,
    /// What the provider's reflection says, asked once.
    pool: Mutex<Option<DescriptorPool>>,
}

/// What came back from a call: a message, or a status with its details.
struct Answer {
    contents: Value,
    code: Code,
}

async fn answer(State(provider): State<Arc<Provider>>, Json(message): Json<Value>) -> Response {
    match call(&provider, &message["request"]).await {
        Ok(answer) => {
            let metadata = json!({ metadata::STATUS: rich_status::code_name(answer.code) });
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_str(&STANDARD.encode(metadata.to_string())) {
                headers.insert("pact-message-metadata", value);
            }
            (headers, Json(answer.contents)).into_response()
        }
        Err(error) => {
            let mut text = String::new();
            // Written to a string: cannot fail.
            let _ = write!(text, "{error:#}");
            (StatusCode::BAD_GATEWAY, text).into_response()
        }
    }
}

/// Makes the call that the request of a synchronous message describes.
async fn call(provider: &Provider, message: &Value) -> anyhow::Result<Answer> {
    let said = &message["metadata"];
    let name = (said[metadata::METHOD].as_str())
        .with_context(|| format!("the request's metadata has no {}", metadata::METHOD))?;
    let pool = provider.pool().await?;
    let method = match dynamic::method(&pool, name) {
        Ok(method) => method,
        // What any client with the old contract gets.
        Err(error) => return failed(&Status::unimplemented(format!("{error:#}"))),
    };
    let content = &message["contents"]["content"];
    let content = if content.is_null() {
        json!({})
    } else {
        content.clone()
    };
    let mut request = Request::new(dynamic::from_json(method.input(), &content)?);
    request.set_timeout(Duration::from_secs(20));
    for (key, value) in said.as_object().into_iter().flatten() {
        if key == metadata::METHOD || key == "contentType" {
            continue;
        }
        let value = value
            .as_str()
            .with_context(|| format!("metadata {key}: no text"))?;
        let key: AsciiMetadataKey = key.parse()?;
        request.metadata_mut().insert(key, value.parse()?);
    }
    let path = format!("/{name}").parse()?;
    let codec = DynamicCodec::new(method.output());
    let mut client = tonic::client::Grpc::new(provider.channel.clone());
    client.ready().await?;
    if !method.is_server_streaming() {
        return match client.unary(request, path, codec).await {
            Ok(response) => Ok(Answer {
                contents: dynamic::to_json(response.get_ref())?,
                code: Code::Ok,
            }),
            Err(status) => failed(&status),
        };
    }
    // A stream is the array of its messages: the verifier compares one response only.
    let mut stream = match client.server_streaming(request, path, codec).await {
        Ok(response) => response.into_inner(),
        Err(status) => return failed(&status),
    };
    let mut messages = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(message)) => messages.push(dynamic::to_json(&message)?),
            Ok(None) => break,
            Err(status) => return failed(&status),
        }
    }
    Ok(Answer {
        contents: messages.into(),
        code: Code::Ok,
    })
}

fn failed(status: &Status) -> anyhow::Result<Answer> {
    Ok(Answer {
        contents: rich_status::to_json(status)?,
        code: status.code(),
    })
}

impl Provider {
    async fn pool(&self) -> anyhow::Result<DescriptorPool> {
        let mut pool = self.pool.lock().await;
        if let Some(pool) = &*pool {
            return Ok(pool.clone());
        }
        let mut metadata = MetadataMap::new();
        metadata.insert(metadata::AUTHORIZATION, format!("Bearer {KEY}").parse()?);
        let known = dynamic::reflect(self.channel.clone(), &metadata).await?;
        *pool = Some(known.clone());
        Ok(known)
    }
}
