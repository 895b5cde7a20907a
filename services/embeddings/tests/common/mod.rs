//! The service over the real model, loaded once for each test binary.

use std::{path::PathBuf, sync::Arc};

use signalbox_embeddings::{EmbeddingsConfig, Engine, Jobs, jobs::JobsConfig, load};
use signalbox_models::Store;
use tokio::sync::OnceCell;

/// The name of the model under test.
pub(crate) const MODEL: &str = "all-MiniLM-L6-v2";

/// The folder that `signalbox models pull` fills.
fn models_dir() -> PathBuf {
    let models = Store::default_location().expect("a folder for models");
    let dir = models.root().join(MODEL);
    assert!(
        dir.join("model.safetensors").is_file(),
        "{} holds no model; run `signalbox models pull` or `make models`",
        dir.display()
    );
    models.root().to_owned()
}

/// An engine with the real model and the default configuration.
pub(crate) async fn engine() -> Engine {
    static ENGINE: OnceCell<Engine> = OnceCell::const_new();
    let start = || async {
        load(&EmbeddingsConfig::default(), &models_dir(), |_| None)
            .await
            .expect("the model loads")
    };
    ENGINE.get_or_init(start).await.clone()
}

/// Jobs of this engine, in memory.
#[allow(dead_code, reason = "tests, each of which uses a part")]
pub(crate) async fn jobs(engine: &Engine) -> Arc<Jobs> {
    let jobs = Jobs::start(&JobsConfig::default(), Arc::new(engine.clone())).await;
    Arc::new(jobs.expect("jobs start in memory"))
}
