//! The settings of the Guardrails service. Whoever runs it reads these from files,
//! environment and flags; [`crate::Engine::new`] checks what types cannot.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the Guardrails service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuardrailsConfig {
    /// The longest text that is checked, in bytes of UTF-8; longer ones are refused.
    pub max_text_bytes: usize,
    /// The most bytes of UTF-8 that the texts of one batch may have together.
    pub max_batch_bytes: usize,
    /// The detectors that run when a request names none, by name. Empty means those
    /// that are on by default.
    pub detectors: Vec<String>,
}

impl Default for GuardrailsConfig {
    fn default() -> Self {
        Self {
            max_text_bytes: 1 << 20,
            max_batch_bytes: 16 << 20,
            detectors: Vec::new(),
        }
    }
}
