//! The configuration of the whole platform: one section for each part.

use std::{env, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_chassis::{server::ServerConfig, telemetry::TelemetryConfig};
use signalbox_embeddings::{EmbeddingsConfig, jobs::config::StoreConfig};
use signalbox_guardrails::GuardrailsConfig;
use signalbox_models::{ModelsError, Store};
use signalbox_router::{config::RouterConfig, provider::registry::ProviderConfig};

/// Everything that can be set. Each part has a default that works on one machine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The folder of what must outlive the process, such as what was booked; in
    /// memory only when null. Two servers cannot share one.
    pub(crate) state_dir: Option<PathBuf>,
    /// The listener, its callers and its limits.
    pub(crate) server: ServerConfig,
    /// Logs, traces and metrics.
    pub(crate) telemetry: TelemetryConfig,
    /// Where model files are.
    pub(crate) models: ModelsConfig,
    /// The Router.
    pub(crate) router: RouterConfig,
    /// Embeddings.
    pub(crate) embeddings: EmbeddingsConfig,
    /// Guardrails.
    pub(crate) guardrails: GuardrailsConfig,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state_dir: user_state_dir(),
            server: ServerConfig::default(),
            telemetry: TelemetryConfig::default(),
            models: ModelsConfig::default(),
            router: RouterConfig::default(),
            embeddings: EmbeddingsConfig::default(),
            guardrails: GuardrailsConfig::default(),
        }
    }
}

/// `signalbox` in the user's state folder, by the XDG base directory specification.
fn user_state_dir() -> Option<PathBuf> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(state.join("signalbox"))
}

impl Settings {
    /// The Router's settings, its ledger in the state folder unless it says where.
    pub(crate) fn router_with_state(&self) -> std::io::Result<RouterConfig> {
        let mut router = self.router.clone();
        if let (None, Some(dir)) = (&router.ledger.path, &self.state_dir) {
            std::fs::create_dir_all(dir)?;
            router.ledger.path = Some(dir.join("ledger.redb"));
        }
        Ok(router)
    }

    /// The Embeddings service's settings, its fitted reductions and its jobs in the state
    /// folder unless they say where.
    pub(crate) fn embeddings_with_state(&self) -> std::io::Result<EmbeddingsConfig> {
        let mut embeddings = self.embeddings.clone();
        let Some(dir) = &self.state_dir else {
            return Ok(embeddings);
        };
        std::fs::create_dir_all(dir)?;
        let reductions = &mut embeddings.reductions.path;
        reductions.get_or_insert_with(|| dir.join("reductions.redb"));
        if let StoreConfig::Embedded { path } = &mut embeddings.jobs.store {
            path.get_or_insert_with(|| dir.join("jobs.redb"));
        }
        Ok(embeddings)
    }

    /// Where model files are.
    pub(crate) fn store(&self) -> Result<Store, ModelsError> {
        self.models
            .dir
            .as_ref()
            .map_or_else(Store::default_location, |dir| Ok(Store::open(dir)))
    }

    /// The models that these settings use, by their folders' names.
    pub(crate) fn model_names(&self) -> Vec<String> {
        let local = self
            .router
            .providers
            .values()
            .filter_map(|provider| match provider {
                // An absolute path is the user's own file.
                ProviderConfig::Local(local) if local.path.is_relative() => Some(
                    local
                        .path
                        .components()
                        .next()?
                        .as_os_str()
                        .to_str()?
                        .to_owned(),
                ),
                _ => None,
            });
        self.embeddings
            .served()
            .map(|model| model.name)
            .chain(local)
            .collect()
    }
}

/// Where model files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ModelsConfig {
    /// The folder; the user's cache folder when absent.
    pub(crate) dir: Option<PathBuf>,
    /// Whether `signalbox up` fetches what is missing.
    pub(crate) pull: bool,
}

impl Default for ModelsConfig {
    fn default() -> Self {
        Self {
            dir: None,
            pull: true,
        }
    }
}
