//! Serves [`Router`] over gRPC: proto types end here, and no rule lives here.

mod convert;
mod error;
mod reply;

use std::{sync::Arc, time::SystemTime};

use futures_util::{StreamExt as _, stream::BoxStream};
use signalbox_chassis::{ApiError, RequestContext};
use signalbox_proto::router::v1::{
    ChatCompletion, ChatCompletionChunk, CreateChatCompletionRequest, ExplainRouteRequest,
    ExplainRouteResponse, GetPolicyRequest, GetUsageRequest, GetUsageResponse, ListModelsRequest,
    ListModelsResponse, RecordFeedbackRequest, RecordFeedbackResponse, ReplayPolicyRequest,
    ReplayPolicyResponse, RoutingPolicy, UpdatePolicyRequest,
    router_service_server::{RouterService, RouterServiceServer},
};
use tonic::{Request, Response, Status};

use self::reply::Reply;
use crate::Router;

/// Largest request that is read: a prompt at its limit with all that JSON and proto
/// add. The contract's own limits are checked after.
const MAX_REQUEST_BYTES: usize = 4 << 20;

/// The gRPC service over this Router.
pub fn service(router: Arc<Router>) -> RouterServiceServer<Handler> {
    RouterServiceServer::new(Handler { router }).max_decoding_message_size(MAX_REQUEST_BYTES)
}

/// The implementation of `RouterService`.
pub struct Handler {
    router: Arc<Router>,
}

#[tonic::async_trait]
impl RouterService for Handler {
    async fn create_chat_completion(
        &self,
        request: Request<CreateChatCompletionRequest>,
    ) -> Result<Response<ChatCompletion>, Status> {
        let context = RequestContext::of(&request);
        let prompt = convert::prompt(request.into_inner(), &context, &self.router.limits)?;
        let answer = self.router.complete(prompt).await.map_err(ApiError::from)?;
        let reply = Reply::new(&context, SystemTime::now());
        let headers = reply::headers(&answer.answering, Some(answer.settlement.cost));
        let mut response = Response::new(reply.completion(answer)?);
        *response.metadata_mut() = headers;
        Ok(response)
    }

    type StreamChatCompletionStream = BoxStream<'static, Result<ChatCompletionChunk, Status>>;

    async fn stream_chat_completion(
        &self,
        request: Request<CreateChatCompletionRequest>,
    ) -> Result<Response<Self::StreamChatCompletionStream>, Status> {
        let context = RequestContext::of(&request);
        let request = request.into_inner();
        let include_usage = request
            .stream_options
            .is_some_and(|options| options.include_usage);
        let prompt = convert::prompt(request, &context, &self.router.limits)?;
        let answer = self.router.stream(prompt).await.map_err(ApiError::from)?;
        let reply = Reply::new(&context, SystemTime::now());
        Ok(Response::new(reply.chunks(answer, include_usage).boxed()))
    }

    async fn list_models(
        &self,
        _: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        Ok(Response::new(convert::models(&self.router.catalog)))
    }

    async fn get_usage(
        &self,
        request: Request<GetUsageRequest>,
    ) -> Result<Response<GetUsageResponse>, Status> {
        let filter = convert::usage_filter(request.into_inner());
        let rows = self
            .router
            .ledger
            .usage(filter)
            .await
            .map_err(error::ledger)?;
        Ok(Response::new(convert::usage(rows)?))
    }

    async fn explain_route(
        &self,
        _: Request<ExplainRouteRequest>,
    ) -> Result<Response<ExplainRouteResponse>, Status> {
        Err(ApiError::unimplemented("RouterService.ExplainRoute").into())
    }

    async fn record_feedback(
        &self,
        _: Request<RecordFeedbackRequest>,
    ) -> Result<Response<RecordFeedbackResponse>, Status> {
        Err(ApiError::unimplemented("RouterService.RecordFeedback").into())
    }

    async fn get_policy(
        &self,
        _: Request<GetPolicyRequest>,
    ) -> Result<Response<RoutingPolicy>, Status> {
        Err(ApiError::unimplemented("RouterService.GetPolicy").into())
    }

    async fn update_policy(
        &self,
        _: Request<UpdatePolicyRequest>,
    ) -> Result<Response<RoutingPolicy>, Status> {
        Err(ApiError::unimplemented("RouterService.UpdatePolicy").into())
    }

    async fn replay_policy(
        &self,
        _: Request<ReplayPolicyRequest>,
    ) -> Result<Response<ReplayPolicyResponse>, Status> {
        Err(ApiError::unimplemented("RouterService.ReplayPolicy").into())
    }
}

#[cfg(test)]
mod tests;
