//! The gRPC side: proto messages in, proto messages out, no rule in between; one
//! file for each family of RPCs.

mod create;
mod error;
mod jobs;
mod reductions;
mod stream;
mod timing;

use std::sync::Arc;

use futures_util::{StreamExt as _, stream::BoxStream};
use signalbox_chassis::RequestContext;
use signalbox_proto::embeddings::v1::{
    CancelEmbeddingJobRequest, CreateEmbeddingJobRequest, CreateEmbeddingReductionRequest,
    CreateEmbeddingsRequest, CreateEmbeddingsResponse, DeleteEmbeddingReductionRequest,
    DeleteEmbeddingReductionResponse, EmbeddingJob, EmbeddingJobResult, EmbeddingModel,
    EmbeddingReduction, GetEmbeddingJobRequest, ListEmbeddingJobsRequest,
    ListEmbeddingJobsResponse, ListEmbeddingModelsRequest, ListEmbeddingModelsResponse,
    ListEmbeddingReductionsRequest, ListEmbeddingReductionsResponse,
    ReadEmbeddingJobResultsRequest, StreamEmbeddingsRequest, StreamEmbeddingsResponse,
    embeddings_service_server::{EmbeddingsService, EmbeddingsServiceServer},
};
use tonic::{Request, Response, Status, Streaming};

use crate::{engine::Engine, jobs::Jobs, model::ModelCard, request::Terms};

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
        let context = RequestContext::of(&request);
        let (owner, terms) = (Arc::clone(&context.caller), terms(&context));
        let answer = create::create(&self.engine, request.into_inner(), owner, terms).await;
        Ok(answer.map_err(error::api_error)?)
    }

    async fn create_embedding_reduction(
        &self,
        request: Request<CreateEmbeddingReductionRequest>,
    ) -> Result<Response<EmbeddingReduction>, Status> {
        let context = RequestContext::of(&request);
        let (owner, terms) = (Arc::clone(&context.caller), terms(&context));
        let fitted = reductions::create(&self.engine, request.into_inner(), owner, terms).await;
        Ok(Response::new(fitted.map_err(error::api_error)?))
    }

    async fn list_embedding_reductions(
        &self,
        request: Request<ListEmbeddingReductionsRequest>,
    ) -> Result<Response<ListEmbeddingReductionsResponse>, Status> {
        let owner = RequestContext::of(&request).caller;
        Ok(Response::new(reductions::list(&self.engine, &owner)))
    }

    async fn delete_embedding_reduction(
        &self,
        request: Request<DeleteEmbeddingReductionRequest>,
    ) -> Result<Response<DeleteEmbeddingReductionResponse>, Status> {
        let owner = RequestContext::of(&request).caller;
        let name = request.into_inner().name;
        let deleted = self.engine.reductions().delete(&owner, &name).await;
        Ok(Response::new(DeleteEmbeddingReductionResponse {
            deleted_versions: deleted.map_err(error::api_error)?,
        }))
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
        request: Request<Streaming<StreamEmbeddingsRequest>>,
    ) -> Result<Response<Self::StreamEmbeddingsStream>, Status> {
        let terms = terms(&RequestContext::of(&request));
        let answers = stream::answer(self.engine.clone(), request.into_inner(), terms);
        Ok(Response::new(answers.boxed()))
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

/// What a request's context says about how it is computed. Callers without a key are
/// told apart by their connections.
fn terms(context: &RequestContext) -> Terms {
    let caller = match context.peer {
        Some(peer) if &*context.caller == RequestContext::ANONYMOUS => peer.to_string().into(),
        _ => Arc::clone(&context.caller),
    };
    Terms {
        caller,
        deadline: context.deadline,
        ..Terms::default()
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
        matryoshka_dimensions: card.matryoshka.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_told_apart_by_key_and_without_one_by_connection() {
        let peer = |port| Some(([127, 0, 0, 1], port).into());
        let anonymous = |port| RequestContext {
            peer: peer(port),
            ..RequestContext::anonymous()
        };
        assert_ne!(terms(&anonymous(1)).caller, terms(&anonymous(2)).caller);
        let alice = |port| RequestContext {
            caller: "alice".into(),
            ..anonymous(port)
        };
        assert_eq!(terms(&alice(1)).caller, terms(&alice(2)).caller);
        assert_eq!(&*terms(&RequestContext::anonymous()).caller, "anonymous");
    }
}
