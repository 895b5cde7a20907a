//! The gRPC side: proto messages in, proto messages out, no rule in between.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use signalbox_chassis::{ApiError, error::reason};
use signalbox_proto::embeddings::v1::{
    CancelEmbeddingJobRequest, CreateEmbeddingJobRequest, CreateEmbeddingsRequest,
    CreateEmbeddingsResponse, Embedding, EmbeddingJob, EmbeddingJobResult, EmbeddingModel,
    EmbeddingUsage, GetEmbeddingJobRequest, ListEmbeddingJobsRequest, ListEmbeddingJobsResponse,
    ListEmbeddingModelsRequest, ListEmbeddingModelsResponse, ReadEmbeddingJobResultsRequest,
    StreamEmbeddingsRequest, StreamEmbeddingsResponse,
    embeddings_service_server::{EmbeddingsService, EmbeddingsServiceServer},
};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::{
    engine::Engine,
    model::ModelCard,
    request::{EmbedError, EmbedRequest, EmbedResponse, Embedded, Inputs},
};

/// The service, to be mounted on a server.
pub fn service(engine: Engine) -> EmbeddingsServiceServer<Handler> {
    EmbeddingsServiceServer::new(Handler { engine })
}

/// Implements the RPCs over an [`Engine`].
pub struct Handler {
    engine: Engine,
}

impl Handler {
    async fn create(
        &self,
        request: CreateEmbeddingsRequest,
    ) -> Result<CreateEmbeddingsResponse, EmbedError> {
        let encoding = Encoding::parse(&request.encoding_format)?;
        let response = self.engine.embed(from_proto(request)?).await?;
        Ok(to_proto(response, encoding))
    }
}

#[tonic::async_trait]
impl EmbeddingsService for Handler {
    async fn create_embeddings(
        &self,
        request: Request<CreateEmbeddingsRequest>,
    ) -> Result<Response<CreateEmbeddingsResponse>, Status> {
        let answer = self.create(request.into_inner()).await;
        Ok(Response::new(answer.map_err(api_error)?))
    }

    async fn list_embedding_models(
        &self,
        _: Request<ListEmbeddingModelsRequest>,
    ) -> Result<Response<ListEmbeddingModelsResponse>, Status> {
        Ok(Response::new(ListEmbeddingModelsResponse {
            object: "list".to_owned(),
            data: self.engine.models().map(model_to_proto).collect(),
        }))
    }

    type StreamEmbeddingsStream = BoxStream<'static, Result<StreamEmbeddingsResponse, Status>>;

    async fn stream_embeddings(
        &self,
        _: Request<Streaming<StreamEmbeddingsRequest>>,
    ) -> Result<Response<Self::StreamEmbeddingsStream>, Status> {
        Err(unimplemented("StreamEmbeddings"))
    }

    async fn create_embedding_job(
        &self,
        _: Request<CreateEmbeddingJobRequest>,
    ) -> Result<Response<EmbeddingJob>, Status> {
        Err(unimplemented("CreateEmbeddingJob"))
    }

    async fn get_embedding_job(
        &self,
        _: Request<GetEmbeddingJobRequest>,
    ) -> Result<Response<EmbeddingJob>, Status> {
        Err(unimplemented("GetEmbeddingJob"))
    }

    async fn list_embedding_jobs(
        &self,
        _: Request<ListEmbeddingJobsRequest>,
    ) -> Result<Response<ListEmbeddingJobsResponse>, Status> {
        Err(unimplemented("ListEmbeddingJobs"))
    }

    async fn cancel_embedding_job(
        &self,
        _: Request<CancelEmbeddingJobRequest>,
    ) -> Result<Response<EmbeddingJob>, Status> {
        Err(unimplemented("CancelEmbeddingJob"))
    }

    type ReadEmbeddingJobResultsStream = BoxStream<'static, Result<EmbeddingJobResult, Status>>;

    async fn read_embedding_job_results(
        &self,
        _: Request<ReadEmbeddingJobResultsRequest>,
    ) -> Result<Response<Self::ReadEmbeddingJobResultsStream>, Status> {
        Err(unimplemented("ReadEmbeddingJobResults"))
    }
}

fn unimplemented(rpc: &str) -> Status {
    ApiError::unimplemented(&format!("EmbeddingsService.{rpc}")).into()
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

fn model_to_proto(card: &ModelCard) -> EmbeddingModel {
    EmbeddingModel {
        id: card.name.clone(),
        object: "model".to_owned(),
        dimensions: card.dimensions,
        max_input_tokens: card.max_input_tokens,
        pooling: card.pooling.clone(),
        license: card.license.clone(),
    }
}

fn api_error(error: EmbedError) -> ApiError {
    let message = error.to_string();
    match error {
        EmbedError::Invalid { field, fix } => ApiError::invalid_field(field, fix),
        EmbedError::UnknownModel { name, available } => {
            let hint = format!("loaded are: {}", available.join(", "));
            ApiError::not_found("model", &name, hint)
        }
        EmbedError::Overloaded { retry_after } => {
            ApiError::exhausted(reason::OVERLOADED, message, retry_after)
        }
        EmbedError::Cancelled => ApiError::new(Code::Cancelled, reason::SHUTTING_DOWN, message),
        // The detail is ours to read, not the caller's.
        EmbedError::Failed(detail) => {
            tracing::error!(detail, "embedding failed");
            ApiError::internal("embedding failed on our side")
        }
    }
}
