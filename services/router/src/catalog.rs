//! What a request may name: models, which pin, and routes, which choose.

use std::{collections::BTreeMap, sync::Arc};

use crate::{money::Price, names, strategy::Strategy};

/// A model that can answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    /// The name that requests, usage and prices go by.
    pub(crate) name: Arc<str>,
    /// The provider's name.
    pub(crate) provider: Arc<str>,
    /// The provider's own name of the model.
    pub(crate) upstream_name: Arc<str>,
    /// What its tokens cost.
    pub(crate) price: Price,
    /// Longest prompt and answer together, in tokens; `None` when unknown.
    pub(crate) context_window: Option<u32>,
}

/// A choice of models under one name.
pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    pub(crate) strategy: Box<dyn Strategy>,
    /// At least one.
    pub(crate) models: Vec<Arc<Model>>,
}

/// What a request's `model` means.
pub(crate) enum Target<'a> {
    /// This model and no other.
    Pinned(&'a Arc<Model>),
    /// One of a route's models.
    Route(&'a Route),
}

/// A name that is neither a model nor a route.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("model `{name}` does not exist; {hint}")]
pub(crate) struct UnknownModel {
    /// The name.
    pub(crate) name: String,
    /// What does exist, the nearest first.
    pub(crate) hint: String,
}

/// All models and routes, checked against each other.
pub(crate) struct Catalog {
    models: BTreeMap<Arc<str>, Arc<Model>>,
    routes: BTreeMap<Arc<str>, Route>,
}

impl Catalog {
    /// A catalog of models and routes whose names are distinct.
    pub(crate) fn new(models: Vec<Arc<Model>>, routes: Vec<Route>) -> Self {
        Self {
            models: models
                .into_iter()
                .map(|model| (Arc::clone(&model.name), model))
                .collect(),
            routes: routes
                .into_iter()
                .map(|route| (Arc::clone(&route.name), route))
                .collect(),
        }
    }

    /// What `name` means.
    pub(crate) fn resolve(&self, name: &str) -> Result<Target<'_>, UnknownModel> {
        if let Some(model) = self.models.get(name) {
            return Ok(Target::Pinned(model));
        }
        if let Some(route) = self.routes.get(name) {
            return Ok(Target::Route(route));
        }
        let known = || {
            let routes = self.routes.keys().map(|name| &**name);
            routes.chain(self.models.keys().map(|name| &**name))
        };
        let list: Vec<_> = known().map(|name| format!("`{name}`")).collect();
        let near = names::hint(name, known());
        Err(UnknownModel {
            name: name.to_owned(),
            hint: format!("{near}the models and routes are {}", list.join(", ")),
        })
    }

    /// Every model, by name.
    pub(crate) fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.values()
    }

    /// Every route, by name.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values()
    }
}
