//! How an RPC's REST path reaches its service: through Kong's `grpc-gateway` plugin, or
//! around it to the service's own REST where the plugin would change what is said.
//!
//! Every rule is computed from the contract, so that a new RPC needs no entry anywhere.
//! Only what no descriptor says is a table: which 64-bit counts stay small, and which
//! paths `OpenAI` defined.

use std::{collections::BTreeSet, fmt};

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use thiserror::Error;

use crate::{
    contract::{OURS, Rpc},
    path::Template,
};

/// The RPCs whose paths, bodies and errors `OpenAI` defined.
pub const OPENAI: [&str; 5] = [
    "signalbox.embeddings.v1.EmbeddingsService.CreateEmbeddings",
    "signalbox.guardrails.v1.GuardrailsService.CreateModeration",
    "signalbox.router.v1.RouterService.CreateChatCompletion",
    "signalbox.router.v1.RouterService.ListModels",
    "signalbox.router.v1.RouterService.StreamChatCompletion",
];

/// Every 64-bit field that a transcoded RPC could reach, and whether it stays below
/// 10^14, beyond which the plugin's JSON drops digits; with the reason.
pub const WIDE: [(&str, bool, &str); 12] = [
    (
        "google.protobuf.Timestamp.seconds",
        true,
        "12 digits in the year 9999",
    ),
    (
        "signalbox.guardrails.v1.Finding.end_byte",
        true,
        "a text is at most 1 MiB",
    ),
    (
        "signalbox.guardrails.v1.Finding.end_char",
        true,
        "a text is at most 1 MiB",
    ),
    (
        "signalbox.guardrails.v1.Finding.start_byte",
        true,
        "a text is at most 1 MiB",
    ),
    (
        "signalbox.guardrails.v1.Finding.start_char",
        true,
        "a text is at most 1 MiB",
    ),
    (
        "signalbox.router.v1.CreateChatCompletionRequest.seed",
        false,
        "any 64-bit number",
    ),
    (
        "signalbox.router.v1.ReplayPolicyResponse.decisions",
        true,
        "a count of requests",
    ),
    (
        "signalbox.router.v1.UsageTotals.cached_prompt_tokens",
        true,
        "a count of tokens",
    ),
    (
        "signalbox.router.v1.UsageTotals.completion_tokens",
        true,
        "a count of tokens",
    ),
    (
        "signalbox.router.v1.UsageTotals.cost_usd_picos",
        false,
        "10^14 is a hundred dollars",
    ),
    (
        "signalbox.router.v1.UsageTotals.prompt_tokens",
        true,
        "a count of tokens",
    ),
    (
        "signalbox.router.v1.UsageTotals.requests",
        true,
        "a count of requests",
    ),
];

/// How a REST path reaches its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Through the plugin.
    Transcoded,
    /// Around the plugin, and why.
    Plain(Reason),
    /// It has no REST path.
    GrpcOnly,
}

/// Why an RPC goes around the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// `OpenAI`'s clients call it.
    OpenAi,
    /// It streams; the plugin has no server-sent events.
    Streaming,
    /// More bindings, another method or another path syntax than the plugin reads.
    Binding(&'static str),
    /// The body is one field, and the plugin drops the query that holds this one.
    QueryDropped(String),
    /// This query field is of a kind that the plugin cannot read from a query.
    QueryKind(String),
    /// This field has presence, which a field without a label loses.
    Presence(String),
    /// This field is of type `bytes`, which the plugin does not put in base64.
    Bytes(String),
    /// This field is in a oneof, whose other members the plugin would write too.
    Oneof(String),
    /// This field may have more digits than the plugin keeps.
    Digits(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenAi => write!(f, "OpenAI's shape"),
            Self::Streaming => write!(f, "a stream"),
            Self::Binding(what) => write!(f, "{what}"),
            Self::QueryDropped(field) => write!(f, "`{field}` comes in the query, beside a body"),
            Self::QueryKind(field) => write!(f, "`{field}` cannot be read from a query"),
            Self::Presence(field) => write!(f, "`{field}`: an explicit 0 would be lost"),
            Self::Bytes(field) => write!(f, "`{field}` is bytes, not put in base64"),
            Self::Oneof(field) => write!(f, "`{field}` is in a oneof"),
            Self::Digits(field) => write!(f, "`{field}`: digits beyond 14 would be lost"),
        }
    }
}

/// What only a person can say.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum WayError {
    /// A 64-bit field that [`WIDE`] does not know.
    #[error(
        "{rpc} reaches the 64-bit field {field}: say in WIDE (way.rs) whether it stays below 10^14"
    )]
    UnknownWide {
        /// The RPC.
        rpc: String,
        /// The field.
        field: String,
    },
}

