//! Which reductions there are, whose they are, and which one a request means.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use tokio::{sync::Semaphore, task};

use super::{
    Plan, Reducer,
    config::{ReductionsConfig, SharedKind, SharedReduction},
    matryoshka,
    pca::Pca,
    random::Random,
    store::{Store, StoreError},
};
use crate::{model::ModelCard, request::EmbedError};

/// Longest name of a reduction.
const MAX_NAME: usize = 64;

/// The reductions cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ReductionsError {
    /// A configured one is wrong.
    #[error("embeddings.reductions.shared: `{name}` {fix}")]
    Config {
        /// Its name.
        name: String,
        /// What is wrong.
        fix: &'static str,
    },
    /// The file is not right.
    #[error("embeddings.reductions.path: {0}")]
    Store(#[from] StoreError),
}

/// What is told about a reduction.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduction {
    /// The name in requests.
    pub name: String,
    /// From 1, one more for each of the same name; absent where it is configured.
    pub version: Option<u32>,
    /// `pca` or `random`.
    pub kind: &'static str,
    /// The model whose vectors it was fitted to; empty where it takes any model's.
    pub model: String,
    /// Length of the vectors that come out.
    pub dimensions: u32,
    /// Which part of the corpus's variance it keeps, 0 to 1.
    pub variance_explained: Option<f64>,
    /// Vectors that it was fitted to.
    pub fitted_to: u32,
    /// When it was fitted.
    pub created: Option<SystemTime>,
}

impl Reduction {
    /// What names exactly this one in a request.
    pub fn id(&self) -> String {
        match self.version {
            Some(version) => format!("{}@{version}", self.name),
            None => self.name.clone(),
        }
    }
}

/// A reduction fitted to vectors of these weights.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fitted {
    pub(super) caller: String,
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) model: String,
    pub(super) revision: String,
    pub(super) fitted_to: u32,
    pub(super) created: SystemTime,
    pub(super) pca: Arc<Pca>,
}

/// Caller, name, version.
type Id = (String, String, u32);

/// The reductions of all callers. Cheap to clone.
#[derive(Clone)]
pub struct Reductions {
    inner: Arc<Inner>,
}

struct Inner {
    config: ReductionsConfig,
    fitted: RwLock<BTreeMap<Id, Arc<Fitted>>>,
    /// Random projections, made when a model of that length first needs one.
    projections: Mutex<HashMap<(usize, usize), Arc<Random>>>,
    store: Store,
    /// One change at a time: bounds and versions hold.
    writer: tokio::sync::Mutex<()>,
    /// One fit at a time: each takes a core for a while.
    fits: Semaphore,
}

impl Default for Reductions {
    /// None, kept in memory.
    fn default() -> Self {
        Self::with(ReductionsConfig::default(), Store::default(), Vec::new())
    }
}

impl Reductions {
    /// Opens the file, which is made if it does not exist, and reads what it keeps.
    /// Blocks for that time.
    ///
    /// # Errors
    ///
    /// When a configured reduction is wrong, or the file is none of these or is open in
    /// another process.
    pub fn open(config: &ReductionsConfig) -> Result<Self, ReductionsError> {
        let mut names = BTreeSet::new();
        for shared in &config.shared {
            let wrong = |fix| ReductionsError::Config {
                name: shared.name.clone(),
                fix,
            };
            if !is_name(&shared.name) {
                return Err(wrong("is no name: 1 to 64 of a-z, 0-9, `-` and `_`"));
            }
            if !names.insert(&shared.name) {
                return Err(wrong("is there twice"));
            }
        }
        let store = config.path.as_deref().map(Store::open).transpose()?;
        let store = store.unwrap_or_default();
        let fitted = store.read_all()?;
        Ok(Self::with(config.clone(), store, fitted))
    }

    fn with(config: ReductionsConfig, store: Store, fitted: Vec<Fitted>) -> Self {
        let id = |one: &Fitted| (one.caller.clone(), one.name.clone(), one.version);
        let fitted = fitted.into_iter().map(|one| (id(&one), Arc::new(one)));
        Self {
            inner: Arc::new(Inner {
                config,
                fitted: RwLock::new(fitted.collect()),
                projections: Mutex::default(),
                store,
                writer: tokio::sync::Mutex::new(()),
                fits: Semaphore::new(1),
            }),
        }
    }

    pub(super) fn fits(&self) -> &Semaphore {
        &self.inner.fits
    }

