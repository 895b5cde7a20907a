//! All three services in one process.

use std::{env, error::Error, path::Path, sync::Arc};

use signalbox_chassis::server::Server;
use signalbox_router::Router;

use crate::{guard::LocalGuard, settings::Settings};

/// The three services, built and not served yet.
pub(crate) struct Services {
    router: Arc<Router>,
    embeddings: signalbox_embeddings::Engine,
    jobs: Arc<signalbox_embeddings::Jobs>,
    guardrails: Arc<signalbox_guardrails::Engine>,
}

impl Services {
    pub(crate) async fn build(
        settings: &Settings,
        models_dir: &Path,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let guardrails = Arc::new(signalbox_guardrails::Engine::new(&settings.guardrails)?);
        let guard = Arc::new(LocalGuard::new(Arc::clone(&guardrails)));
        let router =
            signalbox_router::build(&settings.router_with_state()?, guard, models_dir, |name| {
                env::var(name).ok()
            })
            .await?;
        let config = settings.embeddings_with_state()?;
        let models_dir = config.models_dir.as_deref().unwrap_or(models_dir);
        let embeddings =
            signalbox_embeddings::load(&config, models_dir, |name| env::var(name).ok()).await?;
        let embedder = Arc::new(embeddings.clone());
        let jobs = signalbox_embeddings::Jobs::start(&config.jobs, embedder).await?;
        Ok(Self {
            router: Arc::new(router),
            embeddings,
            jobs: Arc::new(jobs),
            guardrails,
        })
    }

    /// The jobs, which have to be closed in the end.
    pub(crate) fn jobs(&self) -> Arc<signalbox_embeddings::Jobs> {
        Arc::clone(&self.jobs)
    }

    /// The Router, which has to be closed in the end.
    pub(crate) fn router(&self) -> Arc<Router> {
        Arc::clone(&self.router)
    }

    /// Adds all three to a server; none takes a message over `limit` bytes.
    pub(crate) fn add_to(self, server: Server, limit: usize) -> Server {
        server
            .service(signalbox_router::service(self.router).max_decoding_message_size(limit))
            .service(
                signalbox_embeddings::service(self.embeddings, self.jobs)
                    .max_decoding_message_size(limit),
            )
            .service(
                signalbox_guardrails::service(self.guardrails).max_decoding_message_size(limit),
            )
    }
}
