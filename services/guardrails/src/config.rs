//! The settings of the Guardrails service. Whoever runs it reads these from files,
//! environment and flags; [`crate::Engine::new`] checks what types cannot.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    audit::AuditConfig,
    custom::{DenySpec, RecognizerSpec},
    keys::KeyConfig,
    policy::spec::ProfileSpec,
    vault::VaultConfig,
};

/// Settings of the Guardrails service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuardrailsConfig {
    /// The longest text that is checked, in bytes of UTF-8; longer ones are refused.
    pub max_text_bytes: usize,
    /// The most bytes of UTF-8 that the texts of one batch may have together.
    pub max_batch_bytes: usize,
    /// The detectors that run when a request names none, by name. Empty means those
    /// that are on by default.
    pub detectors: Vec<String>,
    /// Policies beside the built-in ones; one with the name of a built-in one replaces it.
    pub policies: Vec<ProfileSpec>,
    /// Recognizers that every policy uses.
    pub recognizers: Vec<RecognizerSpec>,
    /// Words that every policy finds.
    pub deny: Vec<DenySpec>,
    /// Values that no policy finds, capitals aside.
    pub allow: Vec<String>,
    /// Secrets for hashes, pseudonyms, encryption and the vault; the first is in use, the
    /// others still open what was written with them. With none, what is reversible can be
    /// undone until this process ends.
    pub keys: Vec<KeyConfig>,
    /// Where the originals of reversible redactions are kept.
    pub vault: VaultConfig,
    /// Where decisions are told.
    pub audit: AuditConfig,
}

impl Default for GuardrailsConfig {
    fn default() -> Self {
        Self {
            max_text_bytes: 1 << 20,
            max_batch_bytes: 16 << 20,
            detectors: Vec::new(),
            policies: Vec::new(),
            recognizers: Vec::new(),
            deny: Vec::new(),
            allow: Vec::new(),
            keys: Vec::new(),
            vault: VaultConfig::default(),
            audit: AuditConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_left_out_has_its_default_and_what_is_unknown_is_refused_by_name() {
        let config: GuardrailsConfig = serde_json::from_str(r#"{"max_text_bytes": 7}"#).unwrap();
        assert_eq!(config.max_text_bytes, 7);
        assert_eq!(config.max_batch_bytes, 16 << 20);
        let refused = serde_json::from_str::<GuardrailsConfig>(r#"{"max_text": 7}"#);
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("`max_text`") && message.contains("`max_text_bytes`"));
    }

    #[test]
    fn every_setting_is_described_in_the_schema() {
        let schema = serde_json::to_value(schemars::schema_for!(GuardrailsConfig)).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        assert_eq!(properties.len(), 10);
        for (name, property) in properties {
            assert!(property["description"].is_string(), "{name}");
        }
    }
}
