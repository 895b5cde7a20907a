//! The gRPC face of the engine: proto types in, proto types out, no rule of its own.
//!
//! A check is pure computation, so a text long enough to hold up the runtime is
//! checked on a blocking thread ([`INLINE_BYTES`]), and a batch on all cores. No more
//! of them run at once than there are cores: more would not be faster, and each
//! thread keeps automata of its own in memory.

mod batch;
mod convert;
mod stream;

use std::{num::NonZero, sync::Arc, thread};

use signalbox_chassis::ApiError;
use signalbox_proto::guardrails::v1::{
    BatchCheckTextRequest, BatchCheckTextResponse, CheckStreamRequest, CheckStreamResponse,
    CheckTextRequest, CheckTextResponse, CreateModerationRequest, CreateModerationResponse,
    ListDetectorsRequest, ListDetectorsResponse, ListPoliciesRequest, ListPoliciesResponse,
    RedactTextRequest, RedactTextResponse, RestoreTextRequest, RestoreTextResponse,
    guardrails_service_server::{GuardrailsService, GuardrailsServiceServer},
};
use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinHandle},
};
use tonic::{Request, Response, Status, Streaming, async_trait, codegen::BoxStream};

use crate::{
    engine::{Engine, EngineError, Selection},
    policy::Policy,
};

/// Texts up to this many bytes are checked on the runtime's own thread: some tenths
/// of a millisecond, less than handing them over would be worth.
const INLINE_BYTES: usize = 32 << 10;

/// Room in a message for what is not text.
const MESSAGE_OVERHEAD: usize = 1 << 20;

/// Serves an [`Engine`].
#[derive(Clone, Debug)]
pub struct Handler {
    engine: Arc<Engine>,
    /// One permit for each core.
    cores: Arc<Semaphore>,
}

/// The service, ready for a tonic server. It accepts messages a little larger than
/// the engine's limits, so that a text over them is refused by name.
pub fn service(engine: Arc<Engine>) -> GuardrailsServiceServer<Handler> {
    let largest = engine.largest_message().saturating_add(MESSAGE_OVERHEAD);
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let handler = Handler {
        engine,
        cores: Arc::new(Semaphore::new(cores)),
    };
    GuardrailsServiceServer::new(handler).max_decoding_message_size(largest)
}

impl Handler {
    /// Runs `work` here or, for many bytes, on a blocking thread.
    async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&Engine) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let done = if bytes <= INLINE_BYTES {
            work(&self.engine)
        } else {
            let engine = Arc::clone(&self.engine);
            let span = tracing::Span::current();
            on_core(&self.cores, move || span.in_scope(|| work(&engine)))
                .await?
                .await
                .map_err(aborted)?
        };
        done.map_err(|error| convert::engine_error(error, "text"))
    }
}

/// Waits for a free core and starts `work` on a blocking thread. The core stays
/// taken until the work ends, also when nobody waits for it any more.
async fn on_core<T: Send + 'static>(
    cores: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, ApiError> {
    let permit = Arc::clone(cores).acquire_owned().await;
    let permit = permit.map_err(|_| ApiError::internal("the service is closed"))?;
    Ok(tokio::task::spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    }))
}

/// The runtime is shutting down, or a check panicked.
fn aborted(_: JoinError) -> ApiError {
    ApiError::internal("the check was aborted")
}

fn selection(detectors: &[String]) -> Result<Selection, ApiError> {
    Selection::named(detectors).map_err(|error| convert::engine_error(error, "text"))
}

fn policy(name: &str) -> Result<Policy, ApiError> {
    Policy::named(name).map_err(|unknown| {
        ApiError::not_found("policy", &unknown.0, "leave it empty or say `default`")
    })
}

#[async_trait]
impl GuardrailsService for Handler {
    async fn check_text(
        &self,
        request: Request<CheckTextRequest>,
    ) -> Result<Response<CheckTextResponse>, Status> {
        let request = request.into_inner();
        let policy = policy(&request.policy)?;
        let selection = selection(&request.detectors)?;
        let text = request.text;
        let report = self
            .run(text.len(), move |engine| engine.check(&text, &selection))
            .await?;
        Ok(Response::new(convert::checked(policy, report.findings)))
    }

    async fn batch_check_text(
        &self,
        request: Request<BatchCheckTextRequest>,
    ) -> Result<Response<BatchCheckTextResponse>, Status> {
        let request = request.into_inner();
        let policy = policy(&request.policy)?;
        let selection = selection(&request.detectors)?;
        let results =
            batch::check(&self.engine, &self.cores, request.texts, selection, policy).await?;
        Ok(Response::new(BatchCheckTextResponse { results }))
    }

    async fn redact_text(
        &self,
        request: Request<RedactTextRequest>,
    ) -> Result<Response<RedactTextResponse>, Status> {
        let request = request.into_inner();
        policy(&request.policy)?;
        let selection = selection(&request.detectors)?;
        let text = request.text;
        let redacted = self
            .run(text.len(), move |engine| engine.redact(&text, &selection))
            .await?;
        Ok(Response::new(RedactTextResponse {
            text: redacted.text,
            findings: redacted
                .findings
                .into_iter()
                .map(convert::finding)
                .collect(),
        }))
    }

    async fn restore_text(
        &self,
        _: Request<RestoreTextRequest>,
    ) -> Result<Response<RestoreTextResponse>, Status> {
        Err(ApiError::unimplemented("GuardrailsService.RestoreText").into())
    }

    type CheckStreamStream = BoxStream<CheckStreamResponse>;

    async fn check_stream(
        &self,
        request: Request<Streaming<CheckStreamRequest>>,
    ) -> Result<Response<Self::CheckStreamStream>, Status> {
        let answers = stream::answer(self.clone(), request.into_inner());
        Ok(Response::new(Box::pin(answers)))
    }

    async fn create_moderation(
        &self,
        _: Request<CreateModerationRequest>,
    ) -> Result<Response<CreateModerationResponse>, Status> {
        Err(ApiError::unimplemented("GuardrailsService.CreateModeration").into())
    }

    async fn list_detectors(
        &self,
        _: Request<ListDetectorsRequest>,
    ) -> Result<Response<ListDetectorsResponse>, Status> {
        let detectors = convert::detectors(&self.engine);
        Ok(Response::new(ListDetectorsResponse { detectors }))
    }

    async fn list_policies(
        &self,
        _: Request<ListPoliciesRequest>,
    ) -> Result<Response<ListPoliciesResponse>, Status> {
        Err(ApiError::unimplemented("GuardrailsService.ListPolicies").into())
    }
}
