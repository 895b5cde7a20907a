//! CreateEmbeddings: from the proto's shape to the engine's terms and back.

use bytes::Bytes;
use signalbox_proto::embeddings::v1::{
    CreateEmbeddingsRequest, CreateEmbeddingsResponse, Embedding, EmbeddingUsage,
};

use tonic::Response;

use super::timing;
use crate::{
    engine::Engine,
    request::{EmbedError, EmbedRequest, EmbedResponse, Embedded, Inputs, Terms},
};

pub(super) async fn create(
    engine: &Engine,
    request: CreateEmbeddingsRequest,
    terms: Terms,
) -> Result<Response<CreateEmbeddingsResponse>, EmbedError> {
    let encoding = Encoding::parse(&request.encoding_format)?;
    let request = EmbedRequest {
        terms,
        ..from_proto(request)?
    };
    let response = engine.embed(request).await?;
    let phases = response.phases;
    let mut response = Response::new(to_proto(response, encoding));
    timing::add(response.metadata_mut(), &phases);
    Ok(response)
}

/// How a vector is written.
#[derive(Clone, Copy)]
enum Encoding {
    /// Numbers.
    Float,
    /// Little-endian bytes, which REST writes as base64.
    Base64,
}

impl Encoding {
    fn parse(name: &str) -> Result<Self, EmbedError> {
        match name {
            "" | "float" => Ok(Self::Float),
            "base64" => Ok(Self::Base64),
            _ => Err(EmbedError::invalid(
                "encoding_format",
                "is unknown; `float` and `base64` are accepted",
            )),
        }
    }
}

fn from_proto(request: CreateEmbeddingsRequest) -> Result<EmbedRequest, EmbedError> {
    let inputs = match (request.input, request.input_tokens) {
        (texts, tokens) if !texts.is_empty() && !tokens.is_empty() => {
            return Err(EmbedError::invalid(
                "input_tokens",
                "cannot be sent together with `input`; send one of them",
            ));
        }
        (texts, tokens) if tokens.is_empty() => Inputs::Texts(texts),
        (_, tokens) => Inputs::TokenIds(tokens.into_iter().map(|array| array.ids).collect()),
    };
    Ok(EmbedRequest {
        model: request.model,
        inputs,
        dimensions: request.dimensions,
        user: request.user,
        terms: Terms::default(),
    })
}

fn to_proto(response: EmbedResponse, encoding: Encoding) -> CreateEmbeddingsResponse {
    let data = (0..)
        .zip(response.data)
        .map(|(index, embedded)| embedding_to_proto(index, embedded, encoding));
    CreateEmbeddingsResponse {
        object: "list".to_owned(),
        data: data.collect(),
        model: response.model.to_string(),
        usage: Some(EmbeddingUsage {
            prompt_tokens: response.tokens,
            total_tokens: response.tokens,
        }),
    }
}

fn embedding_to_proto(index: u32, embedded: Embedded, encoding: Encoding) -> Embedding {
    let (embedding, embedding_packed) = match encoding {
        Encoding::Float => (embedded.vector, Bytes::new()),
        Encoding::Base64 => {
            let bytes = embedded.vector.iter().flat_map(|value| value.to_le_bytes());
            (Vec::new(), bytes.collect())
        }
    };
    Embedding {
        object: "embedding".to_owned(),
        index,
        embedding,
        embedding_packed,
        truncated: embedded.truncated,
    }
}
