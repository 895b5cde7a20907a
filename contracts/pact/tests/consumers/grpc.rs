//! The Rust client of the gRPC API: the generated one, against a gRPC server that
//! answers what the pact says. A pact is a V4 synchronous message in canonical protobuf
//! JSON, with the gRPC status in its metadata; no plugin is asked.

mod calls;
mod embeddings;
mod guardrails;
mod server;

use std::collections::HashMap;

use pact_consumer::prelude::*;
use pact_models::{
    PactSpecification,
    bodies::OptionalBody,
    matchingrules::{MatchingRuleCategory, MatchingRules},
    pact::write_pact,
    path_exp::DocPath,
    provider_states::ProviderState,
    v4::{message_parts::MessageContents, sync_message::SynchronousMessage},
};
use serde_json::{Value, json};
use signalbox_pact::{KEY, metadata};
use tonic::{Request, transport::Channel};

const CONSUMER: &str = "rust-grpc";

/// One interaction: a call, and what is relied on of its answer.
struct Interaction {
    provider: &'static str,
    description: &'static str,
    state: Option<(&'static str, Value)>,
    /// `package.Service/Method`.
    method: &'static str,
    request: Value,
    /// The name of the code.
    status: &'static str,
    /// A message, the array of a stream's messages, or `google.rpc.Status`.
    response: JsonPattern,
}

impl Interaction {
    /// Starts the server that answers as the pact says, calls it, and writes the pact
    /// once the call has shown what it should.
    async fn relied_on_by(self, call: impl AsyncFnOnce(Channel)) {
        let message = self.message();
        let server = server::Server::start(message.clone()).await;
        call(server.channel()).await;
        server.was_called();
        let mut pact = PactBuilder::new_v4(CONSUMER, self.provider);
        let pact = pact.push_interaction(&message).build();
        let path = super::out().join(format!("{CONSUMER}-{}.json", self.provider));
        write_pact(pact, &path, PactSpecification::V4, false).unwrap();
    }

    fn message(&self) -> SynchronousMessage {
        let states = self.state.iter().map(|(name, parameters)| ProviderState {
            name: (*name).to_owned(),
            params: parameters
                .as_object()
                .unwrap()
                .clone()
                .into_iter()
                .collect(),
        });
        SynchronousMessage {
            description: self.description.to_owned(),
            provider_states: states.collect(),
            request: MessageContents {
                contents: body(&self.request),
                metadata: said([
                    (metadata::METHOD, self.method),
                    (metadata::AUTHORIZATION, &format!("Bearer {KEY}")),
                ]),
                ..MessageContents::default()
            },
            response: vec![MessageContents {
                contents: body(&self.response.to_example()),
                metadata: said([(metadata::STATUS, self.status)]),
                matching_rules: rules(&self.response),
                ..MessageContents::default()
            }],
            ..SynchronousMessage::default()
        }
    }
}

fn body(json: &Value) -> OptionalBody {
    OptionalBody::Present(
        json.to_string().into(),
        Some("application/json".into()),
        None,
    )
}

fn said<const N: usize>(entries: [(&str, &str); N]) -> HashMap<String, Value> {
    let content_type = ("contentType", "application/json");
    (entries.into_iter().chain([content_type]))
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect()
}

/// The verifier looks for a message's rules under `content`; `response_json_body` of
/// pact_consumer writes them under `body`, where nothing finds them.
fn rules(pattern: &JsonPattern) -> MatchingRules {
    let mut category = MatchingRuleCategory::empty("content");
    pattern.extract_matching_rules(DocPath::root(), &mut category);
    let mut rules = MatchingRules::default();
    rules.add_rules("content", category);
    rules
}

/// The message with the consumer's key.
fn with_key<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let key = format!("Bearer {KEY}").parse().unwrap();
    request.metadata_mut().insert(metadata::AUTHORIZATION, key);
    request
}
