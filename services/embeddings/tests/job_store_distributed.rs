//! The distributed store of jobs, on a real Redis and a real Kafka, against what every
//! store must do, and what only many processes can show.

#![allow(clippy::unwrap_used)]

mod suite;

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use signalbox_chassis::config::Secret;
use signalbox_embeddings::{
    RedisTls,
    jobs::{
        config::{DistributedConfig, KafkaConfig},
        job::{JobId, JobSpec, JobState, UnixMs},
        store::{Clock, Completion, DistributedStore, JobStore},
    },
};
use signalbox_test_servers::{Kafka, Redis};
use suite::{Backend, LEASE};
use tokio::time::timeout;

struct Servers {
    redis: Redis,
    kafka: Kafka,
}

/// Keys and a topic of its own on the servers.
struct Corner(DistributedConfig);

impl Servers {
    fn start() -> Self {
        Self {
            redis: Redis::start(),
            kafka: Kafka::start(),
        }
    }

    fn corner(&self, name: &str) -> Corner {
        Corner(DistributedConfig {
            redis_url: Secret::new(self.redis.url()),
            redis_tls: RedisTls::default(),
            redis_prefix: format!("{{{name}}}"),
            kafka: KafkaConfig {
                brokers: self.kafka.brokers(),
                topic: name.to_owned(),
                group: name.to_owned(),
                partitions: NonZeroU32::new(4).unwrap(),
                sasl: None,
                properties: BTreeMap::new(),
                consumer_properties: [("session.timeout.ms".to_owned(), "3000".to_owned())].into(),
            },
        })
    }
}

impl Backend for Corner {
    async fn open(&self, clock: Clock) -> Arc<dyn JobStore> {
        let store = DistributedStore::open(&self.0, LEASE, true, clock).await;
        Arc::new(store.unwrap())
    }
}

fn spec(number: u128, total: u32) -> JobSpec {
    let id = ulid::Ulid::from_parts(1_790_000_000_000, number).to_string();
    JobSpec {
        id: JobId::parse(&id).unwrap(),
        caller: "alice".to_owned(),
        model: "m".to_owned(),
        total,
        chunk_items: 2,
        key: String::new(),
        fingerprint: String::new(),
        created: UnixMs::now(),
        expires: UnixMs(UnixMs::now().0 + 900_000),
    }
}

/// One test, because the servers take seconds to start and end with it.
#[tokio::test(flavor = "multi_thread")]
async fn redis_and_kafka_do_what_every_store_must_and_serve_many_workers() {
    let servers = tokio::task::spawn_blocking(Servers::start).await.unwrap();
    suite::all(|case| servers.corner(case)).await;
    eprintln!("two_workers_share_a_job");
    two_workers_share_a_job(&servers).await;
    eprintln!("what_was_stored_and_not_sent_is_sent_by_the_sweep");
    what_was_stored_and_not_sent_is_sent_by_the_sweep(&servers).await;
}

async fn two_workers_share_a_job(servers: &Servers) {
    let clock: Clock = Arc::new(UnixMs::now);
    let corner = servers.corner("two_workers_share_a_job");
    let stores = [
        corner.open(Arc::clone(&clock)).await,
        corner.open(Arc::clone(&clock)).await,
    ];
    let texts = (0..200).map(|n| n.to_string()).collect();
    let spec = spec(1, 200);
    stores[0].create(spec.clone(), texts, 9).await.unwrap();
    let work = async |store: Arc<dyn JobStore>| {
        let mut chunks = Vec::new();
        loop {
            let state = store.get("alice", &spec.id).await.unwrap().progress.state;
            if state == JobState::Succeeded {
                return chunks;
            }
            let Ok(claim) = timeout(Duration::from_millis(300), store.claim()).await else {
                continue;
            };
            let claim = claim.unwrap();
            let chunk = claim.chunk;
            let results = claim.texts.iter().map(|_| Ok(vec![1.0])).collect();
            if let Completion::Stored(_) = store.complete(claim, results).await.unwrap() {
                chunks.push(chunk);
            }
        }
    };
    let both = tokio::join!(work(Arc::clone(&stores[0])), work(Arc::clone(&stores[1])));
    let (first, second) = both;
    eprintln!("  one did {}, the other {}", first.len(), second.len());
    assert_eq!(first.len() + second.len(), 100);
    let all: BTreeSet<u32> = first.into_iter().chain(second).collect();
    assert_eq!(all.len(), 100);
}

async fn what_was_stored_and_not_sent_is_sent_by_the_sweep(servers: &Servers) {
    let now = Arc::new(std::sync::atomic::AtomicU64::new(UnixMs::now().0));
    let time = Arc::clone(&now);
    let clock: Clock = Arc::new(move || UnixMs(time.load(std::sync::atomic::Ordering::Relaxed)));
    let corner = servers.corner("unsent");
    // A process that stores a job and cannot reach the topic.
    let mut cut_off = servers.corner("unsent").0;
    for (key, value) in [("message.timeout.ms", "1"), ("linger.ms", "0")] {
        let properties = &mut cut_off.kafka.properties;
        properties.insert(key.to_owned(), value.to_owned());
    }
    let taker = DistributedStore::open(&cut_off, LEASE, false, Arc::clone(&clock)).await;
    let spec = spec(2, 3);
    let texts = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    taker.unwrap().create(spec, texts, 9).await.unwrap();
    let worker = corner.open(clock).await;
    now.fetch_add(60_000, std::sync::atomic::Ordering::Relaxed);
    worker.sweep().await.unwrap();
    for _ in 0..2 {
        let claim = timeout(Duration::from_secs(30), worker.claim()).await;
        assert!(claim.expect("there is work").is_ok());
    }
}
