//! What the engine's users share beside the detectors: policies, keys, vault and audit.

use std::sync::Arc;

use signalbox_chassis::RequestContext;

use crate::{
    audit::{Asker, Audit, AuditError},
    config::GuardrailsConfig,
    keys::{KeyError, Keyring, TenantKeys},
    policy::{Policies, ProfileError},
    protect::is_session_id,
    vault::{self, Restorer, Vault, VaultError},
};

/// Something about the configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub enum ConfigError {
    /// A policy, a recognizer or a list.
    Policy(#[from] ProfileError),
    /// A key.
    Key(#[from] KeyError),
    /// The vault.
    Vault(#[from] VaultError),
    /// The audit.
    Audit(#[from] AuditError),
}

/// Why originals cannot be put back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RestoreError {
    /// The tenant has no such session, or its time is over.
    #[error("session `{0}` does not exist")]
    UnknownSession(String),
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Everything about decisions, as configured.
#[derive(Debug)]
pub(crate) struct Control {
    policies: Policies,
    keys: Arc<Keyring>,
    vault: Vault,
    audit: Audit,
    clock: ClockRef,
}

struct ClockRef(vault::Clock);

impl std::fmt::Debug for ClockRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Control {
    /// Checks and opens what is configured. With a Redis it must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the field.
    pub(crate) fn new(config: &GuardrailsConfig) -> Result<Self, ConfigError> {
        let clock = vault::wall_clock();
        let keys = Keyring::new(&config.keys)?;
        Ok(Self {
            policies: Policies::new(
                &config.policies,
                &config.recognizers,
                &config.deny,
                &config.allow,
            )?,
            vault: Vault::open(&config.vault, keys.is_configured(), Arc::clone(&clock))?,
            keys: Arc::new(keys),
            audit: Audit::open(&config.audit, Arc::clone(&clock))?,
            clock: ClockRef(clock),
        })
    }

    pub(crate) fn policies(&self) -> &Policies {
        &self.policies
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Who asks; the caller is the tenant.
    pub(crate) fn asker(&self, context: &RequestContext) -> Asker {
        Asker {
            keys: self.keys.tenant(&context.caller),
            request_id: Arc::clone(&context.request_id),
        }
    }

    /// What puts back the originals of a session and opens the tenant's tokens; with an
    /// empty id tokens alone.
    ///
    /// # Errors
    ///
    /// [`RestoreError`].
    pub(crate) async fn restorer(
        &self,
        keys: &TenantKeys,
        session_id: &str,
    ) -> Result<Restorer, RestoreError> {
        if session_id.is_empty() {
            return Ok(Restorer::new(&[], Some(keys)));
        }
        if !is_session_id(session_id) {
            return Err(RestoreError::UnknownSession(session_id.to_owned()));
        }
        let session = self.vault.session(keys, session_id).await?;
        if !session.existed {
            return Err(RestoreError::UnknownSession(session_id.to_owned()));
        }
        Ok(Restorer::new(&session.entries, Some(keys)))
    }

    /// The year of today.
    pub(crate) fn year(&self) -> i32 {
        // A year of 365.2425 days; at its turn this is off by hours.
        const YEAR_MS: u64 = 31_556_952_000;
        1970 + i32::try_from((self.clock.0)() / YEAR_MS).unwrap_or_default()
    }
}
