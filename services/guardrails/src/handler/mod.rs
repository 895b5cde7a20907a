//! The gRPC face of the engine: proto types in, proto types out, no rule of its own.
//!
//! A check is pure computation, so a text long enough to hold up the runtime is
//! checked on a blocking thread ([`INLINE_BYTES`]), and a batch on all cores. No more
//! of them run at once than there are cores: more would not be faster, and each
//! thread keeps automata of its own in memory.

mod batch;
mod convert;
mod policies;
mod stream;

use std::{num::NonZero, sync::Arc, thread};

use signalbox_chassis::{ApiError, RequestContext};
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
    audit::Asker,
    engine::{Engine, EngineError},
    finding::Finding,
    policy::Decision,
    protect::Job,
};
use policies::Asked;

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
    /// Who sent this request.
    fn asker<T>(&self, request: &Request<T>) -> Asker {
        self.engine.control().asker(&RequestContext::of(request))
    }

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

#[async_trait]
impl GuardrailsService for Handler {
    async fn check_text(
        &self,
        request: Request<CheckTextRequest>,
    ) -> Result<Response<CheckTextResponse>, Status> {
        let asker = self.asker(&request);
        let request = request.into_inner();
        let asked = Asked {
            policy: request.policy,
            direction: request.direction,
            detectors: request.detectors,
            custom: request.custom,
            ..Asked::default()
        };
        let plan = asked.plan(self.engine.control().policies())?;
        let text = request.text;
        let answer = self
            .run(text.len(), move |engine| {
                let found = engine.check(&text, plan.selection())?.findings;
                let (decided, answer) = convert::checked(&plan, &found);
                let audit = engine.control().audit();
                audit.decided(&asker, "check", &plan, &text, &found, &decided);
                Ok(answer)
            })
            .await?;
        Ok(Response::new(answer))
    }

    async fn batch_check_text(
        &self,
        request: Request<BatchCheckTextRequest>,
    ) -> Result<Response<BatchCheckTextResponse>, Status> {
        let asker = self.asker(&request);
        let request = request.into_inner();
        let asked = Asked {
            policy: request.policy,
            direction: request.direction,
            detectors: request.detectors,
            custom: request.custom,
            ..Asked::default()
        };
        let plan = asked.plan(self.engine.control().policies())?;
        let results = batch::check(&self.engine, &self.cores, request.texts, plan, asker).await?;
        Ok(Response::new(BatchCheckTextResponse { results }))
    }

    async fn redact_text(
        &self,
        request: Request<RedactTextRequest>,
    ) -> Result<Response<RedactTextResponse>, Status> {
        let asker = self.asker(&request);
        let request = request.into_inner();
        let asked = Asked {
            policy: request.policy,
            direction: request.direction,
            detectors: request.detectors,
            custom: request.custom,
            operators: request.operators,
        };
        let control = self.engine.control();
        let plan = Arc::new(asked.plan(control.policies())?);
        let text: Arc<str> = request.text.into();
        let findings: Arc<[Finding]> = {
            let (plan, text) = (Arc::clone(&plan), Arc::clone(&text));
            self.run(text.len(), move |engine| {
                Ok(engine.check(&text, plan.selection())?.findings)
            })
            .await?
            .into()
        };
        let decided = Arc::new(Decision::new(&plan, &findings));
        let job = Job {
            plan: Arc::clone(&plan),
            keys: asker.keys.clone(),
            text: Arc::clone(&text),
            findings: Arc::clone(&findings),
            decision: Arc::clone(&decided),
            year: control.year(),
        };
        let protected = job
            .run(control.vault(), &request.session_id)
            .await
            .map_err(policies::protect_error)?;
        control
            .audit()
            .decided(&asker, "redact", &plan, &text, &findings, &decided);
        let operator = |at: usize, finding: &Finding| {
            let replaced = decided.replaces(at);
            let name = replaced.then(|| plan.operator(finding).operator.name);
            name.unwrap_or_default().to_owned()
        };
        Ok(Response::new(RedactTextResponse {
            action: convert::action(decided.action).into(),
            decision: Some(convert::decision(&plan, &decided)),
            findings: convert::findings_of(&findings, &decided, operator),
            text: protected.text,
            session_id: protected.session,
        }))
    }

    async fn restore_text(
        &self,
        request: Request<RestoreTextRequest>,
    ) -> Result<Response<RestoreTextResponse>, Status> {
        let asker = self.asker(&request);
        let RestoreTextRequest { text, session_id } = request.into_inner();
        self.engine
            .admit(&text)
            .map_err(|error| convert::engine_error(error, "text"))?;
        let control = self.engine.control();
        let restorer = control.restorer(&asker.keys, &session_id).await;
        let restorer = restorer.map_err(policies::restore_error)?;
        let (text, restored) = self
            .run(text.len(), move |_| Ok(restorer.restore(&text)))
            .await?;
        control.audit().restored(&asker, restored);
        let restored = u32::try_from(restored).unwrap_or(u32::MAX);
        Ok(Response::new(RestoreTextResponse { text, restored }))
    }

    type CheckStreamStream = BoxStream<CheckStreamResponse>;

    async fn check_stream(
        &self,
        request: Request<Streaming<CheckStreamRequest>>,
    ) -> Result<Response<Self::CheckStreamStream>, Status> {
        let asker = self.asker(&request);
        let answers = stream::answer(self.clone(), asker, request.into_inner());
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
        let all = self.engine.control().policies().all();
        let policies = all
            .iter()
            .map(|profile| policies::policy(profile, &self.engine))
            .collect();
        Ok(Response::new(ListPoliciesResponse { policies }))
    }
}
