//! Reads the small JSON files of a model folder, so that each failure names its
//! file.

use std::{fs, io::ErrorKind, path::Path};

use serde::de::DeserializeOwned;

use crate::error::LoadError;

/// Reads a file whole.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    fs::read(path).map_err(|source| io_error(path, source))
}

/// Reads and parses a JSON file.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, LoadError> {
    serde_json::from_slice(&read(path)?).map_err(|error| LoadError::Malformed {
        path: path.to_owned(),
        detail: error.to_string(),
    })
}

/// Tells a file that is not there from one that cannot be read.
pub(crate) fn io_error(path: &Path, source: std::io::Error) -> LoadError {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::NotFound => LoadError::MissingFile { path },
        _ => LoadError::Unreadable { path, source },
    }
}
