//! The loops that run in the background: workers, which claim chunks and embed them,
//! and the sweeper, which deletes what has expired.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{self, Instant, MissedTickBehavior},
};

use super::{
    embedder::{ChunkError, Embedder, failed},
    error::JobError,
    job::{Counts, ItemError, ItemResult},
    store::{Claim, Completion, JobStore},
};
use crate::telemetry;

/// Waits before an engine that failed on a whole chunk is asked again. After the last
/// of them the texts are to blame.
const ENGINE_RETRIES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// First and longest wait before a store that failed is asked again.
const STORE_RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));

/// One chunk at a time.
pub(super) struct Worker {
    pub(super) store: Arc<dyn JobStore>,
    pub(super) embedder: Arc<dyn Embedder>,
    pub(super) lease: Duration,
    pub(super) stopped: watch::Receiver<bool>,
}

impl Worker {
    /// Works until it is stopped.
    pub(super) async fn run(self) {
        let mut wait = STORE_RETRY.0;
        loop {
            let claim = tokio::select! {
                () = stop(&self.stopped) => return,
                claim = self.store.claim() => claim,
            };
            let done = match claim {
                Ok(claim) => self.work(claim).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => wait = STORE_RETRY.0,
                // One record is bad; the next may be good.
                Err(error @ JobError::Corrupt { .. }) => tracing::error!(%error, "job store"),
                Err(error) => {
                    tracing::warn!(%error, retry_ms = wait.as_millis(), "job store");
                    tokio::select! {
                        () = stop(&self.stopped) => return,
                        () = time::sleep(wait) => {}
                    }
                    wait = (wait * 2).min(STORE_RETRY.1);
                }
            }
        }
    }

    async fn work(&self, claim: Claim) -> Result<(), JobError> {
        let begun = Instant::now();
        let results = tokio::select! {
            // Dropped, which stops the engine.
            () = stop(&self.stopped) => Err(Undone::Stopped),
            () = self.keep(&claim) => Err(Undone::Lost),
            results = self.embed(&claim) => results.map_err(Undone::Failed),
        };
        match results {
            Ok(results) => self.finish(claim, results, begun).await,
            Err(Undone::Failed(ChunkError::UnknownModel(name))) => {
                let reason = format!("model `{name}` is not loaded on the worker");
                self.store.fail(claim, &reason).await
            }
            Err(Undone::Stopped | Undone::Lost | Undone::Failed(_)) => {
                self.store.release(claim).await
            }
        }
    }

    /// Renews the lease until it is lost.
    async fn keep(&self, claim: &Claim) {
        let mut ticks = time::interval(self.lease / 3);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            match self.store.renew(claim).await {
                Ok(true) => {}
                Ok(false) => return,
                // The work is not thrown away for it: at worst another does it too.
                Err(error) => tracing::warn!(%error, "a lease was not renewed"),
            }
        }
    }

    async fn embed(&self, claim: &Claim) -> Result<Vec<ItemResult>, ChunkError> {
        let texts = &claim.texts;
        for wait in ENGINE_RETRIES {
            match self.embedder.embed_chunk(&claim.model, texts).await {
                Err(ChunkError::Failed) => time::sleep(wait).await,
                other => return other,
            }
        }
        match self.embedder.embed_chunk(&claim.model, texts).await {
            Err(ChunkError::Failed) => Ok(texts.iter().map(|text| blame(text)).collect()),
            other => other,
        }
    }

    async fn finish(
        &self,
        claim: Claim,
        results: Vec<ItemResult>,
        begun: Instant,
    ) -> Result<(), JobError> {
        let (model, counts) = (claim.model.clone(), Counts::of(&results));
        if let Completion::Stored(job) = self.store.complete(claim, results).await? {
            telemetry::job_chunk(&model, counts.done, counts.failed, begun.elapsed());
            if job.progress.state.is_final() {
                telemetry::job_ended(&model, job.progress.state.as_str());
            }
        }
        Ok(())
    }
}

/// Why a chunk was not embedded.
enum Undone {
    Stopped,
    Lost,
    Failed(ChunkError),
}

fn blame(text: &str) -> ItemResult {
    if text.is_empty() {
        return Err(ItemError("the text is empty".to_owned()));
    }
    Err(failed())
}

async fn stop(stopped: &watch::Receiver<bool>) {
    // An error says that the sender is gone, which stops as well.
    let _ = stopped.clone().wait_for(|stopped| *stopped).await;
}

/// Sweeps the store now and then, and says how many jobs there are.
pub(super) async fn sweep(
    store: Arc<dyn JobStore>,
    every: Duration,
    stopped: watch::Receiver<bool>,
) {
    let mut ticks = time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop(&stopped) => return,
            _ = ticks.tick() => {}
        }
        match store.sweep().await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, "expired jobs were deleted"),
            Err(error) => tracing::warn!(%error, "expired jobs were not deleted"),
        }
        match store.open_jobs().await {
            Ok(open) => telemetry::open_jobs(open.pending, open.running),
            Err(error) => tracing::warn!(%error, "open jobs were not counted"),
        }
    }
}
