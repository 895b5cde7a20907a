//! What can be configured, with its defaults.

use std::{collections::BTreeMap, iter, num::NonZeroUsize, path::PathBuf, thread};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_encoder::Arithmetic;

use crate::{
    cache::CacheConfig,
    jobs::JobsConfig,
    reduce::ReductionsConfig,
    remote::RemoteConfig,
    scheduler::{Limits, Options},
};

/// The Embeddings service's part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddingsConfig {
    /// The model to load: its name in requests and of its folder. Empty where
    /// `remote_models` are enough.
    pub model: String,
    /// SPDX identifier of the weights' licence, told to callers that list models.
    pub license: String,
    /// The folder that holds one folder for each model. The cache that
    /// `signalbox models pull` fills when absent.
    pub models_dir: Option<PathBuf>,
    /// More models to load. All share the same threads.
    pub models: Vec<ServedModel>,
    /// Models that a provider runs, by their names in requests. Their texts leave this
    /// machine.
    pub remote_models: BTreeMap<String, RemoteConfig>,
    /// Most inputs in one request.
    pub max_inputs: NonZeroUsize,
    /// Most bytes of one text. A longer one is refused, though the model would read
    /// no more than its first few hundred tokens.
    pub max_text_bytes: NonZeroUsize,
    /// Tokens that a thread computes together; a single longer input is computed alone.
    /// At about 8 KB a token this bounds the memory that work takes, and it bounds how
    /// long a new request waits for a busy thread.
    pub max_batch_tokens: NonZeroUsize,
    /// Batches that are computed at the same time, each on one thread. The number of
    /// processor cores when absent.
    pub worker_threads: Option<NonZeroUsize>,
    /// How the model's layers are multiplied: `i16` is several times as fast as `f32` at
    /// a cosine of 0.99995 to it, `int8` faster still at 0.99.
    pub arithmetic: Arithmetic,
    /// Requests that may wait for a worker; one more is refused with
    /// `RESOURCE_EXHAUSTED`.
    pub max_waiting: usize,
    /// Tokens of requests that may wait, for each worker; what is more is refused with
    /// `RESOURCE_EXHAUSTED`. Divided by the tokens a second of a core, this is about the
    /// longest that a request waits.
    pub max_waiting_tokens: NonZeroUsize,
    /// A request with more tokens is bulk work, whoever asks: it is computed with what
    /// smaller requests leave, a tenth of the processor at least.
    pub bulk_above_tokens: usize,
    /// Bulk requests, jobs included, at work at the same time; one more is refused with
    /// `RESOURCE_EXHAUSTED`.
    pub max_bulk_requests: NonZeroUsize,
    /// Results that are kept.
    pub cache: CacheConfig,
    /// Shorter vectors.
    pub reductions: ReductionsConfig,
    /// Texts of one stream that are embedded at a time; the server reads no further
    /// while so many are not answered.
    pub stream_window: NonZeroUsize,
    /// Jobs: many thousands of texts in the background.
    pub jobs: JobsConfig,
}

/// A model to load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServedModel {
    /// Its name in requests and of its folder.
    pub name: String,
    /// SPDX identifier of the weights' licence, told to callers that list models.
    #[serde(default)]
    pub license: String,
}

impl Default for EmbeddingsConfig {
    fn default() -> Self {
        Self {
            model: "all-MiniLM-L6-v2".to_owned(),
            license: "Apache-2.0".to_owned(),
            models_dir: None,
            models: Vec::new(),
            remote_models: BTreeMap::new(),
            max_inputs: const { NonZeroUsize::new(10_000).expect("it is not zero") },
            max_text_bytes: const { NonZeroUsize::new(1 << 20).expect("it is not zero") },
            max_batch_tokens: const { NonZeroUsize::new(256).expect("it is not zero") },
            worker_threads: None,
            arithmetic: Arithmetic::default(),
            max_waiting: 512,
            max_waiting_tokens: const { NonZeroUsize::new(8_192).expect("it is not zero") },
            bulk_above_tokens: 2_048,
            max_bulk_requests: const { NonZeroUsize::new(16).expect("it is not zero") },
            cache: CacheConfig::default(),
            reductions: ReductionsConfig::default(),
            stream_window: const { NonZeroUsize::new(64).expect("it is not zero") },
            jobs: JobsConfig::default(),
        }
    }
}

impl EmbeddingsConfig {
    /// The configured number of workers, or one for each core.
    fn workers(&self) -> NonZeroUsize {
        let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.worker_threads.unwrap_or_else(cores)
    }

    /// All models to load from their folders.
    pub fn served(&self) -> impl Iterator<Item = ServedModel> {
        let first = ServedModel {
            name: self.model.clone(),
            license: self.license.clone(),
        };
        let first = iter::once(first).filter(|first| !first.name.is_empty());
        first.chain(self.models.iter().cloned())
    }

    /// How the processor is shared out.
    pub(crate) fn scheduling(&self) -> Options {
        let threads = self.workers();
        let tokens = self.max_waiting_tokens.saturating_mul(threads);
        Options {
            threads,
            batch_tokens: self.max_batch_tokens,
            // More could never be let in as interactive work.
            bulk_above_tokens: self.bulk_above_tokens.min(tokens.get()),
            limits: Limits {
                requests: threads.get().saturating_add(self.max_waiting),
                tokens: tokens.get(),
                bulk_requests: self.max_bulk_requests.get(),
            },
        }
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
        assert_eq!(config.max_inputs.get(), 10_000);
        assert_eq!(config.max_batch_tokens.get(), 256);
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
