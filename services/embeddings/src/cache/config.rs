//! What can be configured of the cache.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_chassis::config::Secret;

use crate::redis_client::RedisTls;

/// Where results are kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// Seconds that a result is kept. 0 turns the cache off: each request computes all
    /// of its texts, also those that another computes at the same time.
    pub ttl_seconds: u64,
    /// Most bytes that results take in this process; with 0 they are kept in Redis only. A vector of
    /// 384 numbers takes about 1.7 KB.
    pub max_bytes: u64,
    /// A Redis that processes share, as in `redis://user:password@host:6379/0`, or
    /// `rediss://` for TLS; in this process only when empty. While it does not answer,
    /// results are computed.
    pub redis_url: Secret,
    /// Certificates for a `rediss://` address.
    pub redis_tls: RedisTls,
    /// Milliseconds that Redis has for an answer.
    pub redis_timeout_ms: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            ttl_seconds: 24 * 60 * 60,
            max_bytes: 64 << 20,
            redis_url: Secret::default(),
            redis_tls: RedisTls::default(),
            redis_timeout_ms: 50,
        }
    }
}
