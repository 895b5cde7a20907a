//! Fitted reductions on disk: a redb file, or nothing where no file is configured and
//! the registry's own memory is all there is.
//!
//! A reduction is written once and read once, when the process starts. The version that
//! follows is counted apart from what is there, so that a deleted version's name never
//! means another reduction.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize};

use super::{Rows, pca::Pca, registry::Fitted};

/// Caller, name, version.
type Key = (&'static str, &'static str, u32);

/// JSON of a [`Header`], its length in 4 bytes before it; then the mean and the
/// components as little-endian 32-bit floats.
const REDUCTIONS: TableDefinition<'static, Key, &'static [u8]> =
    TableDefinition::new("reductions_v1");
/// The last version given to a caller's name.
const VERSIONS: TableDefinition<'static, (&'static str, &'static str), u32> =
    TableDefinition::new("reduction_versions_v1");

/// redb's page cache: nothing is read twice.
const CACHE_BYTES: usize = 1 << 20;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened, read or written.
    #[error("{0}")]
    File(String),
    /// What it keeps is not what this program writes.
    #[error("the reduction `{0}` in it is damaged; delete the file or restore a copy")]
    Damaged(String),
}

#[derive(Serialize, Deserialize)]
struct Header {
    model: String,
    revision: String,
    fitted_to: u32,
    created_unix_ms: u64,
    input: usize,
    explained: Vec<f64>,
}

/// Where fitted reductions are kept.
#[derive(Clone)]
pub(super) enum Store {
    /// In a file.
    File(Arc<Database>),
    /// Nowhere; the last version given to a caller's name.
    Memory(Arc<Mutex<BTreeMap<(String, String), u32>>>),
}

impl Default for Store {
    fn default() -> Self {
        Self::Memory(Arc::default())
    }
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(file)?;
        }
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = builder.create(path).map_err(file)?;
        let transaction = database.begin_write().map_err(file)?;
        transaction.open_table(REDUCTIONS).map_err(file)?;
        transaction.open_table(VERSIONS).map_err(file)?;
        transaction.commit().map_err(file)?;
        Ok(Self::File(Arc::new(database)))
    }

    pub(super) fn read_all(&self) -> Result<Vec<Fitted>, StoreError> {
        match self {
            Self::File(database) => read_all(database),
            Self::Memory(_) => Ok(Vec::new()),
        }
    }

    /// Keeps a reduction as the next version of its name, and says which that is.
    pub(super) fn add(&self, new: &Fitted) -> Result<u32, StoreError> {
        match self {
            Self::File(database) => add(database, new),
            Self::Memory(versions) => {
                let mut versions = versions.lock().unwrap_or_else(PoisonError::into_inner);
                let name = (new.caller.clone(), new.name.clone());
                let version = versions.entry(name).or_default();
                *version = version.saturating_add(1);
                Ok(*version)
            }
        }
    }

    pub(super) fn remove(&self, ids: &[(String, String, u32)]) -> Result<(), StoreError> {
        match self {
            Self::File(database) => remove(database, ids),
            Self::Memory(_) => Ok(()),
        }
    }
}

fn read_all(database: &Database) -> Result<Vec<Fitted>, StoreError> {
    let transaction = database.begin_read().map_err(file)?;
    let table = transaction.open_table(REDUCTIONS).map_err(file)?;
    let mut all = Vec::new();
    for entry in table.iter().map_err(file)? {
        let (key, bytes) = entry.map_err(file)?;
        let (caller, name, version) = key.value();
        let damaged = || StoreError::Damaged(format!("{name}@{version}"));
        let (header, pca) = from_bytes(bytes.value()).ok_or_else(damaged)?;
        let since = Duration::from_millis(header.created_unix_ms);
        all.push(Fitted {
            caller: caller.to_owned(),
            name: name.to_owned(),
            version,
            model: header.model,
            revision: header.revision,
            fitted_to: header.fitted_to,
            created: SystemTime::UNIX_EPOCH
                .checked_add(since)
                .ok_or_else(damaged)?,
            pca: Arc::new(pca),
        });
    }
    Ok(all)
}

fn add(database: &Database, new: &Fitted) -> Result<u32, StoreError> {
    let (caller, name) = (new.caller.as_str(), new.name.as_str());
    let bytes = to_bytes(new)?;
    let transaction = database.begin_write().map_err(file)?;
    let version = {
        let mut versions = transaction.open_table(VERSIONS).map_err(file)?;
        let last = versions.get((caller, name)).map_err(file)?;
        let version = last.map_or(0, |last| last.value()).saturating_add(1);
        versions.insert((caller, name), version).map_err(file)?;
        let mut table = transaction.open_table(REDUCTIONS).map_err(file)?;
        table
            .insert((caller, name, version), bytes.as_slice())
            .map_err(file)?;
        version
    };
    transaction.commit().map_err(file)?;
    Ok(version)
}

fn remove(database: &Database, ids: &[(String, String, u32)]) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(file)?;
    {
        let mut table = transaction.open_table(REDUCTIONS).map_err(file)?;
        for (caller, name, version) in ids {
            table
                .remove((caller.as_str(), name.as_str(), *version))
                .map_err(file)?;
        }
    }
    transaction.commit().map_err(file)
}

fn file(error: impl std::fmt::Display) -> StoreError {
    StoreError::File(error.to_string())
}

fn to_bytes(one: &Fitted) -> Result<Vec<u8>, StoreError> {
    let since = one.created.duration_since(SystemTime::UNIX_EPOCH);
    let header = Header {
        model: one.model.clone(),
        revision: one.revision.clone(),
        fitted_to: one.fitted_to,
        created_unix_ms: u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX),
        input: one.pca.mean.len(),
        explained: one.pca.explained.clone(),
    };
    let header = serde_json::to_vec(&header).map_err(file)?;
    let mut bytes = u32::try_from(header.len())
        .map_err(file)?
        .to_le_bytes()
        .to_vec();
    bytes.extend(header);
    for value in one.pca.mean.iter().chain(&one.pca.components.numbers) {
        bytes.extend(value.to_le_bytes());
    }
    Ok(bytes)
}

fn from_bytes(bytes: &[u8]) -> Option<(Header, Pca)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (header, numbers) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let header: Header = serde_json::from_slice(header).ok()?;
    let (numbers, odd) = numbers.as_chunks::<4>();
    let count = header.input.checked_mul(1 + header.explained.len())?;
    if !odd.is_empty() || header.input == 0 || numbers.len() != count {
        return None;
    }
    let mut numbers = numbers.iter().map(|number| f32::from_le_bytes(*number));
    let pca = Pca {
        mean: numbers.by_ref().take(header.input).collect(),
        components: Rows::new(header.input, numbers.collect()),
        explained: header.explained.clone(),
    };
    Some((header, pca))
}
