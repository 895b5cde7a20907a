//! The originals of reversible redactions, by session.
//!
//! A store keeps sealed entries and knows neither tenant nor session nor value: names are
//! HMACs under the tenant's key, entries are encrypted under it. So one caller cannot name
//! another's session, and who reads the store reads nothing.

mod config;
mod embedded;
mod redis;
mod restore;
mod seal;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;

pub use config::{VaultConfig, VaultStoreConfig};
pub use restore::{RestoreStream, Restorer};
pub(crate) use seal::{Entry, SessionName};

use crate::keys::{KeyError, TenantKeys};
use seal::{Sealed, Sealer};

/// Why the vault has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The store outlives the keys.
    #[error(
        "guardrails.vault.store: keeps originals beyond this process and needs guardrails.keys; \
         configure one"
    )]
    NoKeys,
    /// The store cannot be opened as configured.
    #[error("guardrails.vault.store: {0}")]
    Configuration(String),
    /// The session holds as many originals as it may.
    #[error("the session holds {limit} originals and no more are accepted; begin another")]
    SessionFull {
        /// Entries that are accepted.
        limit: u64,
    },
    /// All sessions together hold as much as they may.
    #[error("the vault is full; sessions end by and by")]
    Full,
    /// The store failed.
    #[error("the vault's store failed: {0}")]
    Store(String),
    /// An entry cannot be sealed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

type Answer<'a, T> = BoxFuture<'a, Result<T, VaultError>>;

/// Milliseconds since 1970.
pub(crate) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The time of this machine.
pub(crate) fn wall_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
    })
}

/// Keeps sealed entries for a time.
trait Store: Send + Sync {
    /// All entries of a session; `None` where there is none.
    fn load(&self, session: SessionName) -> Answer<'_, Option<Vec<Sealed>>>;

    /// Adds entries to a session, which is made if it does not exist, and begins its time
    /// anew. Entries that are there already stay as they are: then the answer is false.
    fn add(&self, session: SessionName, entries: Vec<Sealed>) -> Answer<'_, bool>;
}

/// A session that was looked for.
#[derive(Debug)]
pub(crate) struct Session {
    name: SessionName,
    /// What it holds.
    pub(crate) entries: Vec<Entry>,
    /// Whether it existed.
    pub(crate) existed: bool,
}

/// The originals of all sessions.
pub(crate) struct Vault(Box<dyn Store>);

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Opens the store; Redis is not asked yet. `keys_outlive` says whether what is sealed
    /// can be read by the next process.
    ///
    /// # Errors
    ///
    /// [`VaultError::NoKeys`] and [`VaultError::Configuration`].
    pub(crate) fn open(
        config: &VaultConfig,
        keys_outlive: bool,
        clock: Clock,
    ) -> Result<Self, VaultError> {
        let ttl = Duration::from_secs(config.ttl_seconds);
        let limits = embedded::Limits {
            ttl_ms: config.ttl_seconds.saturating_mul(1_000),
            entries: config.max_entries,
            bytes: config.max_bytes,
        };
        let store: Box<dyn Store> = match &config.store {
            VaultStoreConfig::Embedded { path: None } => {
                Box::new(embedded::Embedded::in_memory(limits, clock)?)
            }
            _ if !keys_outlive => return Err(VaultError::NoKeys),
            VaultStoreConfig::Embedded { path: Some(path) } => {
                Box::new(embedded::Embedded::open(path, limits, clock)?)
            }
            VaultStoreConfig::Redis {
                url,
                prefix,
                timeout_ms,
            } => Box::new(redis::Redis::new(
                url.expose(),
                prefix,
                Duration::from_millis(*timeout_ms),
                ttl,
                config.max_entries,
            )?),
        };
        Ok(Self(store))
    }

    /// Looks for a session of this tenant.
    ///
    /// # Errors
    ///
    /// [`VaultError::Store`].
    pub(crate) async fn session(&self, keys: &TenantKeys, id: &str) -> Result<Session, VaultError> {
        // One that began under an older key keeps its name.
        for name in seal::names(keys, id) {
            if let Some(sealed) = self.0.load(name).await? {
                let mut sealer = Sealer::new(keys, name);
                let entries: Vec<Entry> = sealed.iter().filter_map(|it| sealer.open(it)).collect();
                if entries.len() < sealed.len() {
                    tracing::warn!(
                        entries = sealed.len() - entries.len(),
                        "entries of the vault do not open: a key is gone, or they were changed"
                    );
                }
                return Ok(Session {
                    name,
                    entries,
                    existed: true,
                });
            }
        }
        Ok(Session {
            name: seal::name(keys, id),
            entries: Vec::new(),
            existed: false,
        })
    }

    /// Adds entries to a session and begins its time anew. False where another request
    /// has meanwhile used one of the surrogates: look again.
    ///
    /// # Errors
    ///
    /// [`VaultError`].
    pub(crate) async fn add(
        &self,
        keys: &TenantKeys,
        session: &Session,
        entries: &[Entry],
    ) -> Result<bool, VaultError> {
        let mut sealer = Sealer::new(keys, session.name);
        let sealed = entries
            .iter()
            .map(|entry| sealer.seal(entry))
            .collect::<Result<_, KeyError>>()?;
        self.0.add(session.name, sealed).await
    }
}

#[cfg(test)]
mod tests;
