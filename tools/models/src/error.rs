//! How fetching a model fails. Each error says what to do about it.

use std::{
    fmt::{self, Write as _},
    io,
    path::{Path, PathBuf},
};

/// A failure of the store or of a pull.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// No model has this name.
    #[error("the model `{name}` does not exist; there are: {}", .known.join(", "))]
    UnknownModel {
        /// The name asked for.
        name: String,
        /// The names that exist, the nearest first.
        known: Vec<String>,
    },
    /// A manifest is wrong.
    #[error("the manifest is wrong: {detail}")]
    Manifest {
        /// Where and how.
        detail: String,
    },
    /// Nothing says where the cache folder is.
    #[error("no cache folder: set SIGNALBOX_MODELS_DIR, XDG_CACHE_HOME or HOME")]
    NoCacheFolder,
    /// The cache folder or the output cannot be used.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried, as in `create`.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Every source failed.
    #[error("the model `{model}` cannot be fetched:{}", list(.failures))]
    NotFetched {
        /// The model's name.
        model: String,
        /// Each source that was tried, in order, and why it failed.
        failures: Vec<SourceFailure>,
    },
}

impl ModelsError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// One source's failure.
#[derive(Debug)]
pub struct SourceFailure {
    /// Which source.
    pub source: SourceKind,
    /// Why.
    pub error: SourceError,
}

fn list(failures: &[SourceFailure]) -> String {
    let mut text = String::new();
    for SourceFailure { source, error } in failures {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {source}: {error}");
    }
    text
}

/// Where a model's files come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SourceKind {
    /// A folder on this machine.
    Folder,
    /// A Python package, by way of `pip download`.
    Pypi,
    /// A model hub, over HTTP.
    Hub,
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Folder => "folder",
            Self::Pypi => "pypi",
            Self::Hub => "hub",
        })
    }
}

/// Why one source failed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The bytes are not the manifest's. Nothing of them is kept.
    #[error(
        "{file} from {origin} is not the expected file: its sha256 is {found}, expected {expected}; \
         nothing of it was kept. Use another source (--source), or repair that one"
    )]
    WrongChecksum {
        /// The file's name.
        file: String,
        /// Where it came from: a path, a URL, or a package.
        origin: String,
        /// The manifest's SHA-256.
        expected: String,
        /// That of the bytes that came.
        found: String,
    },
    /// There are more bytes than the manifest says. Nothing of them is kept.
    #[error(
        "{file} from {origin} is longer than the {expected} bytes expected; nothing of it was \
         kept. Use another source (--source), or repair that one"
    )]
    TooLong {
        /// The file's name.
        file: String,
        /// Where it came from.
        origin: String,
        /// The manifest's length.
        expected: u64,
    },
    /// The bytes ended too early.
    #[error("{file} from {origin} ended after {received} of {expected} bytes; try again{}", if *.kept { " to resume there" } else { "" })]
    Truncated {
        /// The file's name.
        file: String,
        /// Where it came from.
        origin: String,
        /// Bytes that came.
        received: u64,
        /// The manifest's length.
        expected: u64,
        /// Whether what came is kept for the next try.
        kept: bool,
    },
    /// The manifest names no such source for the model.
    #[error("the manifest names no such source for this model; use another one")]
    NotListed,
    /// `folder` was asked for, but none was named.
    #[error("no folder is named; use --from DIR or set SIGNALBOX_MODELS_SOURCE")]
    NoFolder,
    /// The folder lacks a file.
    #[error("there is neither {} nor {}", .nested.display(), .flat.display())]
    NotInFolder {
        /// The file in a folder named like the model.
        nested: PathBuf,
        /// The file in the folder itself.
        flat: PathBuf,
    },
    /// The hub answered, but not with the file.
    #[error("{url} answers {status}; check SIGNALBOX_HUB_URL")]
    Status {
        /// The file's URL.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The hub cannot be reached, or went away.
    #[error("{url} cannot be read: {detail}; {}", if *.kept { "try again to resume" } else { "check the network or SIGNALBOX_HUB_URL" })]
    Transport {
        /// The file's URL.
        url: String,
        /// What the transport said.
        detail: String,
        /// Whether some bytes came, which are kept for the next try.
        kept: bool,
    },
    /// There is no pip.
    #[error(
        "no pip found: neither `python3 -m pip` nor `pip3` runs; install it (Debian: apt-get \
         install python3-pip) or set SIGNALBOX_PIP"
    )]
    NoPip,
    /// pip ran and failed.
    #[error("`{command}` failed: {detail}")]
    Pip {
        /// What ran.
        command: String,
        /// The end of what it said.
        detail: String,
    },
    /// The wheel is no readable archive, or lacks a file. It is not kept.
    #[error("the wheel of {package} cannot be used: {detail}; it was deleted, try again")]
    BadWheel {
        /// The package and version.
        package: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SourceError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
