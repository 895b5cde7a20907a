//! The gRPC side: proto messages in, proto messages out, no rule in between; one
//! file for each family of RPCs.

mod create;
mod error;
mod stream;
mod timing;

use std::sync::Arc;

use futures_util::{StreamExt as _, stream::BoxStream};
use signalbox_chassis::{ApiError, RequestContext};
use signalbox_proto::embeddings::v1::{
    CancelEmbeddingJobRequest, CreateEmbeddingJobRequest, CreateEmbeddingsRequest,
    CreateEmbeddingsResponse, EmbeddingJob, EmbeddingJobResult, EmbeddingModel,
    GetEmbeddingJobRequest, ListEmbeddingJobsRequest, ListEmbeddingJobsResponse,
    ListEmbeddingModelsRequest, ListEmbeddingModelsResponse, ReadEmbeddingJobResultsRequest,
    StreamEmbeddingsRequest, StreamEmbeddingsResponse,
    embeddings_service_server::{EmbeddingsService, EmbeddingsServiceServer},
};
use tonic::{Request, Response, Status, Streaming};

use crate::{engine::Engine, model::ModelCard, request::Terms};

/// The service, to be mounted on a server.
pub fn service(engine: Engine) -> EmbeddingsServiceServer<Handler> {
    EmbeddingsServiceServer::new(Handler { engine })
}

/// Implements the RPCs over an [`Engine`].
pub struct Handler {
    engine: Engine,
}

#[tonic::async_trait]
impl EmbeddingsService for Handler {
    async fn create_embeddings(
        &self,
        request: Request<CreateEmbeddingsRequest>,
    ) -> Result<Response<CreateEmbeddingsResponse>, Status> {
        let terms = terms(&RequestContext::of(&request));
        let answer = create::create(&self.engine, request.into_inner(), terms).await;
        Ok(answer.map_err(error::api_error)?)
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
