//! Redis and Kafka go away in the middle of a job, and come back: the job goes on where
//! it was, and calls meanwhile are told what is the matter. Redis speaks TLS here,
//! and Kafka asks for a password.

#![allow(clippy::unwrap_used)]

mod certificates;

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use certificates::{Certificates, url};
use futures_util::StreamExt as _;
use signalbox_chassis::config::Secret;
use signalbox_embeddings::{
    EmbeddingsConfig, Engine, Jobs, RedisTls,
    cache::CacheConfig,
    handler::Handler,
    jobs::{
        JobsConfig,
        config::{DistributedConfig, KafkaConfig, SaslConfig, StoreConfig},
    },
    model::{Encoded, Model, ModelCard},
    request::EmbedError,
    service,
};
use signalbox_encoder::{InputType, TokenIdError, Tokenized};
use signalbox_proto::embeddings::v1::{
    CreateEmbeddingJobRequest, EmbeddingJob, GetEmbeddingJobRequest,
    ReadEmbeddingJobResultsRequest, embedding_job::State,
    embeddings_service_client::EmbeddingsServiceClient,
    embeddings_service_server::EmbeddingsServiceServer,
};
use signalbox_test_servers::{Kafka, Redis};
use tokio::{sync::Semaphore, time};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What Kafka asks for.
const USER: &str = "signalbox";
const PASSWORD: &str = "correct horse";

/// Texts of a job, in chunks of two.
const TEXTS: usize = 40;

/// Far above what any of these takes; only a hang reaches it.
const HANG: Duration = Duration::from_secs(120);

/// Gives each text its length, a batch for each permit.
struct Lengths {
    gate: Arc<Semaphore>,
    computed: AtomicUsize,
}

impl Model for Lengths {
    fn tokenize(&self, text: &str, _: InputType) -> Result<Tokenized, EmbedError> {
        Ok(Tokenized::new(text.bytes().map(u32::from).collect(), false))
    }

    fn accept_ids(&self, ids: &[u32]) -> Result<Tokenized, TokenIdError> {
        Ok(Tokenized::new(ids.to_vec(), false))
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
            std::thread::sleep(Duration::from_millis(1));
        }
        self.computed.fetch_add(batch.len(), Ordering::Relaxed);
        let length = |text: &Tokenized| f32::from(u16::try_from(text.ids().len()).unwrap());
        Ok(Encoded {
            vectors: batch.iter().map(|text| vec![length(text), 1.0]).collect(),
            pooling: Duration::ZERO,
        })
    }
}

/// One process with a worker.
struct Process {
    client: EmbeddingsServiceClient<EmbeddingsServiceServer<Handler>>,
    jobs: Arc<Jobs>,
    model: Arc<Lengths>,
}

