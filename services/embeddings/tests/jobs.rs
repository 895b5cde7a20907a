//! Jobs through the RPCs, over a model that needs no files.

#![allow(clippy::unwrap_used)]

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use signalbox_chassis::context::RequestContext;
use signalbox_embeddings::{
    EmbeddingsConfig, Engine, Jobs,
    cache::CacheConfig,
    handler::Handler,
    jobs::{JobsConfig, config::StoreConfig},
    model::{Encoded, Model, ModelCard},
    request::EmbedError,
    service,
};
use signalbox_encoder::{InputType, TokenIdError, Tokenized};
use signalbox_proto::embeddings::v1::{
    CancelEmbeddingJobRequest, CreateEmbeddingJobRequest, EmbeddingJob, EmbeddingJobResult,
    GetEmbeddingJobRequest, ListEmbeddingJobsRequest, ListEmbeddingJobsResponse,
    ReadEmbeddingJobResultsRequest, embedding_job::State,
    embeddings_service_client::EmbeddingsServiceClient,
    embeddings_service_server::EmbeddingsServiceServer,
};
use tokio::sync::Semaphore;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

/// A text's length as its vector; fails on "poison". Works through as many calls as
/// `gate` has permits.
struct Lengths {
    gate: Arc<Semaphore>,
}

impl Model for Lengths {
    fn tokenize(&self, text: &str, _: InputType) -> Result<Tokenized, EmbedError> {
        Ok(Tokenized::new(text.bytes().map(u32::from).collect(), false))
    }

    fn accept_ids(&self, _: &[u32]) -> Result<Tokenized, TokenIdError> {
        panic!("a job sends texts");
    }

    fn encode(&self, batch: &[Tokenized], cancel: &AtomicBool) -> Result<Encoded, EmbedError> {
        loop {
            if let Ok(permit) = self.gate.try_acquire() {
                permit.forget();
                break;
            }
            if cancel.load(Ordering::Relaxed) {
                return Err(EmbedError::Cancelled);
            }
            std::thread::yield_now();
        }
        let poison: Vec<u32> = b"poison".iter().map(|byte| u32::from(*byte)).collect();
        if batch.iter().any(|text| text.ids() == poison) {
            return Err(EmbedError::Failed("poison".to_owned()));
        }
        let length = |text: &Tokenized| f32::from(u16::try_from(text.ids().len()).unwrap());
        Ok(Encoded {
            vectors: batch.iter().map(|text| vec![length(text), 1.0]).collect(),
            pooling: Duration::ZERO,
        })
    }
}

struct Service {
    /// In this process, without a socket; a request's extensions reach the handler.
    client: EmbeddingsServiceClient<EmbeddingsServiceServer<Handler>>,
    jobs: Arc<Jobs>,
    gate: Arc<Semaphore>,
}

fn config() -> JobsConfig {
    JobsConfig {
        chunk_items: NonZeroU32::new(2).unwrap(),
        max_items: NonZeroU32::new(50).unwrap(),
        max_bytes: NonZeroU32::new(1_000).unwrap(),
        ..JobsConfig::default()
    }
}

impl Service {
    async fn start(config: JobsConfig, calls: usize) -> Self {
        let gate = Arc::new(Semaphore::new(calls));
        let model: Arc<dyn Model> = Arc::new(Lengths {
            gate: Arc::clone(&gate),
        });
        let card = ModelCard {
            name: "lengths".to_owned(),
            revision: String::new(),
            dimensions: 2,
            matryoshka: Vec::new(),
            max_input_tokens: 1_000,
            pooling: "mean".to_owned(),
            license: "Apache-2.0".to_owned(),
        };
        // Off: a call that the gate holds back must not be answered from it.
        let cache = CacheConfig {
            ttl_seconds: 0,
            ..CacheConfig::default()
        };
        let embeddings = EmbeddingsConfig {
            cache,
            worker_threads: 1.try_into().ok(),
            ..EmbeddingsConfig::default()
        };
        let engine = Engine::new(&embeddings, [(card, model)]).unwrap();
        let jobs = Jobs::start(&config, Arc::new(engine.clone()))
            .await
            .unwrap();
        let jobs = Arc::new(jobs);
        let client = EmbeddingsServiceClient::new(service(engine, Arc::clone(&jobs)));
        Self { client, jobs, gate }
    }

