//! The configuration of the whole platform: one section for each part.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_chassis::{server::ServerConfig, telemetry::TelemetryConfig};
use signalbox_embeddings::EmbeddingsConfig;
use signalbox_guardrails::GuardrailsConfig;
use signalbox_models::{ModelsError, Store};
use signalbox_router::{RouterConfig, provider::registry::ProviderConfig};

/// Everything that can be set. Each part has a default that works on one machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
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

impl Settings {
    /// Where model files are.
    pub(crate) fn store(&self) -> Result<Store, ModelsError> {
        self.models.dir.as_ref().map_or_else(Store::default_location, |dir| Ok(Store::open(dir)))
    }

    /// The models that these settings use, by their folders' names.
    pub(crate) fn model_names(&self) -> Vec<String> {
        let local = self.router.providers.values().filter_map(|provider| match provider {
            // An absolute path is the user's own file.
            ProviderConfig::Local(local) if local.path.is_relative() => {
                Some(local.path.components().next()?.as_os_str().to_str()?.to_owned())
            }
            _ => None,
        });
        std::iter::once(self.embeddings.model.clone()).chain(local).collect()
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
        Self { dir: None, pull: true }
    }
}
