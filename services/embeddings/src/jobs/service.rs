//! The rules of jobs: what is accepted, whose is what, and in which order results are
//! read.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{Stream, TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio::{sync::watch, task::JoinSet, time};

use super::{
    config::JobsConfig,
    embedder::Embedder,
    error::JobError,
    job::{ItemResult, Job, JobId, JobSpec, UnixMs},
    page,
    store::{self, Clock, Created, JobStore},
    worker::{self, Worker},
};
use crate::telemetry;

/// Longest `idempotency_key`, in bytes.
const MAX_KEY_BYTES: usize = 128;
/// Longest model name that is repeated in an error, in bytes.
const MAX_MODEL_BYTES: usize = 128;
/// Jobs on a page where the caller does not say.
const PAGE: usize = 50;
/// Most jobs on a page.
const MAX_PAGE: usize = 1_000;
/// How often a reader that follows a job looks for more.
const FOLLOW: Duration = Duration::from_millis(200);

/// Why jobs cannot start.
#[derive(Debug, thiserror::Error)]
pub enum JobsStartError {
    /// The configuration contradicts itself.
    #[error("embeddings.jobs.{0}")]
    Config(String),
    /// The store cannot be opened.
    #[error("embeddings.jobs.store: {0}")]
    Store(JobError),
}

/// A page of a caller's jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The jobs, newest first.
    pub jobs: Vec<Job>,
    /// Asks for the next page; empty on the last.
    pub next: String,
}

/// What a caller wants embedded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewJob {
    /// The model's name.
    pub model: String,
    /// The texts.
    pub texts: Vec<String>,
    /// The idempotency key; empty where the caller sent none.
    pub key: String,
}

/// Jobs, and the workers of this process. Dropping it stops them as a crash would,
/// which loses nothing that was stored.
pub struct Jobs {
    store: Arc<dyn JobStore>,
    embedder: Arc<dyn Embedder>,
    config: JobsConfig,
    clock: Clock,
    ids: Mutex<ulid::Generator>,
    stop: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
}

impl Jobs {
    /// Opens the configured store and starts the workers, on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`JobsStartError`] says which setting to mend.
    pub async fn start(
        config: &JobsConfig,
        embedder: Arc<dyn Embedder>,
    ) -> Result<Self, JobsStartError> {
        let clock: Clock = Arc::new(UnixMs::now);
        let store = store::open(config, Arc::clone(&clock))
            .await
            .map_err(JobsStartError::Store)?;
        Self::over(config, embedder, store, clock)
    }

    /// Jobs over a store that is open already.
    pub(super) fn over(
        config: &JobsConfig,
        embedder: Arc<dyn Embedder>,
        store: Arc<dyn JobStore>,
        clock: Clock,
    ) -> Result<Self, JobsStartError> {
        let most = embedder.max_texts();
        if usize::try_from(config.chunk_items.get()).is_ok_and(|items| items > most) {
            let fix = format!(
                "chunk_items: is {}; at most embeddings.max_inputs, {most}",
                config.chunk_items
            );
            return Err(JobsStartError::Config(fix));
        }
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for _ in 0..config.workers {
            let worker = Worker {
                store: Arc::clone(&store),
                embedder: Arc::clone(&embedder),
                lease: config.lease(),
                stopped: stopped.clone(),
            };
            tasks.spawn(worker.run());
        }
        let every = Duration::from_secs(config.sweep_seconds.get().into());
        tasks.spawn(worker::sweep(Arc::clone(&store), every, stopped));
        Ok(Self {
            store,
            embedder,
            config: config.clone(),
            clock,
            ids: Mutex::new(ulid::Generator::new()),
            stop,
            tasks: Mutex::new(tasks),
        })
    }