    /// What to do with the vectors of a request.
    ///
    /// # Errors
    ///
    /// [`EmbedError`] says which of `dimensions` and `reduction` is wrong.
    pub fn plan(
        &self,
        card: &ModelCard,
        caller: &str,
        dimensions: Option<u32>,
        reduction: &str,
    ) -> Result<Plan, EmbedError> {
        if reduction.is_empty() {
            let wanted = dimensions.unwrap_or(card.dimensions);
            let reducer = matryoshka::of(card, wanted)?;
            return Ok(Plan {
                reducer: reducer.map(|reducer| Arc::new(reducer) as _),
                keep: wanted as usize,
                id: None,
            });
        }
        let (reducer, id) = self.find(card, caller, reduction)?;
        let most = reducer.dimensions();
        let keep = dimensions.map_or(most, |wanted| wanted as usize);
        if !(1..=most).contains(&keep) {
            let fix = format!("is {keep}; the reduction `{id}` gives 1 to {most}");
            return Err(EmbedError::invalid("dimensions", fix));
        }
        Ok(Plan {
            reducer: Some(reducer),
            keep,
            id: Some(id),
        })
    }

    fn find(
        &self,
        card: &ModelCard,
        caller: &str,
        wanted: &str,
    ) -> Result<(Arc<dyn Reducer>, String), EmbedError> {
        let configured = &self.inner.config.shared;
        if let Some(at) = configured.iter().position(|one| one.name == wanted) {
            let reducer = self.projection(at, &configured[at], card)?;
            return Ok((reducer, wanted.to_owned()));
        }
        let fitted = self.fitted(caller, wanted)?;
        let id = info(&fitted).id();
        let wrong = |fix: String| Err(EmbedError::invalid("reduction", format!("`{id}` {fix}")));
        if fitted.model != card.name {
            return wrong(format!(
                "was fitted to `{}` and does not fit `{}`; use it with its own model",
                fitted.model, card.name
            ));
        }
        if fitted.revision != card.revision
            || fitted.pca.input_dimensions() != card.dimensions as usize
        {
            return wrong(format!(
                "was fitted to other weights of `{}`; fit it again",
                fitted.model
            ));
        }
        Ok((Arc::clone(&fitted.pca) as _, id))
    }

    /// The named version, or the latest.
    fn fitted(&self, caller: &str, wanted: &str) -> Result<Arc<Fitted>, EmbedError> {
        let (name, version) = parse_id(wanted)?;
        let fitted = self
            .inner
            .fitted
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let first = (caller.to_owned(), name.to_owned(), version.unwrap_or(0));
        let last = (
            caller.to_owned(),
            name.to_owned(),
            version.unwrap_or(u32::MAX),
        );
        let found = fitted.range(first..=last).next_back();
        found.map(|(_, one)| Arc::clone(one)).ok_or_else(|| {
            drop(fitted);
            self.unknown(caller, wanted)
        })
    }

    fn unknown(&self, caller: &str, name: &str) -> EmbedError {
        EmbedError::UnknownReduction {
            name: name.to_owned(),
            available: self.list(caller).iter().map(Reduction::id).collect(),
        }
    }

    fn projection(
        &self,
        at: usize,
        shared: &SharedReduction,
        card: &ModelCard,
    ) -> Result<Arc<dyn Reducer>, EmbedError> {
        let (input, dimensions) = (card.dimensions as usize, shared.dimensions.get() as usize);
        if dimensions > input {
            let fix = format!(
                "`{}` gives {dimensions} dimensions, more than `{}` has, {input}",
                shared.name, card.name
            );
            return Err(EmbedError::invalid("reduction", fix));
        }
        let mut made = lock(&self.inner.projections);
        let reducer = made
            .entry((at, input))
            .or_insert_with(|| match shared.kind {
                SharedKind::Random => Arc::new(Random::new(input, dimensions, shared.seed)),
            });
        Ok(Arc::clone(reducer) as _)
    }

    /// The configured reductions and the caller's own, by name and version.
    pub fn list(&self, caller: &str) -> Vec<Reduction> {
        let shared = self.inner.config.shared.iter().map(|one| Reduction {
            name: one.name.clone(),
            version: None,
            kind: match one.kind {
                SharedKind::Random => "random",
            },
            model: String::new(),
            dimensions: one.dimensions.get(),
            variance_explained: None,
            fitted_to: 0,
            created: None,
        });
        let fitted = self
            .inner
            .fitted
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let own = fitted.iter().filter(|((owner, ..), _)| owner == caller);
        shared.chain(own.map(|(_, one)| info(one))).collect()
    }

