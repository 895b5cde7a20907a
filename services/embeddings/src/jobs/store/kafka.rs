//! Work through a Kafka topic: one message for each chunk, and a consumer group that
//! spreads them over the workers there are.
//!
//! A message says only which chunk of which job; texts and results are in Redis. It is
//! keyed by job and chunk, so a job's chunks spread over all partitions. An offset is
//! committed once every message up to it is stored, so a message may come twice, and
//! never not at all.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::try_join_all;
use rdkafka::{
    ClientConfig, ClientContext, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{
        BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance, StreamConsumer,
    },
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::offsets::{Offsets, Position};
use crate::jobs::{config::KafkaConfig, error::JobError, job::JobId};

/// How long a message may take to be acknowledged.
const SEND: Duration = Duration::from_secs(20);
/// How long a reader waits after an error that the client mends itself.
const PAUSE: Duration = Duration::from_millis(200);
/// How long making the topic may take.
const ADMIN: Duration = Duration::from_secs(20);

/// A message: which chunk is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Order {
    job: JobId,
    chunk: u32,
}

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) job: JobId,
    pub(super) chunk: u32,
    /// Under which its chunk is claimed, however often that is tried: an answer that
    /// got lost does not lock its own asker out. Random, so that no two workers have
    /// the same.
    pub(super) token: u64,
    pub(super) at: Position,
}

fn store(error: KafkaError) -> JobError {
    JobError::Store(format!("Kafka: {error}"))
}

/// Later layers win: ours, those of every connection, those of this kind.
fn client(
    config: &KafkaConfig,
    defaults: &[(&str, &str)],
    own: &BTreeMap<String, String>,
) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.brokers);
    for (key, value) in defaults {
        client.set(*key, *value);
    }
    if let Some(sasl) = &config.sasl {
        client
            .set("security.protocol", "sasl_plaintext")
            .set("sasl.mechanism", "PLAIN")
            .set("sasl.username", &sasl.username)
            .set("sasl.password", sasl.password.expose());
    }
    for (key, value) in config.properties.iter().chain(own) {
        client.set(key, value);
    }
    client
}

/// Sends messages.
pub(super) struct Sender {
    producer: FutureProducer,
    topic: String,
}

impl Sender {
    /// Makes the topic if there is none, and connects.
    pub(super) async fn connect(config: &KafkaConfig) -> Result<Self, JobError> {
        make_topic(config).await?;
        let defaults = [
            ("enable.idempotence", "true"),
            ("linger.ms", "5"),
            ("message.timeout.ms", "20000"),
        ];
        let producer = client(config, &defaults, &BTreeMap::new())
            .create()
            .map_err(store)?;
        Ok(Self {
            producer,
            topic: config.topic.clone(),
        })
    }

    /// Sends a message for each of these chunks; returns once Kafka has all.
    pub(super) async fn send(
        &self,
        job: &JobId,
        chunks: impl Iterator<Item = u32>,
    ) -> Result<(), JobError> {
        let sends = chunks.map(async |chunk| {
            let order = Order {
                job: job.clone(),
                chunk,
            };
            let payload = serde_json::to_vec(&order).map_err(JobError::store)?;
            let key = format!("{job}:{chunk}");
            let record = FutureRecord::to(&self.topic).payload(&payload).key(&key);
            let sent = self.producer.send(record, Timeout::After(SEND)).await;
            sent.map(|_| ()).map_err(|(error, _)| store(error))
        });
        try_join_all(sends).await.map(|_| ())
    }
}

async fn make_topic(config: &KafkaConfig) -> Result<(), JobError> {
    let admin: AdminClient<DefaultClientContext> = client(config, &[], &BTreeMap::new())
        .create()
        .map_err(store)?;
    let partitions = i32::try_from(config.partitions.get()).unwrap_or(i32::MAX);
    // -1: as many copies as the brokers make by default.
    let topic = NewTopic::new(&config.topic, partitions, TopicReplication::Fixed(-1));
    let options = AdminOptions::new()
        .request_timeout(Some(Timeout::After(ADMIN)))
        .operation_timeout(Some(Timeout::After(ADMIN)));
    let made = admin
        .create_topics([&topic], &options)
        .await
        .map_err(store)?;
    for topic in made {
        match topic {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // It may exist all the same; a send tells.
            Err((name, RDKafkaErrorCode::TopicAuthorizationFailed)) => {
                tracing::warn!(topic = name, "this user may not make Kafka topics");
            }
            Err((name, code)) => {
                return Err(JobError::Store(format!("Kafka: topic {name}: {code}")));
            }
        }
    }
    Ok(())
}