    /// Accepts a job, or finds the one that the caller's key made before.
    ///
    /// # Errors
    ///
    /// [`JobError`] names the field that is wrong, or says that there is no room.
    pub async fn create(&self, caller: &str, new: NewJob) -> Result<Job, JobError> {
        self.check(&new)?;
        let id = self.next_id();
        let created = (self.clock)();
        let ttl = Duration::from_secs(self.config.ttl_seconds.get().into());
        let spec = JobSpec {
            id: JobId::from_ulid(id),
            caller: caller.to_owned(),
            total: u32::try_from(new.texts.len()).unwrap_or(u32::MAX),
            chunk_items: self.config.chunk_items.get(),
            fingerprint: fingerprint(&new),
            model: new.model,
            key: new.key,
            created,
            expires: created.after(ttl),
        };
        let (fingerprint, key) = (spec.fingerprint.clone(), spec.key.clone());
        let limit = self.config.max_jobs_per_caller.get();
        match self.store.create(spec, new.texts, limit).await? {
            Created::New(job) => {
                telemetry::job_created(&job.spec.model);
                Ok(job)
            }
            Created::Existing(job) if job.spec.fingerprint == fingerprint => Ok(job),
            Created::Existing(job) => Err(JobError::KeyReused {
                key,
                id: job.spec.id.to_string(),
            }),
        }
    }

    fn check(&self, new: &NewJob) -> Result<(), JobError> {
        let (key, model) = (new.key.len(), new.model.len());
        if key > MAX_KEY_BYTES {
            let fix = format!("has {key} bytes; at most {MAX_KEY_BYTES} are accepted");
            return Err(JobError::invalid("idempotency_key", fix));
        }
        if new.model.is_empty() {
            return Err(JobError::invalid("model", "is required; name a model"));
        }
        if model > MAX_MODEL_BYTES {
            let fix = format!("is longer than any model's name, {MAX_MODEL_BYTES} bytes");
            return Err(JobError::invalid("model", fix));
        }
        let available = self.embedder.models();
        if !available.contains(&new.model) {
            return Err(JobError::UnknownModel {
                name: new.model.clone(),
                available,
            });
        }
        let (count, most) = (new.texts.len(), self.config.max_items.get());
        if count == 0 || u32::try_from(count).is_ok_and(|count| count > most) {
            let fix = format!("has {count} entries; send 1 to {most}");
            return Err(JobError::invalid("input", fix));
        }
        let bytes: usize = new.texts.iter().map(String::len).sum();
        let most = self.config.max_bytes.get();
        if u32::try_from(bytes).map_or(true, |bytes| bytes > most) {
            let fix = format!(
                "has {bytes} bytes of text; a job takes at most {most}: split it into several"
            );
            return Err(JobError::invalid("input", fix));
        }
        Ok(())
    }

    /// An id that is greater than all before it from this process.
    fn next_id(&self) -> ulid::Ulid {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        // Fails when a millisecond holds 2^80 ids.
        ids.generate().unwrap_or_else(|_| ulid::Ulid::new())
    }

    /// A caller's job.
    ///
    /// # Errors
    ///
    /// [`JobError::NotFound`] also for another caller's job.
    pub async fn get(&self, caller: &str, id: &str) -> Result<Job, JobError> {
        self.store.get(caller, &parse(id)?).await
    }

    /// A page of a caller's jobs, newest first: `size` of them, 50 for 0.
    ///
    /// # Errors
    ///
    /// [`JobError::Invalid`] names `page_size` or `page_token`.
    pub async fn list(&self, caller: &str, size: i32, token: &str) -> Result<Page, JobError> {
        let size = match usize::try_from(size) {
            Ok(0) => PAGE,
            Ok(size) if size <= MAX_PAGE => size,
            _ => {
                let fix = format!("is {size}; send 1 to {MAX_PAGE}, or 0 for {PAGE}");
                return Err(JobError::invalid("page_size", fix));
            }
        };
        let after = page::decode(token)?;
        let mut jobs = self.store.list(caller, after.as_ref(), size + 1).await?;
        let more = jobs.len() > size;
        jobs.truncate(size);
        let last = jobs.last().filter(|_| more);
        let next = last.map_or_else(String::new, |job| page::encode(&job.spec.id));
        Ok(Page { jobs, next })
    }

