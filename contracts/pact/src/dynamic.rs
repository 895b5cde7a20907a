//! gRPC without generated code: calls are made, and answered, from JSON by a method's
//! descriptors, so that a pact needs nothing compiled for it.

use anyhow::{Context as _, bail};
use bytes::Buf as _;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, prost_types,
};
use serde_json::Value;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::Channel,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// Encodes any message, decodes messages of one type.
#[derive(Clone, Debug)]
pub struct DynamicCodec {
    decoded: MessageDescriptor,
}

impl DynamicCodec {
    /// Decodes messages of this type.
    #[must_use]
    pub fn new(decoded: MessageDescriptor) -> Self {
        Self { decoded }
    }
}

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = DynamicEncoder;
    type Decoder = DynamicDecoder;

    fn encoder(&mut self) -> DynamicEncoder {
        DynamicEncoder
    }

    fn decoder(&mut self) -> DynamicDecoder {
        DynamicDecoder(self.decoded.clone())
    }
}

/// Writes any message.
#[derive(Debug)]
pub struct DynamicEncoder;

impl Encoder for DynamicEncoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(item.encoded_len());
        item.encode(out)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

/// Reads messages of one type.
#[derive(Debug)]
pub struct DynamicDecoder(MessageDescriptor);

impl Decoder for DynamicDecoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = bytes.copy_to_bytes(bytes.remaining());
        let message = DynamicMessage::decode(self.0.clone(), bytes)
            .map_err(|error| Status::internal(error.to_string()))?;
        Ok(Some(message))
    }
}

/// The method called `package.Service/Method`.
///
/// # Errors
///
/// Where there is none.
pub fn method(pool: &DescriptorPool, name: &str) -> anyhow::Result<MethodDescriptor> {
    let (service, method) = name.split_once('/').context("package.Service/Method")?;
    pool.get_service_by_name(service)
        .and_then(|service| service.methods().find(|m| m.name() == method))
        .with_context(|| format!("the provider's reflection knows no method {name}"))
}

/// A message from protobuf JSON; an unknown field is an error.
///
/// # Errors
///
/// Where the JSON is not of this type.
pub fn from_json(descriptor: MessageDescriptor, json: &Value) -> anyhow::Result<DynamicMessage> {
    let name = descriptor.full_name().to_owned();
    DynamicMessage::deserialize(descriptor, json)
        .with_context(|| format!("the pact's JSON is no {name}"))
}

/// A message as canonical protobuf JSON.
///
/// # Errors
///
/// Where a value has no JSON.
pub fn to_json(message: &DynamicMessage) -> anyhow::Result<Value> {
    serde_json::to_value(message).context("a message as JSON")
}

/// Everything that the server's own reflection says about these services. What it no
/// longer has is missing here too.
///
/// # Errors
///
/// Where reflection cannot be asked.
pub async fn reflect(channel: Channel, metadata: &MetadataMap) -> anyhow::Result<DescriptorPool> {
    let mut client = ServerReflectionClient::new(channel);
    let mut set = prost_types::FileDescriptorSet::default();
    let mut wanted = vec![MessageRequest::ListServices(String::new())];
    let mut asked = Vec::new();
    while let Some(question) = wanted.pop() {
        if asked.contains(&question) {
            continue;
        }
        asked.push(question.clone());
        let mut request = tonic::Request::new(tokio_stream::once(ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        }));
        *request.metadata_mut() = metadata.clone();
        let mut answers = client.server_reflection_info(request).await?.into_inner();
        let answer = answers.message().await?.context("reflection is silent")?;
        match answer.message_response.context("reflection says nothing")? {
            MessageResponse::ListServicesResponse(services) => wanted.extend(
                (services.service.into_iter())
                    .map(|service| MessageRequest::FileContainingSymbol(service.name)),
            ),
            MessageResponse::FileDescriptorResponse(files) => {
                for bytes in files.file_descriptor_proto {
                    let file = prost_types::FileDescriptorProto::decode(bytes.as_slice())?;
                    wanted.extend(
                        (file.dependency.iter().cloned()).map(MessageRequest::FileByFilename),
                    );
                    if !set.file.iter().any(|known| known.name == file.name) {
                        set.file.push(file);
                    }
                }
            }
            other => bail!("reflection answers {other:?}"),
        }
    }
    DescriptorPool::from_file_descriptor_set(set).context("the server's descriptors")
}
