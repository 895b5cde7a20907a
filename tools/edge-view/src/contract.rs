//! The contract's RPCs with their REST bindings, read from its descriptors.

use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, MessageDescriptor, MethodDescriptor, Value,
};
use thiserror::Error;

/// Only packages that begin so are ours; the others are what the contract imports.
pub const OURS: &str = "signalbox.";

/// Why descriptors are no contract.
#[derive(Debug, Error)]
pub enum ContractError {
    /// The bytes are no descriptor set.
    #[error("the descriptor set cannot be read: {0}")]
    Unreadable(#[from] prost_reflect::DescriptorError),
    /// Nothing in it imports `google/api/annotations.proto`.
    #[error("the contract has no google.api.http annotations")]
    NoAnnotations,
    /// An annotation without a method and path.
    #[error("{0}: its google.api.http rule has no pattern")]
    NoPattern(String),
}

/// The services of the contract.
#[derive(Debug)]
pub struct Contract {
    /// The descriptors.
    pub pool: DescriptorPool,
    /// Every RPC, in the files' order.
    pub rpcs: Vec<Rpc>,
}

/// One RPC.
#[derive(Debug, Clone)]
pub struct Rpc {
    /// Its descriptor.
    pub method: MethodDescriptor,
    /// Its REST bindings, the first one first; none where it is gRPC only.
    pub bindings: Vec<Binding>,
}

/// One REST binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// `GET`, `POST`, ...; upper case.
    pub verb: String,
    /// The path template, such as `/v1/embeddings/jobs/{job_id}`.
    pub path: String,
    /// `*`, a field's name, or empty.
    pub body: String,
    /// A field of the answer, or empty.
    pub response_body: String,
}

impl Rpc {
    /// `signalbox.router.v1.RouterService.GetUsage`.
    pub fn full_name(&self) -> &str {
        self.method.full_name()
    }

    /// `/signalbox.router.v1.RouterService/GetUsage`, the path on the wire.
    pub fn grpc_path(&self) -> String {
        format!(
            "/{}/{}",
            self.method.parent_service().full_name(),
            self.method.name()
        )
    }

    /// Whether either side is a stream.
    pub fn is_streaming(&self) -> bool {
        self.method.is_client_streaming() || self.method.is_server_streaming()
    }
}

impl Contract {
    /// The contract that the services are built with.
    ///
    /// # Errors
    /// Says what the descriptors lack.
    pub fn built_in() -> Result<Self, ContractError> {
        Self::decode(signalbox_proto::FILE_DESCRIPTOR_SET)
    }

    /// Reads an encoded `google.protobuf.FileDescriptorSet` that holds all imports.
    ///
    /// # Errors
    /// Says what the descriptors lack.
    pub fn decode(file_descriptor_set: &[u8]) -> Result<Self, ContractError> {
        Self::of(DescriptorPool::decode(file_descriptor_set)?)
    }

    /// Reads descriptors.
    ///
    /// # Errors
    /// Says what the descriptors lack.
    pub fn of(pool: DescriptorPool) -> Result<Self, ContractError> {
        let annotation = pool
            .get_extension_by_name("google.api.http")
            .ok_or(ContractError::NoAnnotations)?;
        let mut rpcs = Vec::new();
        for service in pool
            .services()
            .filter(|service| service.package_name().starts_with(OURS))
        {
            for method in service.methods() {
                let bindings = bindings(&method, &annotation)?;
                rpcs.push(Rpc { method, bindings });
            }
        }
        Ok(Self { pool, rpcs })
    }

    /// The packages of the contract, sorted.
    pub fn packages(&self) -> Vec<String> {
        let mut packages: Vec<String> = self
            .pool
            .files()
            .map(|file| file.package_name().to_owned())
            .collect();
        packages.retain(|package| package.starts_with(OURS));
        packages.sort();
        packages.dedup();
        packages
    }

    /// Every message of the contract's own, nested ones too, map entries not.
    pub fn messages(&self) -> impl Iterator<Item = MessageDescriptor> + '_ {
        self.pool
            .all_messages()
            .filter(|message| message.package_name().starts_with(OURS) && !message.is_map_entry())
    }
}

fn bindings(
    method: &MethodDescriptor,
    annotation: &ExtensionDescriptor,
) -> Result<Vec<Binding>, ContractError> {
    let options = method.options();
    if !options.has_extension(annotation) {
        return Ok(Vec::new());
    }
    let no_pattern = || ContractError::NoPattern(method.full_name().to_owned());
    let value = options.get_extension(annotation);
    let rule = value.as_message().ok_or_else(no_pattern)?;
    let mut bindings = vec![binding(rule).ok_or_else(no_pattern)?];
    if let Some(Value::List(more)) = rule.get_field_by_name("additional_bindings").as_deref() {
        for rule in more.iter().filter_map(Value::as_message) {
            bindings.push(binding(rule).ok_or_else(no_pattern)?);
        }
    }
    Ok(bindings)
}

fn binding(rule: &DynamicMessage) -> Option<Binding> {
    let text = |field: &str| {
        let value = rule.get_field_by_name(field);
        value
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let (verb, path) = match ["get", "put", "post", "delete", "patch"]
        .into_iter()
        .find(|verb| rule.has_field_by_name(verb))
    {
        Some(verb) => (verb.to_uppercase(), text(verb)),
        None if rule.has_field_by_name("custom") => {
            let custom = rule.get_field_by_name("custom")?;
            let custom = custom.as_message()?;
            let kind = custom.get_field_by_name("kind")?.as_str()?.to_owned();
            (kind, custom.get_field_by_name("path")?.as_str()?.to_owned())
        }
        None => return None,
    };
    Some(Binding {
        verb,
        path,
        body: text("body"),
        response_body: text("response_body"),
    })
}
