//! What can be configured of reductions.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reductions that exist from the start, and where fitted ones are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReductionsConfig {
    /// The file that keeps fitted reductions; in memory only when null. Two servers
    /// cannot share one.
    pub path: Option<PathBuf>,
    /// Most reductions that one caller keeps, all versions counted.
    pub max_per_caller: NonZeroUsize,
    /// Most bytes that the reductions of all callers take. One from 384 to 128
    /// dimensions takes about 200 KB.
    pub max_bytes: u64,
    /// Reductions for every caller and model.
    pub shared: Vec<SharedReduction>,
}

impl Default for ReductionsConfig {
    fn default() -> Self {
        Self {
            path: None,
            max_per_caller: NonZeroUsize::MIN.saturating_add(31),
            max_bytes: 256 << 20,
            shared: Vec::new(),
        }
    }
}

/// A reduction that needs no fitting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedReduction {
    /// Its name in requests: 1 to 64 of `a-z`, `0-9`, `-` and `_`.
    pub name: String,
    /// What it does.
    pub kind: SharedKind,
    /// Length of the vectors that come out.
    pub dimensions: NonZeroU32,
    /// Chooses the projection; the same seed gives the same one everywhere.
    #[serde(default)]
    pub seed: u64,
}

/// What a [`SharedReduction`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SharedKind {
    /// A random projection.
    Random,
}