/// Receives messages, as a member of the group.
pub(super) struct Receiver {
    consumer: StreamConsumer<Watch>,
    topic: String,
}

/// Hears which partitions come and go.
struct Watch {
    offsets: Arc<Mutex<Offsets>>,
}

impl Watch {
    fn offsets<T>(&self, change: impl FnOnce(&mut Offsets) -> T) -> T {
        change(&mut self.offsets.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Watch {}

impl ConsumerContext for Watch {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let (Rebalance::Assign(partitions) | Rebalance::Revoke(partitions)) = rebalance else {
            return;
        };
        self.offsets(|offsets| {
            for partition in partitions.elements() {
                offsets.forget(partition.partition());
            }
        });
    }
}

impl Receiver {
    /// Joins the group.
    pub(super) fn join(config: &KafkaConfig) -> Result<Self, JobError> {
        let defaults = [
            ("group.id", config.group.as_str()),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "1000"),
            // A chunk waits while interactive calls go first.
            ("max.poll.interval.ms", "1800000"),
            // Messages are small, and those that are fetched here are no one else's.
            ("queued.min.messages", "64"),
        ];
        let watch = Watch {
            offsets: Arc::default(),
        };
        let consumer: StreamConsumer<Watch> =
            client(config, &defaults, &config.consumer_properties)
                .create_with_context(watch)
                .map_err(store)?;
        consumer.subscribe(&[&config.topic]).map_err(store)?;
        Ok(Self {
            consumer,
            topic: config.topic.clone(),
        })
    }

    /// The next message that is one of ours. Cancelling it loses none.
    pub(super) async fn receive(&self) -> Result<Received, JobError> {
        loop {
            let message = match self.consumer.recv().await {
                Ok(message) => message,
                // The client goes on by itself, as when the topic was just made.
                Err(KafkaError::MessageConsumption(code)) => {
                    tracing::warn!(%code, "Kafka");
                    sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(store(error)),
            };
            let at = Position {
                partition: message.partition(),
                offset: message.offset(),
            };
            self.consumer.context().offsets(|offsets| offsets.begin(at));
            let payload = message.payload().unwrap_or_default();
            match serde_json::from_slice(payload) {
                Ok(Order { job, chunk }) => {
                    let token = u64::try_from(ulid::Ulid::new().random() >> 16).unwrap_or(1);
                    return Ok(Received {
                        job,
                        chunk,
                        token,
                        at,
                    });
                }
                Err(error) => {
                    let Position { partition, offset } = at;
                    tracing::error!(%error, partition, offset, "a message is no order, and passed over");
                    self.done(at);
                }
            }
        }
    }

    /// A message is done; commits what can be.
    pub(super) fn done(&self, at: Position) {
        let next = self
            .consumer
            .context()
            .offsets(|offsets| offsets.finish(at));
        let Some(next) = next else {
            return;
        };
        let mut list = TopicPartitionList::new();
        let committed = list
            .add_partition_offset(&self.topic, at.partition, Offset::Offset(next))
            .and_then(|()| self.consumer.commit(&list, CommitMode::Async));
        // What is not committed comes again, and is found stored.
        if let Err(error) = committed {
            tracing::debug!(%error, "an offset was not committed");
        }
    }

    /// Leaves the group, so that others need not wait for this member's session to
    /// time out.
    pub(super) fn leave(&self) {
        self.consumer.unsubscribe();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn an_order_reads_back_and_what_is_none_is_refused() {
        let order = Order {
            job: JobId::from_ulid(ulid::Ulid::nil()),
            chunk: 3,
        };
        let json = serde_json::to_vec(&order).unwrap();
        assert_eq!(serde_json::from_slice::<Order>(&json).unwrap(), order);
        for odd in ["", "{}", "[1]", r#"{"job": "x", "chunk": 1}"#] {
            assert!(serde_json::from_str::<Order>(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_property_of_the_configuration_wins_over_ours() {
        let config = KafkaConfig {
            brokers: "k:9092".to_owned(),
            topic: "t".to_owned(),
            group: "g".to_owned(),
            partitions: std::num::NonZeroU32::MIN,
            sasl: None,
            properties: BTreeMap::new(),
            consumer_properties: [("session.timeout.ms".to_owned(), "7000".to_owned())].into(),
        };
        let defaults = [("session.timeout.ms", "10000")];
        let client = client(&config, &defaults, &config.consumer_properties);
        assert_eq!(client.get("session.timeout.ms"), Some("7000"));
        assert_eq!(client.get("bootstrap.servers"), Some("k:9092"));
    }
}
