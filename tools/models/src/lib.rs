//! Fetches model files: checked against a manifest, resumable, atomically placed in a
//! cache folder that any number of processes share.
//!
//! ```no_run
//! # async fn example() -> Result<(), signalbox_models::ModelsError> {
//! use signalbox_models::{Manifest, PullOptions, Store, on_stderr};
//!
//! let model = Manifest::builtin().get("all-MiniLM-L6-v2")?;
//! let store = Store::default_location()?;
//! let folder = store
//!     .pull(model, &PullOptions::from_env(), on_stderr().as_ref())
//!     .await?;
//! let weights = folder.join("model.safetensors");
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod cli;
mod error;
mod manifest;
mod partial;
mod progress;
mod source;
mod store;

pub use crate::{
    error::{ModelsError, SourceError, SourceFailure, SourceKind},
    manifest::{Card, Kind, Manifest, Model, ModelFile},
    progress::{Progress, Silent, on_stderr},
    source::{DEFAULT_HUB_URL, PullOptions},
    store::{Status, Store, checked_sums},
};
