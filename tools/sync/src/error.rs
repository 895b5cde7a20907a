//! What can keep the check from giving an answer, as opposed to what it finds.

use std::path::PathBuf;

/// The check or the mend could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No manifest with `workspace.members` in the folder or above it.
    #[error(
        "no Cargo workspace in {0} or above it; run this inside of the checkout, or give --root"
    )]
    NoWorkspace(PathBuf),
    /// `cargo metadata` failed. It runs without network and without changing Cargo.lock.
    #[error(
        "{0}; if Cargo.lock is behind the manifests or a crate was never fetched, run `cargo fetch`"
    )]
    Metadata(#[from] cargo_metadata::Error),
    /// A path or a resolve graph that is not as cargo documents them.
    #[error("cargo metadata: {0}")]
    Graph(String),
    /// A file that cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A manifest that is not TOML.
    #[error("{path}: {source}")]
    Manifest {
        /// Which file.
        path: PathBuf,
        /// Where it is wrong.
        source: Box<toml::de::Error>,
    },
    /// A source file whose brackets or literals are not Rust.
    #[error("{path}: not Rust: {message}")]
    Rust {
        /// Which file.
        path: PathBuf,
        /// What the lexer said.
        message: String,
    },
    /// buildozer or buildifier is not installed.
    #[error("{0} is not installed; run tools/setup/go.sh")]
    NoTool(&'static str),
    /// buildozer or buildifier refused.
    #[error("{tool} failed: {message}")]
    Tool {
        /// Which program.
        tool: String,
        /// Its own words.
        message: String,
    },
}

/// Makes `std::io::Error`s name their file.
pub(crate) trait At<T> {
    fn at(self, path: &std::path::Path) -> Result<T, Error>;
}

impl<T> At<T> for Result<T, std::io::Error> {
    fn at(self, path: &std::path::Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })
    }
}
