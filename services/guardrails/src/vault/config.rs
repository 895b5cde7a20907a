//! What can be configured of the vault.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_chassis::config::Secret;

/// Where the originals of reversible redactions are kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VaultConfig {
    /// Where they are kept. Whatever outlives the process needs `guardrails.keys`.
    pub store: VaultStoreConfig,
    /// Seconds from the last redaction of a session until its originals are deleted.
    pub ttl_seconds: u64,
    /// Most originals of one session.
    pub max_entries: u64,
    /// Most bytes that all originals take in an embedded store.
    pub max_bytes: u64,
}

impl Default for VaultConfig {
    fn default() -> Self {
        Self {
            store: VaultStoreConfig::default(),
            ttl_seconds: 60 * 60,
            max_entries: 10_000,
            max_bytes: 64 << 20,
        }
    }
}

/// Where originals are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum VaultStoreConfig {
    /// In this process or in a file of this machine, which one process has open.
    Embedded {
        /// The file; in memory only when there is none.
        #[serde(default)]
        path: Option<PathBuf>,
    },
    /// In a Redis that processes share.
    Redis {
        /// As `redis://user:password@host:6379/0`.
        url: Secret,
        /// What every key of ours begins with.
        #[serde(default = "default_prefix")]
        prefix: String,
        /// Milliseconds that Redis has for an answer.
        #[serde(default = "default_timeout")]
        timeout_ms: u64,
    },
}

fn default_prefix() -> String {
    "signalbox:vault".to_owned()
}

fn default_timeout() -> u64 {
    1_000
}

impl Default for VaultStoreConfig {
    fn default() -> Self {
        Self::Embedded { path: None }
    }
}
