//! What can be configured about jobs, with its defaults.

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_chassis::config::Secret;

use crate::redis_client::RedisTls;

/// The jobs of the Embeddings service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JobsConfig {
    /// Where jobs are kept and how work reaches the workers.
    pub store: StoreConfig,
    /// Seconds from a job's creation until it and its results are deleted.
    pub ttl_seconds: NonZeroU32,
    /// Seconds between two sweeps that delete what has expired.
    pub sweep_seconds: NonZeroU32,
    /// Most texts in one job.
    pub max_items: NonZeroU32,
    /// Most bytes of text in one job. A request is held to
    /// `server.limits.max_request_bytes` as well.
    pub max_bytes: NonZeroU32,
    /// Jobs that one caller may keep at a time, finished ones included.
    pub max_jobs_per_caller: NonZeroU32,
    /// Texts that are claimed, embedded and stored together. Fixed for a job when it
    /// is created.
    pub chunk_items: NonZeroU32,
    /// Chunks at work in this process at a time. 0: this process takes jobs in and
    /// reads them out, and leaves the work to others.
    pub workers: u32,
    /// Seconds that a claimed chunk belongs to its worker. The worker renews it three
    /// times in that span, so this is how long a dead worker's chunk waits.
    pub lease_seconds: NonZeroU32,
}

const fn number(value: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(value - 1)
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            store: StoreConfig::default(),
            ttl_seconds: number(24 * 60 * 60),
            sweep_seconds: number(60),
            max_items: number(100_000),
            max_bytes: number(64 << 20),
            max_jobs_per_caller: number(1_000),
            chunk_items: number(128),
            workers: 1,
            lease_seconds: number(30),
        }
    }
}

impl JobsConfig {
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds.get().into())
    }
}

/// Where jobs are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum StoreConfig {
    /// In a file of this machine, which one process has open.
    Embedded {
        /// The file. `signalbox up` puts it into `state_dir`; in memory only when
        /// there is none.
        #[serde(default)]
        path: Option<PathBuf>,
    },
    /// In Redis, with Kafka handing the work to as many processes as there are.
    Distributed(Box<DistributedConfig>),
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self::Embedded { path: None }
    }
}

/// Redis and Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistributedConfig {
    /// Redis, as `redis://host:6379/0`, or `rediss://` for TLS. What it holds must
    /// survive its restart: run it with `appendonly yes`.
    pub redis_url: Secret,
    /// Certificates for a `rediss://` address.
    #[serde(default)]
    pub redis_tls: RedisTls,
    /// What every key of ours in Redis begins with. The braces keep all of them on one
    /// node of a Redis cluster.
    #[serde(default = "default_prefix")]
    pub redis_prefix: String,
    /// Kafka.
    pub kafka: KafkaConfig,
}

fn default_prefix() -> String {
    "{signalbox-jobs}".to_owned()
}

/// The topic that carries the chunks to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// Addresses to start from, as `host:9092,other:9092`.
    pub brokers: String,
    /// The topic; made if it does not exist. Its retention must be longer than
    /// `ttl_seconds`.
    #[serde(default = "default_topic")]
    pub topic: String,
    /// The consumer group that all workers join.
    #[serde(default = "default_group")]
    pub group: String,
    /// Partitions of the topic where it is made here: as many processes can work at a
    /// time.
    #[serde(default = "default_partitions")]
    pub partitions: NonZeroU32,
    /// Name and password, for brokers that ask for them (SASL, mechanism PLAIN).
    #[serde(default)]
    pub sasl: Option<SaslConfig>,
    /// Further properties of librdkafka for every connection, by their own names, such
    /// as `client.id`.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// Further properties of librdkafka for the consumer only, such as
    /// `session.timeout.ms`.
    #[serde(default)]
    pub consumer_properties: BTreeMap<String, String>,
}

/// A name and a password. They cross the network as they are: the client has no TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SaslConfig {
    /// The name.
    pub username: String,
    /// The password. A file may leave it to the environment, which is laid over it.
    #[serde(default)]
    pub password: Secret,
}

fn default_topic() -> String {
    "signalbox.embeddings.jobs".to_owned()
}

fn default_group() -> String {
    "signalbox-embeddings".to_owned()
}

fn default_partitions() -> NonZeroU32 {
    number(16)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use serde_json::json;

    use super::*;

    #[test]
    fn the_default_is_one_worker_on_an_embedded_store() {
        let config: JobsConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(config, JobsConfig::default());
        assert_eq!(config.store, StoreConfig::Embedded { path: None });
        assert_eq!(config.ttl_seconds.get(), 86_400);
        assert_eq!(config.max_bytes.get(), 64 << 20);
    }

    #[test]
    fn many_machines_need_two_addresses_and_nothing_else() {
        let config: JobsConfig = serde_json::from_value(json!({"store": {
            "kind": "distributed", "redis_url": "redis://r", "kafka": {"brokers": "k:9092"},
        }}))
        .unwrap();
        let StoreConfig::Distributed(store) = config.store else {
            panic!("{config:?}");
        };
        assert_eq!(store.kafka.topic, "signalbox.embeddings.jobs");
        assert_eq!(store.redis_url.expose(), "redis://r");
        assert!(!format!("{store:?}").contains("redis://r"));
    }

    #[test]
    fn a_password_may_come_later_and_is_not_shown() {
        let sasl: SaslConfig = serde_json::from_value(json!({"username": "me"})).unwrap();
        assert!(sasl.password.is_empty());
        let sasl = SaslConfig {
            password: Secret::new("hunter2"),
            ..sasl
        };
        let shown = format!("{sasl:?} {}", serde_json::to_string(&sasl).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        for json in [
            r#"{"ttl": 5}"#,
            r#"{"store": {"kind": "embedded", "file": "x"}}"#,
            r#"{"store": {"kind": "distributed"}}"#,
        ] {
            assert!(serde_json::from_str::<JobsConfig>(json).is_err(), "{json}");
        }
    }
}
