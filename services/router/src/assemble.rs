//! From a configuration to a Router that stands on real providers and a real ledger.

use std::{collections::HashMap, path::Path, sync::Arc};

use rand::{SeedableRng as _, rngs::StdRng};

use crate::{
    Backends, BuildError, Router,
    config::{LedgerConfig, ProviderConfig, RouterConfig},
    guard::Guard,
    ledger::{EmbeddedLedger, Ledger},
    provider::{Provider, registry},
};

/// Builds a Router: checks the configuration, builds its providers and opens its
/// ledger. Quick: a local model is loaded in the background.
///
/// `models` is the folder that relative model paths are looked up in; `environment`
/// gives the value of an environment variable, where API keys are. Bookings run on
/// the current tokio runtime.
///
/// # Errors
///
/// The first value of the configuration that cannot be used, or a ledger that cannot
/// be opened.
pub async fn build(
    config: &RouterConfig,
    guard: Arc<dyn Guard>,
    models: &Path,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Router, BuildError> {
    // Before the ledger makes a file.
    config.check()?;
    let mut providers = HashMap::new();
    for (name, provider) in &config.providers {
        let provider = build_provider(name, provider, models, &environment)?;
        providers.insert(name.clone(), provider);
    }
    let backends = Backends {
        providers,
        guard,
        ledger: open_ledger(&config.ledger).await?,
        random: StdRng::from_os_rng(),
    };
    Router::with_backends(config, backends)
}

fn build_provider(
    name: &str,
    config: &ProviderConfig,
    models: &Path,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Arc<dyn Provider>, BuildError> {
    registry::build(name, config.clone(), models, environment).map_err(|error| {
        BuildError::Provider {
            name: name.to_owned(),
            problem: error.to_string(),
        }
    })
}

async fn open_ledger(config: &LedgerConfig) -> Result<Arc<dyn Ledger>, BuildError> {
    Ok(Arc::new(match &config.path {
        Some(path) => EmbeddedLedger::open(path.clone(), config.max_rows).await?,
        None => EmbeddedLedger::in_memory(config.max_rows).await?,
    }))
}