/// Whether an RPC belongs in the edge view: unary, with a REST path that the plugin can
/// read, and not `OpenAI`'s. Some of these still go around the plugin; the view holds
/// them all the same, so that sending one through it is a change of one route.
pub fn in_view(rpc: &Rpc) -> bool {
    !rpc.bindings.is_empty()
        && !rpc.is_streaming()
        && !OPENAI.contains(&rpc.full_name())
        && binding_reason(rpc).is_none()
}

/// How an RPC's REST path reaches its service.
///
/// # Errors
/// Names a 64-bit field about which nothing is known.
pub fn way(rpc: &Rpc) -> Result<Way, WayError> {
    if rpc.bindings.is_empty() {
        return Ok(Way::GrpcOnly);
    }
    if OPENAI.contains(&rpc.full_name()) {
        return Ok(Way::Plain(Reason::OpenAi));
    }
    if rpc.is_streaming() {
        return Ok(Way::Plain(Reason::Streaming));
    }
    if let Some(reason) = binding_reason(rpc).or_else(|| query_reason(rpc)) {
        return Ok(Way::Plain(reason));
    }
    Ok(field_reason(rpc)?.map_or(Way::Transcoded, Way::Plain))
}

fn binding_reason(rpc: &Rpc) -> Option<Reason> {
    if rpc.bindings.len() > 2 {
        return Some(Reason::Binding("more than one additional binding"));
    }
    for binding in &rpc.bindings {
        if !binding.response_body.is_empty() {
            return Some(Reason::Binding("response_body"));
        }
        if !["GET", "PUT", "POST", "DELETE", "PATCH"].contains(&binding.verb.as_str()) {
            return Some(Reason::Binding("a custom method"));
        }
        if Template::parse(&binding.path).is_none() {
            return Some(Reason::Binding("a pattern in the path"));
        }
    }
    None
}

/// Looks at the fields that neither path nor body hold, which come in the query.
fn query_reason(rpc: &Rpc) -> Option<Reason> {
    for binding in rpc.bindings.iter().filter(|binding| binding.body != "*") {
        let template = Template::parse(&binding.path)?;
        let bound: BTreeSet<&str> = template
            .variables()
            .chain([binding.body.as_str()])
            .collect();
        for field in rpc
            .method
            .input()
            .fields()
            .filter(|field| !bound.contains(field.name()))
        {
            if !binding.body.is_empty() {
                return Some(Reason::QueryDropped(field.full_name().to_owned()));
            }
            // A single value is no list to the plugin, and `false` may be a true text.
            let read = matches!(field.kind(), Kind::String | Kind::Int32 | Kind::Uint32);
            if field.is_list() || !read {
                return Some(Reason::QueryKind(field.full_name().to_owned()));
            }
        }
    }
    None
}

fn field_reason(rpc: &Rpc) -> Result<Option<Reason>, WayError> {
    for field in reached(rpc) {
        let name = field.full_name().to_owned();
        // A proto3 `optional` is a oneof of its own to a descriptor.
        let optional = field.field_descriptor_proto().proto3_optional();
        if optional {
            return Ok(Some(Reason::Presence(name)));
        }
        if field.containing_oneof().is_some() {
            return Ok(Some(Reason::Oneof(name)));
        }
        if matches!(field.kind(), Kind::Bytes) {
            return Ok(Some(Reason::Bytes(name)));
        }
        if is_wide(&field.kind()) {
            match WIDE.iter().find(|(known, ..)| *known == name) {
                Some((_, true, _)) => {}
                Some((_, false, _)) => return Ok(Some(Reason::Digits(name))),
                None => {
                    let rpc = rpc.full_name().to_owned();
                    return Err(WayError::UnknownWide { rpc, field: name });
                }
            }
        }
    }
    Ok(None)
}

/// Whether a scalar has 64 bits.
pub fn is_wide(kind: &Kind) -> bool {
    use Kind::{Fixed64, Int64, Sfixed64, Sint64, Uint64};
    matches!(kind, Int64 | Uint64 | Sint64 | Fixed64 | Sfixed64)
}

/// Every field of an RPC's request and answer, through all nested messages.
pub fn reached(rpc: &Rpc) -> Vec<FieldDescriptor> {
    let mut seen = BTreeSet::new();
    let mut fields = Vec::new();
    let mut open: Vec<MessageDescriptor> = vec![rpc.method.output(), rpc.method.input()];
    while let Some(message) = open.pop() {
        if !seen.insert(message.full_name().to_owned()) {
            continue;
        }
        for field in message.fields() {
            if let Kind::Message(nested) = field.kind() {
                open.push(nested);
            }
            fields.push(field);
        }
    }
    fields
}

/// Whether a message is not the contract's own, and so copied into the view.
pub fn is_foreign(message: &MessageDescriptor) -> bool {
    !message.package_name().starts_with(OURS)
}