    /// With room for every call.
    async fn open() -> Self {
        Self::start(config(), Semaphore::MAX_PERMITS).await
    }

    async fn create(
        &self,
        caller: &str,
        key: &str,
        texts: &[&str],
    ) -> Result<EmbeddingJob, Status> {
        let request = CreateEmbeddingJobRequest {
            idempotency_key: key.to_owned(),
            model: "lengths".to_owned(),
            input: texts.iter().map(|text| (*text).to_owned()).collect(),
        };
        let answer = self
            .client
            .clone()
            .create_embedding_job(by(caller, request))
            .await;
        answer.map(tonic::Response::into_inner)
    }

    async fn get(&self, caller: &str, id: &str) -> Result<EmbeddingJob, Status> {
        let job_id = id.to_owned();
        let request = by(caller, GetEmbeddingJobRequest { job_id });
        let answer = self.client.clone().get_embedding_job(request).await;
        answer.map(tonic::Response::into_inner)
    }

    async fn cancel(&self, caller: &str, id: &str) -> Result<EmbeddingJob, Status> {
        let job_id = id.to_owned();
        let request = by(caller, CancelEmbeddingJobRequest { job_id });
        let answer = self.client.clone().cancel_embedding_job(request).await;
        answer.map(tonic::Response::into_inner)
    }

    async fn list(
        &self,
        caller: &str,
        page_size: i32,
        page_token: &str,
    ) -> Result<ListEmbeddingJobsResponse, Status> {
        let page_token = page_token.to_owned();
        let request = ListEmbeddingJobsRequest {
            page_size,
            page_token,
        };
        let answer = self
            .client
            .clone()
            .list_embedding_jobs(by(caller, request))
            .await;
        answer.map(tonic::Response::into_inner)
    }

    async fn results(
        &self,
        caller: &str,
        id: &str,
        start_index: u32,
        follow: bool,
    ) -> Result<Vec<EmbeddingJobResult>, Status> {
        let request = ReadEmbeddingJobResultsRequest {
            job_id: id.to_owned(),
            start_index,
            follow,
        };
        let request = by(caller, request);
        let stream = self
            .client
            .clone()
            .read_embedding_job_results(request)
            .await?;
        stream.into_inner().collect().await
    }
}

fn by<T>(caller: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(RequestContext {
        caller: caller.into(),
        ..RequestContext::anonymous()
    });
    request
}

fn reason(status: &Status) -> String {
    status
        .get_error_details()
        .error_info()
        .unwrap()
        .reason
        .clone()
}

/// The one field that an `INVALID_ARGUMENT` names.
fn field<T: std::fmt::Debug>(result: Result<T, Status>) -> String {
    let status = result.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let details = status.get_error_details();
    details.bad_request().unwrap().field_violations[0]
        .field
        .clone()
}