impl Process {
    async fn start(redis: &Redis, tls: RedisTls, kafka: &Kafka) -> Self {
        let model = Arc::new(Lengths {
            gate: Arc::new(Semaphore::new(0)),
            computed: AtomicUsize::new(0),
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
        let config = EmbeddingsConfig {
            cache: CacheConfig {
                ttl_seconds: 0,
                ..CacheConfig::default()
            },
            worker_threads: 1.try_into().ok(),
            ..EmbeddingsConfig::default()
        };
        let local = Arc::clone(&model) as Arc<dyn Model>;
        let engine = Engine::new(&config, [(card, local)]).unwrap();
        let number = |value| NonZeroU32::new(value).unwrap();
        let store = DistributedConfig {
            redis_url: url(redis),
            redis_tls: tls,
            redis_prefix: "{outage}".to_owned(),
            kafka: KafkaConfig {
                brokers: kafka.brokers(),
                topic: "outage".to_owned(),
                group: "outage".to_owned(),
                partitions: number(4),
                sasl: Some(SaslConfig {
                    username: USER.to_owned(),
                    password: Secret::new(PASSWORD),
                }),
                // A job that is made without Kafka is taken in after this.
                properties: BTreeMap::from([("message.timeout.ms".to_owned(), "1000".to_owned())]),
                consumer_properties: BTreeMap::from([(
                    "session.timeout.ms".to_owned(),
                    "3000".to_owned(),
                )]),
            },
        };
        let jobs = JobsConfig {
            store: StoreConfig::Distributed(Box::new(store)),
            chunk_items: number(2),
            lease_seconds: number(5),
            sweep_seconds: number(1),
            ..JobsConfig::default()
        };
        let jobs = Jobs::start(&jobs, Arc::new(engine.clone())).await.unwrap();
        let jobs = Arc::new(jobs);
        Self {
            client: EmbeddingsServiceClient::new(service(engine, Arc::clone(&jobs))),
            jobs,
            model,
        }
    }

    async fn create(&self) -> Result<EmbeddingJob, Status> {
        let new = CreateEmbeddingJobRequest {
            model: "lengths".to_owned(),
            input: (0..TEXTS).map(|n| "x".repeat(n + 1)).collect(),
            ..CreateEmbeddingJobRequest::default()
        };
        let answer = self.client.clone().create_embedding_job(new).await?;
        Ok(answer.into_inner())
    }

    async fn get(&self, id: &str) -> Result<EmbeddingJob, Status> {
        let job_id = id.to_owned();
        let get = GetEmbeddingJobRequest { job_id };
        let answer = self.client.clone().get_embedding_job(get).await?;
        Ok(answer.into_inner())
    }

    /// Lets so many chunks be embedded.
    fn open(&self, chunks: usize) {
        self.model.gate.add_permits(chunks);
    }

    /// The job once it is like this. An outage that ends is no reason to give up.
    async fn until(&self, id: &str, matches: impl Fn(&EmbeddingJob) -> bool) -> EmbeddingJob {
        let look = async {
            loop {
                match self.get(id).await {
                    Ok(job) if matches(&job) => return job,
                    Ok(_) => {}
                    Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
                }
                time::sleep(Duration::from_millis(50)).await;
            }
        };
        time::timeout(HANG, look).await.expect("the job goes on")
    }

    /// Waits until the job is done, and checks every result.
    async fn succeeds(&self, id: &str) {
        let done = self.until(id, |job| job.end_time.is_some()).await;
        assert_eq!(done.state(), State::Succeeded, "{}", done.error_message);
        assert_eq!((done.done_items, done.failed_items), (TEXTS as u32, 0));
        let read = ReadEmbeddingJobResultsRequest {
            job_id: id.to_owned(),
            ..ReadEmbeddingJobResultsRequest::default()
        };
        let results = self.client.clone().read_embedding_job_results(read).await;
        let results: Vec<_> = results.unwrap().into_inner().collect().await;
        assert_eq!(results.len(), TEXTS);
        for (index, result) in results.into_iter().enumerate() {
            let result = result.unwrap();
            assert_eq!(result.index as usize, index);
            assert_eq!(result.embedding, [(index + 1) as f32, 1.0]);
        }
    }
}

/// One test, because the servers take seconds to start and end with it.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_outlive_the_loss_of_redis_and_of_kafka() {
    let certificates = Certificates::new();
    let start = || {
        (
            certificates.redis(),
            Kafka::start_with_password(USER, PASSWORD),
        )
    };
    let (mut redis, mut kafka) = tokio::task::block_in_place(start);
    let process = Process::start(&redis, certificates.client(), &kafka).await;
    eprintln!("redis_goes_away_and_comes_back");
    redis_goes_away_and_comes_back(&process, &mut redis).await;
    eprintln!("kafka_goes_away_and_comes_back");
    kafka_goes_away_and_comes_back(&process, &mut kafka).await;
    process.jobs.close().await;
}

async fn redis_goes_away_and_comes_back(process: &Process, redis: &mut Redis) {
    let job = process.create().await.unwrap().job_id;
    process.open(3);
    process.until(&job, |job| job.done_items == 6).await;
    tokio::task::block_in_place(|| redis.stop());

    let status = process.get(&job).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains("store of jobs"), "{status}");
    let details = status.get_error_details();
    assert!(
        details
            .retry_info()
            .is_some_and(|info| info.retry_delay.is_some())
    );
    let status = process.create().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    // The chunk in the worker's hands is embedded and finds nobody to take it.
    process.open(TEXTS);

    tokio::task::block_in_place(|| redis.start_again());
    process.succeeds(&job).await;
    // What was stored is not embedded again; the chunk in hand may be.
    let computed = process.model.computed.load(Ordering::Relaxed);
    eprintln!("  {computed} texts embedded");
    assert!((TEXTS..=TEXTS + 4).contains(&computed), "{computed}");
}

async fn kafka_goes_away_and_comes_back(process: &Process, kafka: &mut Kafka) {
    let left = process.model.gate.available_permits();
    process.model.gate.forget_permits(left);
    process.model.computed.store(0, Ordering::Relaxed);

    let job = process.create().await.unwrap().job_id;
    process.open(3);
    process.until(&job, |job| job.done_items == 6).await;
    tokio::task::block_in_place(|| kafka.stop());
    // Redis has everything: the job can be read, and another is taken in.
    assert_eq!(process.get(&job).await.unwrap().state(), State::Running);
    process.open(1_000);
    let other = process.create().await.unwrap().job_id;
    assert_eq!(process.get(&other).await.unwrap().state(), State::Pending);

    tokio::task::block_in_place(|| kafka.start_again());
    process.succeeds(&job).await;
    process.succeeds(&other).await;
    let computed = process.model.computed.load(Ordering::Relaxed);
    eprintln!("  {computed} texts embedded");
    assert!(
        (2 * TEXTS..=2 * TEXTS + 4).contains(&computed),
        "{computed}"
    );
}
