//! The Router itself: its checked configuration joined with its back ends, all of
//! which come in as arguments.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use rand::{RngCore, rngs::StdRng};
use tokio_util::task::TaskTracker;

use crate::{
    catalog::{Catalog, Model},
    config::{ConfigError, GuardPolicy, Limits, RouterConfig},
    guard::Guard,
    ledger::{Ledger, LedgerError},
    provider::Provider,
    stats::Stats,
};

/// What a Router stands on.
pub struct Backends {
    /// Each provider by its key in the configuration.
    pub providers: HashMap<String, Arc<dyn Provider>>,
    /// Checks prompts and answers.
    pub guard: Arc<dyn Guard>,
    /// Books what they cost.
    pub ledger: Arc<dyn Ledger>,
    /// Every random choice comes from here.
    pub random: StdRng,
}

/// Why a Router could not be built.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BuildError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A provider could not be made.
    #[error("providers.{name}: {problem}")]
    Provider {
        /// Its key in the configuration.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The ledger cannot be opened.
    #[error("ledger.path: {0}")]
    Ledger(#[from] LedgerError),
}

/// Chooses models, calls them, and books what they cost.
pub struct Router {
    pub(crate) catalog: Catalog,
    pub(crate) policy: GuardPolicy,
    pub(crate) limits: Limits,
    pub(crate) guard: Arc<dyn Guard>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) stats: Stats,
    /// Bookings under way.
    pub(crate) bookings: TaskTracker,
    /// One for each model, by the model's name.
    providers: HashMap<Arc<str>, Arc<dyn Provider>>,
    random: Mutex<StdRng>,
}

impl Router {
    /// A Router over these back ends.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong, or a model's provider is not among the back
    /// ends.
    pub fn with_backends(config: &RouterConfig, backends: Backends) -> Result<Self, BuildError> {
        let loaded = config.load()?;
        let mut providers = HashMap::new();
        for model in loaded.catalog.models() {
            let provider = backends.providers.get(&*model.provider);
            let provider = provider.ok_or_else(|| BuildError::Provider {
                name: model.provider.to_string(),
                problem: "was not built".to_owned(),
            })?;
            providers.insert(Arc::clone(&model.name), Arc::clone(provider));
        }
        Ok(Self {
            stats: Stats::new(loaded.catalog.models()),
            catalog: loaded.catalog,
            policy: loaded.guard,
            limits: loaded.limits,
            guard: backends.guard,
            ledger: backends.ledger,
            bookings: TaskTracker::new(),
            providers,
            random: Mutex::new(backends.random),
        })
    }

    /// Waits until everything that was generated is booked. To be called once no
    /// request is in flight any more, before the process ends.
    pub async fn close(&self) {
        self.bookings.close();
        self.bookings.wait().await;
    }

    /// `with_backends` put one there for every model of the catalog.
    pub(crate) fn provider(&self, model: &Model) -> &dyn Provider {
        &*self.providers[&model.name]
    }

    pub(crate) fn with_random<T>(&self, choose: impl FnOnce(&mut dyn RngCore) -> T) -> T {
        // A generator is never half-stepped, so a poisoned one is as good as any.
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        choose(&mut *random)
    }
}
