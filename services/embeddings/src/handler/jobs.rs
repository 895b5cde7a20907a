//! The job RPCs: from the proto's shape to the terms of [`crate::jobs`] and back.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::BoxStream};
use prost_types::Timestamp;
use signalbox_chassis::{ApiError, context::RequestContext, error::reason};
use signalbox_proto::embeddings::v1::{
    CancelEmbeddingJobRequest, CreateEmbeddingJobRequest, EmbeddingJob, EmbeddingJobResult,
    GetEmbeddingJobRequest, ListEmbeddingJobsRequest, ListEmbeddingJobsResponse,
    ReadEmbeddingJobResultsRequest, embedding_job,
};
use tonic::{Code, Request, Status};

use crate::jobs::{
    JobError, Jobs,
    job::{ItemError, ItemResult, Job, JobState, UnixMs},
    service::NewJob,
};

/// `ErrorInfo.reason`: the idempotency key made a job with other content.
const KEY_REUSED: &str = "IDEMPOTENCY_KEY_REUSED";
/// `ErrorInfo.reason`: the caller keeps as many jobs as it may.
const TOO_MANY_JOBS: &str = "TOO_MANY_JOBS";
/// `ErrorInfo.reason`: what keeps the jobs cannot be reached.
const STORE_UNAVAILABLE: &str = "JOB_STORE_UNAVAILABLE";
/// `ErrorInfo.reason`: a stored record cannot be read.
const STORE_CORRUPT: &str = "JOB_STORE_CORRUPT";

/// What a caller is told to wait for a store that failed.
const STORE_RETRY: Duration = Duration::from_secs(2);

pub(super) async fn create(
    jobs: &Jobs,
    request: Request<CreateEmbeddingJobRequest>,
) -> Result<EmbeddingJob, ApiError> {
    let caller = caller(&request);
    let CreateEmbeddingJobRequest {
        idempotency_key,
        model,
        input,
    } = request.into_inner();
    let new = NewJob {
        model,
        texts: input,
        key: idempotency_key,
    };
    let job = jobs.create(&caller, new).await;
    job.map(to_proto).map_err(|error| api_error(error, &caller))
}

pub(super) async fn get(
    jobs: &Jobs,
    request: Request<GetEmbeddingJobRequest>,
) -> Result<EmbeddingJob, ApiError> {
    let caller = caller(&request);
    let job = jobs.get(&caller, &request.get_ref().job_id).await;
    job.map(to_proto).map_err(|error| api_error(error, &caller))
}

pub(super) async fn list(
    jobs: &Jobs,
    request: Request<ListEmbeddingJobsRequest>,
) -> Result<ListEmbeddingJobsResponse, ApiError> {
    let caller = caller(&request);
    let ListEmbeddingJobsRequest {
        page_size,
        page_token,
    } = request.into_inner();
    let page = jobs
        .list(&caller, page_size, &page_token)
        .await
        .map_err(|error| api_error(error, &caller))?;
    Ok(ListEmbeddingJobsResponse {
        jobs: page.jobs.into_iter().map(to_proto).collect(),
        next_page_token: page.next,
    })
}

pub(super) async fn cancel(
    jobs: &Jobs,
    request: Request<CancelEmbeddingJobRequest>,
) -> Result<EmbeddingJob, ApiError> {
    let caller = caller(&request);
    let job = jobs.cancel(&caller, &request.get_ref().job_id).await;
    job.map(to_proto).map_err(|error| api_error(error, &caller))
}

pub(super) async fn results(
    jobs: &Arc<Jobs>,
    request: Request<ReadEmbeddingJobResultsRequest>,
) -> Result<BoxStream<'static, Result<EmbeddingJobResult, Status>>, ApiError> {
    let caller = caller(&request);
    let ReadEmbeddingJobResultsRequest {
        job_id,
        start_index,
        follow,
    } = request.into_inner();
    let results = jobs
        .results(&caller, &job_id, start_index, follow)
        .await
        .map_err(|error| api_error(error, &caller))?;
    let results = results.map(move |result| match result {
        Ok((index, result)) => Ok(result_to_proto(index, result)),
        Err(error) => Err(api_error(error, &caller).into()),
    });
    Ok(results.boxed())
}

fn caller<T>(request: &Request<T>) -> Arc<str> {
    RequestContext::of(request).caller
}

fn to_proto(job: Job) -> EmbeddingJob {
    let Job { spec, progress } = job;
    let state = match progress.state {
        JobState::Pending => embedding_job::State::Pending,
        JobState::Running => embedding_job::State::Running,
        JobState::Succeeded => embedding_job::State::Succeeded,
        JobState::Failed => embedding_job::State::Failed,
        JobState::Cancelled => embedding_job::State::Cancelled,
    };
    let whole = |left: Duration| left.as_secs_f64().ceil() as u32;
    let ended = progress.touched.filter(|_| progress.state.is_final());
    EmbeddingJob {
        job_id: spec.id.to_string(),
        state: state.into(),
        total_items: spec.total,
        done_items: progress.done,
        failed_items: progress.failed,
        create_time: Some(timestamp(spec.created)),
        expire_time: Some(timestamp(spec.expires)),
        start_time: progress.started.map(timestamp),
        end_time: ended.map(timestamp),
        items_per_second: progress.rate(),
        eta_seconds: progress.remaining(spec.total).map_or(0, whole),
        error_message: progress.error,
        model: spec.model,
    }
}

fn timestamp(at: UnixMs) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(at.0 % 1_000 * 1_000_000).unwrap_or_default(),
    }
}

fn result_to_proto(index: u32, result: ItemResult) -> EmbeddingJobResult {
    let (embedding, error_message) = match result {
        Ok(vector) => (vector, String::new()),
        Err(ItemError(message)) => (Vec::new(), message),
    };
    EmbeddingJobResult {
        index,
        embedding,
        error_message,
    }
}

fn api_error(error: JobError, caller: &str) -> ApiError {
    let message = error.to_string();
    match error {
        JobError::Invalid { field, fix } => ApiError::invalid_field(field, fix),
        JobError::UnknownModel { name, available } => {
            let hint = format!("loaded are: {}", available.join(", "));
            ApiError::not_found("model", &name, hint)
        }
        JobError::NotFound { id } => ApiError::new(Code::NotFound, reason::NOT_FOUND, message)
            .with_metadata("resource_type", "embedding_job")
            .with_metadata("resource_name", &id),
        JobError::KeyReused { key, id } => ApiError::new(Code::AlreadyExists, KEY_REUSED, message)
            .with_metadata("idempotency_key", &key)
            .with_metadata("job_id", &id),
        JobError::TooManyJobs { retry_after, .. } => {
            ApiError::exhausted(TOO_MANY_JOBS, message, retry_after)
                .with_quota_subject(format!("caller:{caller}"))
        }
        // The details are ours to read, not the caller's.
        JobError::Store(detail) => {
            tracing::error!(detail, "the store of jobs failed");
            let message = "the store of jobs cannot be reached; try again";
            ApiError::new(Code::Unavailable, STORE_UNAVAILABLE, message)
                .with_retry_after(STORE_RETRY)
        }
        JobError::Corrupt { record, detail } => {
            tracing::error!(record, detail, "a stored record is damaged");
            let message = format!("{record} cannot be read; create the job again");
            ApiError::new(Code::DataLoss, STORE_CORRUPT, message)
        }
    }
}