fn indices(results: &[EmbeddingJobResult]) -> Vec<u32> {
    results.iter().map(|result| result.index).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_gives_every_text_a_vector_or_an_error_in_input_order() {
    let service = Service::open().await;
    let texts = ["a", "bb", "", "cccc", "poison", "e", "ff"];
    let job = service.create("alice", "", &texts).await.unwrap();
    assert_eq!((job.state(), job.total_items), (State::Pending, 7));
    let results = service
        .results("alice", &job.job_id, 0, true)
        .await
        .unwrap();
    assert_eq!(indices(&results), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(results[3].embedding, [4.0, 1.0]);
    for (index, words) in [
        (2, "the text is empty"),
        (4, "the model failed on this text"),
    ] {
        assert!(results[index].embedding.is_empty());
        assert_eq!(results[index].error_message, words);
    }
    let done = service.get("alice", &job.job_id).await.unwrap();
    assert_eq!(done.state(), State::Succeeded);
    assert_eq!((done.done_items, done.failed_items), (5, 2));
    assert!(done.items_per_second > 0.0 && done.eta_seconds == 0);
    assert!(done.start_time.is_some() && done.end_time.is_some());
    let ttl = done.expire_time.unwrap().seconds - done.create_time.unwrap().seconds;
    assert_eq!(ttl, 24 * 60 * 60);
    let rest = service
        .results("alice", &job.job_id, 5, false)
        .await
        .unwrap();
    assert_eq!(indices(&rest), [5, 6]);
    assert!(
        service
            .results("alice", &job.job_id, 7, false)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        field(service.results("alice", &job.job_id, 8, false).await),
        "start_index"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_while_a_job_runs_and_a_reader_may_wait_or_not() {
    let service = Service::start(config(), 2).await;
    let texts: Vec<String> = (0..10).map(|n| "x".repeat(n + 1)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let job = service.create("alice", "", &texts).await.unwrap();
    let running = loop {
        let job = service.get("alice", &job.job_id).await.unwrap();
        if job.done_items == 4 {
            break job;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(running.state(), State::Running);
    assert!(running.items_per_second > 0.0 && running.eta_seconds > 0);
    assert!(running.end_time.is_none());
    let there = service
        .results("alice", &job.job_id, 1, false)
        .await
        .unwrap();
    assert_eq!(indices(&there), [1, 2, 3]);
    let reader = service.results("alice", &job.job_id, 4, true);
    service.gate.add_permits(100);
    assert_eq!(indices(&reader.await.unwrap()), [4, 5, 6, 7, 8, 9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_keeps_what_it_has() {
    let service = Service::start(config(), 1).await;
    let job = service
        .create("alice", "", &["a", "b", "c", "d", "e"])
        .await
        .unwrap();
    while service.get("alice", &job.job_id).await.unwrap().done_items < 2 {
        tokio::task::yield_now().await;
    }
    let cancelled = service.cancel("alice", &job.job_id).await.unwrap();
    assert_eq!(cancelled.state(), State::Cancelled);
    service.gate.add_permits(100);
    let results = service
        .results("alice", &job.job_id, 0, true)
        .await
        .unwrap();
    assert_eq!(indices(&results), [0, 1]);
    assert_eq!(
        service.cancel("alice", &job.job_id).await.unwrap(),
        cancelled
    );
    // The worker goes on with the next job.
    let next = service.create("alice", "", &["x"]).await.unwrap();
    assert_eq!(
        service
            .results("alice", &next.job_id, 0, true)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_key_is_good_for_one_content() {
    let service = Service::open().await;
    let job = service.create("alice", "k", &["a", "b"]).await.unwrap();
    let again = service.create("alice", "k", &["a", "b"]).await.unwrap();
    assert_eq!(again.job_id, job.job_id);
    for other in [&["a"][..], &["ab"], &["a", "b", ""], &["b", "a"]] {
        let status = service.create("alice", "k", other).await.unwrap_err();
        assert_eq!(status.code(), Code::AlreadyExists);
        assert_eq!(reason(&status), "IDEMPOTENCY_KEY_REUSED");
        let info = status.get_error_details().error_info().unwrap().clone();
        assert_eq!(info.metadata["job_id"], job.job_id);
    }
    let bobs = service.create("bob", "k", &["b"]).await.unwrap();
    assert_ne!(bobs.job_id, job.job_id);
}

#[tokio::test]
async fn another_callers_job_does_not_exist() {
    let service = Service::open().await;
    let id = service.create("alice", "", &["a"]).await.unwrap().job_id;
    let refusals = [
        service.get("bob", &id).await.unwrap_err(),
        service.cancel("bob", &id).await.unwrap_err(),
        service.results("bob", &id, 0, false).await.unwrap_err(),
        service.get("alice", "j-1").await.unwrap_err(),
        service.get("alice", "").await.unwrap_err(),
    ];
    for status in refusals {
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(reason(&status), "NOT_FOUND");
    }
    assert!(service.list("bob", 0, "").await.unwrap().jobs.is_empty());
    assert!(service.get("alice", &id).await.is_ok());
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_with_its_field() {
    let service = Service::open().await;
    let many = vec!["x"; 51];
    let long = "x".repeat(1_001);
    let key = "k".repeat(129);
    assert_eq!(field(service.create("alice", "", &[]).await), "input");
    assert_eq!(field(service.create("alice", "", &many).await), "input");
    assert_eq!(field(service.create("alice", "", &[&long]).await), "input");
    assert_eq!(
        field(service.create("alice", &key, &["a"]).await),
        "idempotency_key"
    );
    assert_eq!(field(service.list("alice", -1, "").await), "page_size");
    assert_eq!(field(service.list("alice", 1_001, "").await), "page_size");
    assert_eq!(field(service.list("alice", 5, "x").await), "page_token");
    for (model, code) in [("", Code::InvalidArgument), ("none", Code::NotFound)] {
        let request = CreateEmbeddingJobRequest {
            model: model.to_owned(),
            input: vec!["a".to_owned()],
            ..Default::default()
        };
        let answer = service
            .client
            .clone()
            .create_embedding_job(by("alice", request))
            .await;
        assert_eq!(answer.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn pages_hold_every_job_once_newest_first_though_new_ones_come() {
    let service = Service::open().await;
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.insert(0, service.create("alice", "", &["a"]).await.unwrap().job_id);
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = service.list("alice", 3, &token).await.unwrap();
        seen.extend(page.jobs.into_iter().map(|job| job.job_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        service.create("alice", "", &["late"]).await.unwrap();
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn a_caller_with_as_many_jobs_as_one_may_have_is_told_when_to_come_back() {
    let config = JobsConfig {
        max_jobs_per_caller: NonZeroU32::MIN,
        ..config()
    };
    let service = Service::start(config, 9).await;
    service.create("alice", "", &["a"]).await.unwrap();
    let status = service.create("alice", "", &["a"]).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(&status), "TOO_MANY_JOBS");
    let details = status.get_error_details();
    let wait = details.retry_info().unwrap().retry_delay.unwrap();
    assert!(wait.as_secs() > 23 * 60 * 60, "{wait:?}");
    assert!(service.create("bob", "", &["a"]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_where_it_was_when_the_service_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = JobsConfig {
        store: StoreConfig::Embedded {
            path: Some(folder.path().join("jobs.redb")),
        },
        ..config()
    };
    let first = Service::start(config.clone(), 1).await;
    let job = first
        .create("alice", "", &["a", "bb", "ccc", "d"])
        .await
        .unwrap();
    while first.get("alice", &job.job_id).await.unwrap().done_items < 2 {
        tokio::task::yield_now().await;
    }
    first.jobs.close().await;
    drop(first);
    // One call: what was embedded before is not embedded again.
    let second = Service::start(config, 1).await;
    let results = second.results("alice", &job.job_id, 0, true).await.unwrap();
    let lengths: Vec<f32> = results.iter().map(|result| result.embedding[0]).collect();
    assert_eq!(lengths, [1.0, 2.0, 3.0, 1.0]);
}

#[tokio::test]
async fn a_chunk_larger_than_a_request_is_refused_at_the_start() {
    let config = JobsConfig {
        chunk_items: NonZeroU32::new(20_000).unwrap(),
        ..JobsConfig::default()
    };
    let engine = Engine::new::<Arc<dyn Model>>(&EmbeddingsConfig::default(), []).unwrap();
    let error = Jobs::start(&config, Arc::new(engine)).await.err().unwrap();
    let words = error.to_string();
    assert!(words.starts_with("embeddings.jobs.chunk_items"), "{words}");
}
