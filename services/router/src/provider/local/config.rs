//! What a user may set about the local model.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When the model's file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadPolicy {
    /// In the background from start.
    #[default]
    Eager,
    /// At the first request.
    Lazy,
}

/// A model that runs in this process.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LocalConfig {
    /// The GGUF file. A relative path is looked up in the models folder, where
    /// `signalbox models pull` puts files.
    pub path: PathBuf,
    /// When the file is read: in the background from start, or at the first request.
    pub load: LoadPolicy,
    /// Answers generated at a time. They share one pool of threads, as many as the
    /// environment variable `RAYON_NUM_THREADS` says, else one for each core of the
    /// machine; set it to 1 where other work keeps the cores busy, and in a container
    /// to its share. Each answer holds a cache of its own (45 KiB a token for
    /// SmolLM2-135M).
    pub max_concurrent: NonZeroUsize,
    /// Requests that may wait for their turn; one more is refused as overloaded.
    pub max_queue: usize,
    /// Most tokens of prompt and answer together. The model's own limit, and 4096,
    /// the most that its implementation can address, bound it too.
    pub context_tokens: NonZeroUsize,
    /// Most tokens of an answer where the request does not say.
    pub default_max_tokens: u32,
    /// Temperature where the request does not say. 0.2 is that of the example in the
    /// model card of `HuggingFaceTB/SmolLM2-135M-Instruct`.
    pub default_temperature: f64,
    /// `top_p` where the request does not say. 0.9 is from the same example.
    pub default_top_p: f64,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            path: "SmolLM2-135M-Instruct/SmolLM2-135M-Instruct.Q4_1.gguf".into(),
            load: LoadPolicy::Eager,
            max_concurrent: NonZeroUsize::MIN,
            max_queue: 8,
            context_tokens: const { NonZeroUsize::new(2048).expect("2048 is not zero") },
            default_max_tokens: 256,
            default_temperature: 0.2,
            default_top_p: 0.9,
        }
    }
}

impl LocalConfig {
    /// This configuration with a relative `path` looked up in the models folder.
    #[must_use]
    pub fn within(mut self, models: &Path) -> Self {
        self.path = models.join(&self.path);
        self
    }
}
