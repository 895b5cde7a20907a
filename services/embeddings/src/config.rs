//! What can be configured, with its defaults.

use std::{num::NonZeroUsize, path::PathBuf, thread};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Embeddings service's part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingsConfig {
    /// The model to load: its name in requests and of its folder.
    pub model: String,
    /// SPDX identifier of the weights' licence, told to callers that list models.
    pub license: String,
    /// The folder that holds one folder for each model. The cache that
    /// `signalbox models pull` fills when absent.
    pub models_dir: Option<PathBuf>,
    /// Most inputs in one request.
    pub max_inputs: NonZeroUsize,
    /// Tokens in work at a time on each thread. At about 8 KB a token this bounds
    /// the memory that work takes; a single longer input still fits.
    pub max_batch_tokens: NonZeroUsize,
    /// Requests at work at the same time, and threads that each of them uses at
    /// most. The number of processor cores when absent.
    pub worker_threads: Option<NonZeroUsize>,
    /// How the model's layers are multiplied: `i16` is several times as fast as `f32` at
    /// a cosine of 0.99995 to it, `int8` faster still at 0.99.
    pub arithmetic: Arithmetic,
    /// Requests that may wait for a worker; one more is refused with
    /// `RESOURCE_EXHAUSTED`.
    pub max_waiting: usize,
}

/// The numbers that the model's linear layers multiply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arithmetic {
    /// Single precision.
    F32,
    /// 16-bit whole numbers with exact sums.
    #[default]
    I16,
    /// 8-bit whole numbers.
    Int8,
}

impl From<Arithmetic> for signalbox_encoder::Arithmetic {
    fn from(arithmetic: Arithmetic) -> Self {
        match arithmetic {
            Arithmetic::F32 => Self::F32,
            Arithmetic::I16 => Self::I16,
            Arithmetic::Int8 => Self::Int8,
        }
    }
}

impl Default for EmbeddingsConfig {
    fn default() -> Self {
        Self {
            model: "all-MiniLM-L6-v2".to_owned(),
            license: "Apache-2.0".to_owned(),
            models_dir: None,
            max_inputs: NonZeroUsize::MIN.saturating_add(2047),
            max_batch_tokens: NonZeroUsize::MIN.saturating_add(511),
            worker_threads: None,
            arithmetic: Arithmetic::default(),
            max_waiting: 64,
        }
    }
}

impl EmbeddingsConfig {
    /// The configured number of workers, or one for each core.
    pub(crate) fn workers(&self) -> NonZeroUsize {
        let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.worker_threads.unwrap_or_else(cores)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn an_empty_section_is_the_default() {
        let config: EmbeddingsConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(config, EmbeddingsConfig::default());
        assert_eq!(config.max_inputs.get(), 2048);
        assert_eq!(config.max_batch_tokens.get(), 512);
    }

    #[test]
    fn unknown_keys_and_zeros_are_refused() {
        for json in [r#"{"max_input": 5}"#, r#"{"max_inputs": 0}"#] {
            assert!(
                serde_json::from_str::<EmbeddingsConfig>(json).is_err(),
                "{json}"
            );
        }
    }

    #[test]
    fn every_key_is_described_in_the_schema() {
        let schema = serde_json::to_value(schemars::schema_for!(EmbeddingsConfig)).unwrap();
        for (key, property) in schema["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{key}");
        }
    }
}
