//! A client of Signalbox: one channel, the generated clients over it, and for every call
//! a deadline and retries, as a service config says.

mod calls;
pub(crate) mod policy;

use std::time::Duration;

use tonic::{
    Code, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tonic_types::StatusExt as _;

pub(crate) use self::calls::Calls;
use self::policy::ServiceConfig;
use crate::generated::{
    embeddings::embeddings_service_client::EmbeddingsServiceClient,
    guardrails::guardrails_service_client::GuardrailsServiceClient,
    router::{
        ChatMessage, CreateChatCompletionRequest, router_service_client::RouterServiceClient,
    },
};

/// The largest answer that is read: vectors come by the thousand.
const MAX_ANSWER_BYTES: usize = 64 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Finds out that a server has gone away while an answer is waited for.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What holds for calls where a program says nothing else. Only what says that nothing
/// was done is retried. RESOURCE_EXHAUSTED is not: its RetryInfo says how long to wait,
/// see [`Failure::retry_after`].
const SERVICE_CONFIG: &str = r#"{
  "methodConfig": [{
    "name": [{}],
    "timeout": "60s",
    "retryPolicy": {
      "maxAttempts": 4,
      "initialBackoff": "0.1s",
      "maxBackoff": "2s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }]
}"#;

/// Signalbox behind one connection. Make one and keep it: clones share the connection.
#[derive(Clone)]
pub(crate) struct Signalbox {
    calls: Calls<Channel>,
}

impl Signalbox {
    /// The server at `host:port`, without TLS: on this machine, or behind a mesh.
    /// Connects at the first call, and again whenever the connection is lost.
    pub(crate) fn plaintext(address: &str) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        Self::new(endpoint)
    }

    /// The server at `host:port` with TLS, its certificate signed by this authority
    /// (PEM).
    pub(crate) fn tls(address: &str, authority: &[u8]) -> anyhow::Result<Self> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
        let endpoint = Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?;
        Self::new(endpoint)
    }

    fn new(endpoint: Endpoint) -> anyhow::Result<Self> {
        let channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .connect_lazy();
        let config = ServiceConfig::parse(SERVICE_CONFIG)?;
        Ok(Self {
            calls: Calls::new(channel, config),
        })
    }

    /// The same connection, under another service config.
    pub(crate) fn with_config(&self, json: &str) -> anyhow::Result<Self> {
        let config = ServiceConfig::parse(json)?;
        Ok(Self {
            calls: self.calls.with_config(config),
        })
    }

    /// For services that have no client here.
    pub(crate) fn calls(&self) -> Calls<Channel> {
        self.calls.clone()
    }

    pub(crate) fn router(&self) -> RouterServiceClient<Calls<Channel>> {
        RouterServiceClient::new(self.calls())
    }

    pub(crate) fn embeddings(&self) -> EmbeddingsServiceClient<Calls<Channel>> {
        EmbeddingsServiceClient::new(self.calls()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub(crate) fn guardrails(&self) -> GuardrailsServiceClient<Calls<Channel>> {
        GuardrailsServiceClient::new(self.calls())
    }
}

/// A conversation of one message.
pub(crate) fn chat(model: &str, prompt: &str) -> CreateChatCompletionRequest {
    CreateChatCompletionRequest {
        model: model.to_owned(),
        messages: vec![ChatMessage {
            role: "user".to_owned(),
            content: prompt.to_owned(),
            ..ChatMessage::default()
        }],
        ..CreateChatCompletionRequest::default()
    }
}

/// An error by name: its status with the details of `google.rpc` decoded.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// `ErrorInfo.reason`, such as `INVALID_FIELD`.
    pub(crate) reason: String,
    /// `ErrorInfo.domain`.
    pub(crate) domain: String,
    /// The wrong fields, and what each accepts.
    pub(crate) fields: Vec<(String, String)>,
    /// When to come back, where that can help.
    pub(crate) retry_after: Option<Duration>,
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let fields = details.bad_request().map(|bad| &bad.field_violations[..]);
        Self {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
            domain: info.map(|info| info.domain.clone()).unwrap_or_default(),
            fields: (fields.unwrap_or_default().iter())
                .map(|wrong| (wrong.field.clone(), wrong.description.clone()))
                .collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }
}
