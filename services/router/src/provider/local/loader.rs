//! Loads the model once, off the async runtime, and lets requests wait for it.
//!
//! A failed load is tried again by the next request, so that pulling a missing model
//! repairs a running server.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    thread,
    time::Instant,
};

use tokio::sync::watch;

use super::{LoadError, model::LanguageModel, threads};
use crate::provider::telemetry;

enum State {
    Idle,
    Loading,
    Ready(Arc<LanguageModel>),
    Failed(LoadError),
}

pub(super) struct Loader {
    path: PathBuf,
    provider: Arc<str>,
    state: watch::Sender<State>,
}

impl Loader {
    pub(super) fn new(path: PathBuf, provider: Arc<str>) -> Self {
        Self {
            path,
            provider,
            state: watch::Sender::new(State::Idle),
        }
    }

    /// Starts loading unless that is done or under way.
    pub(super) fn start(self: &Arc<Self>) {
        let idle = self.state.send_if_modified(|state| {
            let idle = matches!(state, State::Idle | State::Failed(_));
            if idle {
                *state = State::Loading;
            }
            idle
        });
        if !idle {
            return;
        }
        let this = self.clone();
        let spawned = thread::Builder::new()
            .name("signalbox-model-load".to_owned())
            .spawn(move || this.load());
        if let Err(error) = spawned {
            self.fail(LoadError::Internal {
                path: self.path.clone(),
                detail: format!("no thread to load it on: {error}"),
            });
        }
    }

    /// The model, as soon as it is loaded.
    pub(super) async fn model(self: &Arc<Self>) -> Result<Arc<LanguageModel>, LoadError> {
        self.start();
        let mut state = self.state.subscribe();
        let settled = state
            .wait_for(|state| matches!(state, State::Ready(_) | State::Failed(_)))
            .await;
        match settled.as_deref() {
            Ok(State::Ready(model)) => Ok(model.clone()),
            Ok(State::Failed(error)) => Err(error.clone()),
            Ok(State::Idle | State::Loading) | Err(_) => Err(LoadError::Internal {
                path: self.path.clone(),
                detail: "the loader went away".to_owned(),
            }),
        }
    }

    fn load(&self) {
        let started = Instant::now();
        // A panic here must not leave requests waiting for ever.
        let loaded = catch_unwind(AssertUnwindSafe(|| LanguageModel::load(&self.path)));
        match loaded {
            Ok(Ok(model)) => {
                let seconds = started.elapsed().as_secs_f64();
                let provider = self.provider.to_string();
                metrics::gauge!(telemetry::LOCAL_LOAD_SECONDS, "provider" => provider).set(seconds);
                let threads = threads::check();
                tracing::info!(path = %self.path.display(), seconds, threads, "local model loaded");
                self.state.send_replace(State::Ready(Arc::new(model)));
            }
            Ok(Err(error)) => self.fail(error),
            Err(_) => self.fail(LoadError::Internal {
                path: self.path.clone(),
                detail: "the loader panicked".to_owned(),
            }),
        }
    }

    fn fail(&self, error: LoadError) {
        tracing::warn!(%error, "local model not loaded");
        self.state.send_replace(State::Failed(error));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    fn loader(path: PathBuf) -> Arc<Loader> {
        Arc::new(Loader::new(path, "local".into()))
    }

    #[tokio::test]
    async fn a_missing_file_names_itself_and_the_command_that_fetches_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent.gguf");
        let error = loader(path.clone()).model().await.err().unwrap();
        assert_eq!(error, LoadError::Missing { path: path.clone() });
        let message = error.to_string();
        assert!(message.contains("signalbox models pull"), "{message}");
        assert!(message.contains(path.to_str().unwrap()), "{message}");
    }

    #[tokio::test]
    async fn a_file_of_another_kind_is_reported_as_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not.gguf");
        std::fs::write(&path, b"hello").unwrap();
        let error = loader(path).model().await.err().unwrap();
        assert!(matches!(error, LoadError::Damaged { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_failed_load_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("late.gguf");
        let loader = loader(path.clone());
        let first = loader.model().await.err().unwrap();
        assert!(matches!(first, LoadError::Missing { .. }), "{first}");
        std::fs::write(&path, b"still no model").unwrap();
        let second = loader.model().await.err().unwrap();
        assert!(matches!(second, LoadError::Damaged { .. }), "{second}");
    }
}
