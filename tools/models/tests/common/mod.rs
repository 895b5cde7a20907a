//! A model small enough to send over and over, and what a test asks of a store.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{fs, path::Path, sync::Mutex};

use sha2::{Digest as _, Sha256};
use signalbox_models::{Manifest, ModelsError, Progress, SourceError, SourceKind};

/// The model's name.
pub const MODEL: &str = "tiny";
/// Its package's wheel in the pip tests.
pub const PACKAGE: &str = "tiny-model";

/// Bytes of the larger file: several chunks, no two alike.
pub fn weights() -> Vec<u8> {
    (0..1_000_003_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// Bytes of the smaller file.
pub const CONFIG: &[u8] = br#"{"layers": 1}"#;

fn sum(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A manifest with the model `tiny`.
pub fn manifest() -> Manifest {
    Manifest::from_yaml(&format!(
        "models:
  - name: {MODEL}
    kind: chat
    description: a test
    license: Apache-2.0
    files:
      - {{name: weights.bin, sha256: {}, bytes: {}}}
      - {{name: config.json, sha256: {}, bytes: {}}}
    sources:
      pypi:
        package: {PACKAGE}
        version: 1.0.0
        bytes: 1000
        files: {{weights.bin: tiny/weights.bin, config.json: tiny/config.json}}
      hub:
        repo: someone/tiny
        revision: abc123
        files: {{weights.bin: weights.bin, config.json: sub/config.json}}
",
        sum(&weights()),
        weights().len(),
        sum(CONFIG),
        CONFIG.len(),
    ))
    .unwrap()
}

/// Remembers what it was told.
#[derive(Default)]
pub struct Told(pub Mutex<Vec<String>>);

impl Told {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Progress for Told {
    fn begin(&self, step: &str, bytes: u64) {
        self.0.lock().unwrap().push(format!("begin {step} {bytes}"));
    }
    fn at(&self, _: u64) {}
    fn end(&self, done: bool) {
        self.0.lock().unwrap().push(format!("end {done}"));
    }
    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(format!("note {text}"));
    }
}

/// The names in the model's folder, but for the lock.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<_> = entries.map(|entry| name(entry.unwrap())).collect();
    names.retain(|name| name != ".lock");
    names.sort();
    names
}

/// The names after a pull that succeeded.
pub const WHOLE: [&str; 3] = [".ok", "config.json", "weights.bin"];

/// The one failure of a pull from one source.
pub fn only_failure<T: std::fmt::Debug>(result: Result<T, ModelsError>) -> SourceError {
    match result.unwrap_err() {
        ModelsError::NotFetched { mut failures, .. } if failures.len() == 1 => {
            failures.remove(0).error
        }
        other => panic!("{other}"),
    }
}

/// The sources that failed, in order.
pub fn failed_sources<T: std::fmt::Debug>(result: &Result<T, ModelsError>) -> Vec<SourceKind> {
    match result {
        Err(ModelsError::NotFetched { failures, .. }) => {
            failures.iter().map(|failure| failure.source).collect()
        }
        other => panic!("{other:?}"),
    }
}
