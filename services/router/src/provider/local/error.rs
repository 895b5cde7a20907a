//! Why a local model cannot be used. Each error names the file and the fix.

use std::path::PathBuf;

/// The model's file could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// There is no such file.
    #[error(
        "the model file {} does not exist; `signalbox models pull` fetches it, or set `path` of \
         the local provider",
        path.display()
    )]
    Missing {
        /// The configured path.
        path: PathBuf,
    },
    /// The file cannot be opened or read.
    #[error("the model file {} cannot be read: {detail}; check its permissions", path.display())]
    Unreadable {
        /// The configured path.
        path: PathBuf,
        /// What the operating system said.
        detail: String,
    },
    /// The file is not a usable GGUF file.
    #[error(
        "the model file {} is damaged or not a GGUF file: {detail}; delete it and run \
         `signalbox models pull`",
        path.display()
    )]
    Damaged {
        /// The configured path.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The file is sound but holds something else than what this provider runs.
    #[error(
        "the model file {} cannot be used here: {detail}; use a llama-architecture chat model \
         such as SmolLM2-135M-Instruct",
        path.display()
    )]
    Unsupported {
        /// The configured path.
        path: PathBuf,
        /// What it holds instead.
        detail: String,
    },
    /// The machine refused: no thread, or a panic while loading.
    #[error("loading the model file {} failed: {detail}", path.display())]
    Internal {
        /// The configured path.
        path: PathBuf,
        /// What happened.
        detail: String,
    },
}
