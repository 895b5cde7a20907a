//! The gRPC side: proto messages in, proto messages out, no rule in between; one
//! file for each family of RPCs.

mod create;
mod error;
mod jobs;

use std::sync::Arc;

use futures_util::stream::BoxStream;
use signalbox_chassis::ApiError;
use signalbox_proto::embeddings::v1::{
    CancelEmbeddingJobRequest, CreateEmbeddingJobRequest, CreateEmbeddingsRequest,
    CreateEmbeddingsResponse, EmbeddingJob, EmbeddingJobResult, EmbeddingModel,
    GetEmbeddingJobRequest, ListEmbeddingJobsRequest, ListEmbeddingJobsResponse,
    ListEmbeddingModelsRequest, ListEmbeddingModelsResponse, ReadEmbeddingJobResultsRequest,
    StreamEmbeddingsRequest, StreamEmbeddingsResponse,
    embeddings_service_server::{EmbeddingsService, EmbeddingsServiceServer},
};
use tonic::{Request, Response, Status, Streaming};

use crate::{engine::Engine, jobs::Jobs, model::ModelCard};

/// The service, to be mounted on a server.
pub fn service(engine: Engine, jobs: Arc<Jobs>) -> EmbeddingsServiceServer<Handler> {
    EmbeddingsServiceServer::new(Handler { engine, jobs })
}

/// Implements the RPCs over an [`Engine`] and its [`Jobs`].
pub struct Handler {
    engine: Engine,
    jobs: Arc<Jobs>,
}

#[tonic::async_trait]
impl EmbeddingsService for Handler {
    async fn create_embeddings(
        &self,
        request: Request<CreateEmbeddingsRequest>,
    ) -> Result<Response<CreateEmbeddingsResponse>, Status> {
        let answer = create::create(&self.engine, request.into_inner()).await;
        Ok(Response::new(answer.map_err(error::api_error)?))
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
        request: Request<CreateEmbeddingJobRequest>,
    ) -> Result<Response<EmbeddingJob>, Status> {
        Ok(Response::new(jobs::create(&self.jobs, request).await?))
    }

    async fn get_embedding_job(
        &self,
        request: Request<GetEmbeddingJobRequest>,
    ) -> Result<Response<EmbeddingJob>, Status> {
        Ok(Response::new(jobs::get(&self.jobs, request).await?))
    }

    async fn list_embedding_jobs(
        &self,
        request: Request<ListEmbeddingJobsRequest>,
    ) -> Result<Response<ListEmbeddingJobsResponse>, Status> {
        Ok(Response::new(jobs::list(&self.jobs, request).await?))
    }

    async fn cancel_embedding_job(
        &self,
        request: Request<CancelEmbeddingJobRequest>,
    ) -> Result<Response<EmbeddingJob>, Status> {
        Ok(Response::new(jobs::cancel(&self.jobs, request).await?))
    }

    type ReadEmbeddingJobResultsStream = BoxStream<'static, Result<EmbeddingJobResult, Status>>;

    async fn read_embedding_job_results(
        &self,
        request: Request<ReadEmbeddingJobResultsRequest>,
    ) -> Result<Response<Self::ReadEmbeddingJobResultsStream>, Status> {
        Ok(Response::new(jobs::results(&self.jobs, request).await?))
    }
}

fn unimplemented(rpc: &str) -> Status {
    ApiError::unimplemented(&format!("EmbeddingsService.{rpc}")).into()
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