    /// Ends a caller's job where it stands. One that has ended stays as it is.
    ///
    /// # Errors
    ///
    /// [`JobError::NotFound`] also for another caller's job.
    pub async fn cancel(&self, caller: &str, id: &str) -> Result<Job, JobError> {
        self.store.cancel(caller, &parse(id)?).await
    }

    /// The results of a caller's job in input order, from item `start` on, each with
    /// its position. A job that goes on ends the stream at the first item without a
    /// result, so that a reader who comes back with the next position misses nothing;
    /// with `follow` it is waited for instead. In a job that has ended, items without
    /// a result are passed over: there will be none.
    ///
    /// # Errors
    ///
    /// [`JobError::NotFound`], also in the stream if the job expires meanwhile, and
    /// [`JobError::Invalid`] for a `start` past the end.
    pub async fn results(
        self: &Arc<Self>,
        caller: &str,
        id: &str,
        start: u32,
        follow: bool,
    ) -> Result<impl Stream<Item = Result<(u32, ItemResult), JobError>> + Send + 'static, JobError>
    {
        let job = self.get(caller, id).await?;
        let total = job.spec.total;
        if start > total {
            let fix = format!("is {start}; the job has {total} items, from 0");
            return Err(JobError::invalid("start_index", fix));
        }
        let chunks = ChunkReader {
            jobs: Arc::clone(self),
            next: start,
            job,
            follow,
        };
        let chunks = stream::try_unfold(chunks, async |mut reader: ChunkReader| {
            let items = reader.read().await?;
            Ok::<_, JobError>(items.map(|items| (items, reader)))
        });
        let items = chunks.map_ok(|items| stream::iter(items.into_iter().map(Ok)));
        Ok(items.try_flatten())
    }

    /// Stops the workers; chunks in their hands go back.
    pub async fn close(&self) {
        self.stop.send_replace(true);
        let mut tasks = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        while tasks.join_next().await.is_some() {}
        self.store.close().await;
    }
}

/// Reads a job's results chunk by chunk; one chunk is in memory at a time.
struct ChunkReader {
    jobs: Arc<Jobs>,
    job: Job,
    next: u32,
    follow: bool,
}

impl ChunkReader {
    /// The next items that there are; `None` at the end.
    async fn read(&mut self) -> Result<Option<Vec<(u32, ItemResult)>>, JobError> {
        let spec = self.job.spec.clone();
        while self.next < spec.total {
            // Asked for before the chunk: if the job had ended by then, nothing of it
            // is stored later.
            let ended = self.job.progress.state.is_final();
            let chunk = spec.chunk_of(self.next);
            let items = spec.items_of(chunk);
            if let Some(results) = self.jobs.store.results(&spec, chunk).await? {
                let first = std::mem::replace(&mut self.next, items.end);
                let items = items.zip(results).filter(|(item, _)| *item >= first);
                return Ok(Some(items.collect()));
            }
            if ended {
                self.next = items.end;
            } else {
                self.job = self.jobs.store.get(&spec.caller, &spec.id).await?;
                if !self.job.progress.state.is_final() && !self.wait().await {
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// Waits a little where the reader follows the job; false where the stream ends.
    async fn wait(&self) -> bool {
        let stopped = *self.jobs.stop.borrow();
        if self.follow && !stopped {
            time::sleep(FOLLOW).await;
            return true;
        }
        false
    }
}

fn parse(id: &str) -> Result<JobId, JobError> {
    let shown = || id.chars().take(64).collect();
    JobId::parse(id).ok_or_else(|| JobError::NotFound { id: shown() })
}

/// A hash of all that the caller sent but the key; each part with its length, so that
/// no two requests look the same.
fn fingerprint(new: &NewJob) -> String {
    let mut hash = Sha256::new();
    for part in std::iter::once(&new.model).chain(&new.texts) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
