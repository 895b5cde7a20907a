//! The loops that run in the background: workers, which claim chunks and embed them,
//! and the sweeper, which deletes what has expired.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{self, Instant, MissedTickBehavior},
};

use super::{
    embedder::{Chunk, ChunkError, Embedder, failed},
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
            Err(Undone::Failed(ChunkError::Remote(reason))) => {
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
        let chunk = Chunk {
            caller: &claim.caller,
            model: &claim.model,
            texts: &claim.texts,
        };
        for wait in ENGINE_RETRIES {
            match self.embedder.embed_chunk(chunk).await {
                Err(ChunkError::Failed) => time::sleep(wait).await,
                other => return other,
            }
        }
        match self.embedder.embed_chunk(chunk).await {
            Err(ChunkError::Failed) => Ok(claim.texts.iter().map(|text| blame(text)).collect()),
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Mutex;

    use futures_util::future::BoxFuture;

    use super::*;
    use crate::jobs::{
        job::{Job, JobId, JobSpec, JobState, UnixMs},
        store::EmbeddedStore,
    };

    const LEASE: Duration = Duration::from_secs(30);

    /// What the engine does, call by call; then it gives vectors.
    struct Scripted(Mutex<Vec<Step>>);

    enum Step {
        Fail(ChunkError),
        /// Takes for ever.
        Hang,
    }

    impl Embedder for Scripted {
        fn embed_chunk<'a>(
            &'a self,
            chunk: Chunk<'a>,
        ) -> BoxFuture<'a, Result<Vec<ItemResult>, ChunkError>> {
            let step = self.0.lock().unwrap().pop();
            Box::pin(async move {
                match step {
                    Some(Step::Fail(error)) => Err(error),
                    Some(Step::Hang) => std::future::pending().await,
                    None => Ok(chunk.texts.iter().map(|_| Ok(vec![1.0])).collect()),
                }
            })
        }

        fn models(&self) -> Vec<String> {
            vec!["m".to_owned()]
        }

        fn max_texts(&self) -> usize {
            9
        }
    }

    struct Bench {
        store: Arc<EmbeddedStore>,
        spec: JobSpec,
        embedder: Arc<Scripted>,
        stop: watch::Sender<bool>,
    }

    impl Bench {
        /// A worker, and a job of two texts.
        async fn start(steps: Vec<Step>) -> Self {
            let clock = Arc::new(|| UnixMs(1_000));
            let store = EmbeddedStore::in_memory(LEASE, clock).await.unwrap();
            let store = Arc::new(store);
            let spec = JobSpec {
                id: JobId::from_ulid(ulid::Ulid::nil()),
                caller: "alice".to_owned(),
                model: "m".to_owned(),
                total: 2,
                chunk_items: 2,
                key: String::new(),
                fingerprint: String::new(),
                created: UnixMs(1_000),
                expires: UnixMs(9_000),
            };
            let texts = vec!["a".to_owned(), String::new()];
            store.create(spec.clone(), texts, 9).await.unwrap();
            let (stop, stopped) = watch::channel(false);
            let embedder = Arc::new(Scripted(Mutex::new(steps)));
            let worker = Worker {
                store: Arc::clone(&store) as Arc<dyn JobStore>,
                embedder: Arc::clone(&embedder) as Arc<dyn Embedder>,
                lease: LEASE,
                stopped,
            };
            tokio::spawn(worker.run());
            Self {
                store,
                spec,
                embedder,
                stop,
            }
        }

        async fn ended(&self) -> Job {
            loop {
                let job = self.store.get("alice", &self.spec.id).await.unwrap();
                if job.progress.state.is_final() {
                    return job;
                }
                time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_fails_for_a_while_is_asked_again() {
        let steps = vec![
            Step::Fail(ChunkError::Failed),
            Step::Fail(ChunkError::Failed),
        ];
        let begun = Instant::now();
        let job = Bench::start(steps).await.ended().await;
        assert_eq!((job.progress.done, job.progress.failed), (2, 0));
        assert!(begun.elapsed() >= Duration::from_secs(6));
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_goes_on_failing_ends_as_errors_of_the_items() {
        let steps = (0..3).map(|_| Step::Fail(ChunkError::Failed)).collect();
        let bench = Bench::start(steps).await;
        let job = bench.ended().await;
        assert_eq!(job.progress.state, JobState::Succeeded);
        assert_eq!((job.progress.done, job.progress.failed), (0, 2));
        let results = bench.store.results(&bench.spec, 0).await.unwrap().unwrap();
        let empty = ItemError("the text is empty".to_owned());
        assert_eq!(results, [Err(failed()), Err(empty)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_that_this_worker_does_not_have_fails_the_job() {
        let unknown = ChunkError::UnknownModel("m".to_owned());
        let job = Bench::start(vec![Step::Fail(unknown)]).await.ended().await;
        assert_eq!(job.progress.state, JobState::Failed);
        assert_eq!(job.progress.error, "model `m` is not loaded on the worker");
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_is_given_up_fails_the_job_in_its_own_words() {
        let gone = ChunkError::Remote("the provider of m cannot be reached".to_owned());
        let job = Bench::start(vec![Step::Fail(gone)]).await.ended().await;
        assert_eq!(job.progress.state, JobState::Failed);
        assert_eq!(job.progress.error, "the provider of m cannot be reached");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_is_cancelled_frees_its_worker() {
        let bench = Bench::start(vec![Step::Hang]).await;
        while bench.store.open_jobs().await.unwrap().running == 0 {
            time::sleep(Duration::from_millis(100)).await;
        }
        bench.store.cancel("alice", &bench.spec.id).await.unwrap();
        let id = JobId::from_ulid(ulid::Ulid::from_parts(1, 1));
        let next = JobSpec {
            id: id.clone(),
            ..bench.spec.clone()
        };
        let texts = vec!["a".to_owned(), "b".to_owned()];
        bench.store.create(next.clone(), texts, 9).await.unwrap();
        while bench.store.results(&next, 0).await.unwrap().is_none() {
            time::sleep(Duration::from_millis(100)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_is_stopped_gives_its_chunk_back() {
        let bench = Bench::start(vec![Step::Hang]).await;
        // It has the chunk: a claim that is not answered yet is nobody's to give back.
        while !bench.embedder.0.lock().unwrap().is_empty() {
            time::sleep(Duration::from_millis(100)).await;
        }
        bench.stop.send_replace(true);
        // Long before the lease ends: the clock of the store stands still.
        let claim = time::timeout(Duration::from_secs(5), bench.store.claim()).await;
        assert_eq!(claim.unwrap().unwrap().texts, ["a", ""]);
    }
}
