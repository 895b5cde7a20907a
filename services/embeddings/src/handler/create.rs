//! CreateEmbeddings: from the proto's shape to the engine's terms and back.

use std::sync::Arc;

use signalbox_proto::embeddings::v1::{
    CreateEmbeddingsRequest, CreateEmbeddingsResponse, Embedding, EmbeddingUsage,
};
use tokio::task;
use tonic::Response;

use super::timing;
use crate::{
    engine::Engine,
    output::{Dtype, Encoding, Output, Written},
    request::{EmbedError, EmbedRequest, EmbedResponse, Embedded, Inputs, Terms, parse_input_type},
};

/// An answer with more vectors is written on a thread that may block.
const INLINE: usize = 256;

pub(super) async fn create(
    engine: &Engine,
    request: CreateEmbeddingsRequest,
    owner: Arc<str>,
    terms: Terms,
) -> Result<Response<CreateEmbeddingsResponse>, EmbedError> {
    let output = Output {
        dtype: Dtype::parse(&request.output_dtype)?,
        encoding: Encoding::parse(&request.encoding_format)?,
    };
    let request = EmbedRequest {
        owner,
        terms,
        ..from_proto(request)?
    };
    let response = engine.embed(request).await?;
    let phases = response.phases;
    let answer = match response.data.len() <= INLINE {
        true => to_proto(response, output),
        false => {
            let write = task::spawn_blocking(move || to_proto(response, output));
            let stopped = |_| EmbedError::Failed("writing stopped unexpectedly".to_owned());
            write.await.map_err(stopped)?
        }
    };
    let mut answer = Response::new(answer);
    timing::add(answer.metadata_mut(), &phases);
    Ok(answer)
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
        input_type: parse_input_type(&request.input_type)?,
        dimensions: request.dimensions,
        reduction: request.reduction,
        user: request.user,
        ..EmbedRequest::new(request.model, inputs)
    })
}

fn to_proto(response: EmbedResponse, output: Output) -> CreateEmbeddingsResponse {
    let data = (0..)
        .zip(response.data)
        .map(|(index, embedded)| embedding_to_proto(index, embedded, output));
    CreateEmbeddingsResponse {
        object: "list".to_owned(),
        data: data.collect(),
        model: response.model.to_string(),
        usage: Some(EmbeddingUsage {
            prompt_tokens: response.tokens,
            total_tokens: response.tokens,
        }),
        output_dtype: output.dtype.as_str().to_owned(),
        reduction: response.reduction,
    }
}

fn embedding_to_proto(index: u32, embedded: Embedded, output: Output) -> Embedding {
    let answer = output.write(embedded.vector);
    let mut embedding = Embedding {
        object: "embedding".to_owned(),
        index,
        truncated: embedded.truncated,
        scale: answer.scale,
        ..Embedding::default()
    };
    match answer.written {
        Written::Floats(floats) => embedding.embedding = floats,
        Written::Integers(integers) => embedding.embedding_integers = integers,
        Written::Packed(bytes) => embedding.embedding_packed = bytes.into(),
    }
    embedding
}