    /// Checks the name of a new reduction.
    pub(super) fn check_name(&self, name: &str) -> Result<(), EmbedError> {
        if !is_name(name) {
            let fix = "is no name; 1 to 64 of a-z, 0-9, `-` and `_` are accepted";
            return Err(EmbedError::invalid("name", fix));
        }
        if self.inner.config.shared.iter().any(|one| one.name == name) {
            let fix = "is the name of a reduction that the server's configuration defines";
            return Err(EmbedError::invalid("name", fix));
        }
        Ok(())
    }

    /// Refuses one reduction more than the caller may keep.
    pub(super) fn check_room(&self, caller: &str, bytes: u64) -> Result<(), EmbedError> {
        let fitted = self
            .inner
            .fitted
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let most = self.inner.config.max_per_caller.get();
        let own = fitted.keys().filter(|(owner, ..)| owner == caller).count();
        let used: u64 = fitted.values().map(|one| size(&one.pca)).sum();
        if own >= most || used.saturating_add(bytes) > self.inner.config.max_bytes {
            return Err(EmbedError::TooManyReductions);
        }
        Ok(())
    }

    /// Keeps a reduction, as the next version of its name.
    pub(super) async fn keep(&self, mut new: Fitted) -> Result<Reduction, EmbedError> {
        let _one = self.inner.writer.lock().await;
        self.check_room(&new.caller, size(&new.pca))?;
        let store = self.inner.store.clone();
        let kept = task::spawn_blocking(move || {
            new.version = store.add(&new)?;
            Ok::<_, StoreError>(new)
        });
        let kept = Arc::new(kept.await.map_err(failed)?.map_err(failed)?);
        let id = (kept.caller.clone(), kept.name.clone(), kept.version);
        let mut fitted = self
            .inner
            .fitted
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        fitted.insert(id, Arc::clone(&kept));
        Ok(info(&kept))
    }

    /// Deletes one version, or all versions where only the name is given; says how many.
    ///
    /// # Errors
    ///
    /// When the caller has none such.
    pub async fn delete(&self, caller: &str, wanted: &str) -> Result<u32, EmbedError> {
        let (name, version) = parse_id(wanted)?;
        if self.inner.config.shared.iter().any(|one| one.name == name) {
            let fix = "is defined by the server's configuration and cannot be deleted";
            return Err(EmbedError::invalid("name", fix));
        }
        let _one = self.inner.writer.lock().await;
        let ids: Vec<Id> = {
            let fitted = self
                .inner
                .fitted
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            let meant = |id: &&Id| {
                id.0 == caller && id.1 == name && version.is_none_or(|version| id.2 == version)
            };
            fitted.keys().filter(meant).cloned().collect()
        };
        if ids.is_empty() {
            return Err(self.unknown(caller, wanted));
        }
        let (store, gone) = (self.inner.store.clone(), ids.clone());
        let deleted = task::spawn_blocking(move || store.remove(&gone));
        deleted.await.map_err(failed)?.map_err(failed)?;
        let mut fitted = self
            .inner
            .fitted
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        ids.iter().for_each(|id| {
            fitted.remove(id);
        });
        Ok(u32::try_from(ids.len()).unwrap_or(u32::MAX))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(error: impl std::fmt::Display) -> EmbedError {
    EmbedError::Failed(format!("reductions: {error}"))
}

/// Bytes that it takes in memory and, but for a few, in the file.
fn size(pca: &Pca) -> u64 {
    4 * (pca.mean.len() as u64) * (1 + pca.explained.len() as u64)
}

fn info(one: &Fitted) -> Reduction {
    Reduction {
        name: one.name.clone(),
        version: Some(one.version),
        kind: "pca",
        model: one.model.clone(),
        dimensions: u32::try_from(one.pca.dimensions()).unwrap_or(u32::MAX),
        variance_explained: Some(one.pca.explained.iter().sum::<f64>().min(1.0)),
        fitted_to: one.fitted_to,
        created: Some(one.created),
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(allowed)
}

/// `name` or `name@version`.
fn parse_id(id: &str) -> Result<(&str, Option<u32>), EmbedError> {
    let (name, version) = match id.split_once('@') {
        Some((name, version)) => (name, Some(version.parse::<u32>().ok())),
        None => (id, None),
    };
    match version {
        Some(None | Some(0)) => {}
        _ if !is_name(name) => {}
        version => return Ok((name, version.flatten())),
    }
    let fix = "is no reduction's name; `name` and `name@version` are accepted, as in `my-corpus@2`";
    Err(EmbedError::invalid("reduction", fix))
}
