//! The jobs of one machine: a redb file, or memory where no file is configured.
//!
//! One transaction stores a chunk's results, drops its texts and moves the job on, so
//! a file holds each result once, whenever the process ends. Leases live in memory
//! ([`WorkList`]).

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{Notify, Semaphore},
    task,
    time::timeout,
};

use super::{
    Answer, Claim, Clock, Completion, Created, JobStore, Lease, OpenJobs,
    leases::{Taken, WorkList},
};
use crate::jobs::{
    error::JobError,
    job::{Counts, ItemResult, Job, JobId, JobSpec, JobState},
};

mod tables;

use tables::Tables;

/// How often a waiting worker looks for leases that ran out.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Most calls at work at a time; far more than there are threads.
const CALLS: u32 = 1 << 20;

/// A [`JobStore`] in a file or in memory.
pub struct EmbeddedStore {
    inner: Arc<Inner>,
    /// A permit for each call at work. One whose asker is gone works on, and holds the
    /// file open until it ends; closing waits for those.
    calls: Arc<Semaphore>,
}

struct Inner {
    tables: Tables,
    list: Mutex<WorkList>,
    added: Notify,
    lease: Duration,
    clock: Clock,
}

impl EmbeddedStore {
    /// Opens the file at `path`, made if it does not exist.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, holds something else, or is open in another
    /// process.
    pub async fn open(path: PathBuf, lease: Duration, clock: Clock) -> Result<Self, JobError> {
        Self::start(move || Tables::open(&path), lease, clock).await
    }

    /// A store that is gone when it is dropped.
    ///
    /// # Errors
    ///
    /// When the store cannot be made.
    pub async fn in_memory(lease: Duration, clock: Clock) -> Result<Self, JobError> {
        Self::start(Tables::in_memory, lease, clock).await
    }

    async fn start(
        open: impl FnOnce() -> Result<Tables, JobError> + Send + 'static,
        lease: Duration,
        clock: Clock,
    ) -> Result<Self, JobError> {
        let opened = move || {
            let tables = open()?;
            let mut list = WorkList::default();
            for (job, chunks) in tables.undone()? {
                list.add(&job, chunks);
            }
            Ok((tables, list))
        };
        let (tables, list) = task::spawn_blocking(opened)
            .await
            .map_err(JobError::store)??;
        Ok(Self {
            inner: Arc::new(Inner {
                tables,
                list: Mutex::new(list),
                added: Notify::new(),
                lease,
                clock,
            }),
            calls: Arc::new(Semaphore::new(CALLS as usize)),
        })
    }

    /// Runs what may wait for the disk on a thread that may block.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, JobError> + Send + 'static,
    ) -> Answer<'static, T> {
        let inner = Arc::clone(&self.inner);
        let permit = Arc::clone(&self.calls).try_acquire_owned();
        let work = task::spawn_blocking(move || {
            let done = work(&inner);
            // In this order: who waits for the permits waits for the file.
            drop(inner);
            drop(permit);
            done
        });
        Box::pin(async move { work.await.map_err(JobError::store)? })
    }
}

impl Inner {
    fn list<T>(&self, change: impl FnOnce(&mut WorkList) -> T) -> T {
        change(&mut self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next chunk with its texts, if there is one now.
    fn try_claim(&self) -> Result<Option<Claim>, JobError> {
        let now = (self.clock)();
        let Some(taken) = self.list(|list| list.take(now, self.lease)) else {
            return Ok(None);
        };
        match self.tables.start_chunk(&taken.job, taken.chunk, now) {
            Ok(Some((job, texts))) => Ok(Some(Claim {
                job: taken.job,
                caller: job.spec.caller,
                model: job.spec.model,
                chunk: taken.chunk,
                texts,
                lease: Lease {
                    token: taken.token,
                    message: None,
                },
            })),
            // Deleted or done meanwhile.
            Ok(None) => {
                self.list(|list| list.end(&taken, true));
                self.added.notify_one();
                Ok(None)
            }
            Err(damaged @ JobError::Corrupt { .. }) => {
                // It will not mend itself: the job ends, and says why.
                self.list(|list| list.forget(&taken.job));
                let reason = damaged.to_string();
                self.tables
                    .end(&taken.job, JobState::Failed, &reason, now)?;
                self.added.notify_one();
                Err(damaged)
            }
            Err(error) => {
                self.list(|list| list.end(&taken, false));
                Err(error)
            }
        }
    }
}

fn taken(claim: &Claim) -> Taken {
    Taken {
        job: claim.job.clone(),
        chunk: claim.chunk,
        token: claim.lease.token,
    }
}

impl JobStore for EmbeddedStore {
    fn create(&self, spec: JobSpec, texts: Vec<String>, limit: u32) -> Answer<'_, Created> {
        self.blocking(move |inner| {
            let created = inner.tables.create(spec, &texts, limit, (inner.clock)())?;
            if let Created::New(job) = &created {
                let chunks = 0..job.spec.chunks();
                inner.list(|list| list.add(&job.spec.id, chunks));
                inner.added.notify_waiters();
                inner.added.notify_one();
            }
            Ok(created)
        })
    }

    fn get<'a>(&'a self, caller: &'a str, id: &'a JobId) -> Answer<'a, Job> {
        let (caller, id) = (caller.to_owned(), id.clone());
        self.blocking(move |inner| inner.tables.get(&caller, &id, (inner.clock)()))
    }

    fn list<'a>(
        &'a self,
        caller: &'a str,
        after: Option<&'a JobId>,
        limit: usize,
    ) -> Answer<'a, Vec<Job>> {
        let (caller, after) = (caller.to_owned(), after.cloned());
        self.blocking(move |inner| {
            let now = (inner.clock)();
            inner.tables.list(&caller, after.as_ref(), limit, now)
        })
    }

    fn cancel<'a>(&'a self, caller: &'a str, id: &'a JobId) -> Answer<'a, Job> {
        let (caller, id) = (caller.to_owned(), id.clone());
        self.blocking(move |inner| {
            let now = (inner.clock)();
            inner.tables.get(&caller, &id, now)?;
            let job = inner.tables.end(&id, JobState::Cancelled, "", now)?;
            inner.list(|list| list.forget(&id));
            job.ok_or_else(|| super::not_found(&id))
        })
    }

    fn results<'a>(&'a self, spec: &'a JobSpec, chunk: u32) -> Answer<'a, Option<Vec<ItemResult>>> {
        let spec = spec.clone();
        self.blocking(move |inner| inner.tables.results(&spec, chunk))
    }

    fn claim(&self) -> Answer<'_, Claim> {
        Box::pin(async move {
            loop {
                let added = self.inner.added.notified();
                if let Some(claim) = self.blocking(Inner::try_claim).await? {
                    // Another worker may wait for the chunk after this one.
                    self.inner.added.notify_one();
                    return Ok(claim);
                }
                // Elapsed or not, look again.
                let _ = timeout(LOOK_AGAIN, added).await;
            }
        })
    }

    fn renew<'a>(&'a self, claim: &'a Claim) -> Answer<'a, bool> {
        let now = (self.inner.clock)();
        let held = self
            .inner
            .list(|list| list.renew(&taken(claim), now, self.inner.lease));
        Box::pin(async move { Ok(held) })
    }

    fn complete(&self, claim: Claim, results: Vec<ItemResult>) -> Answer<'_, Completion> {
        self.blocking(move |inner| {
            let now = (inner.clock)();
            let counts = Counts::of(&results);
            let stored = inner
                .tables
                .complete(&claim.job, claim.chunk, &results, counts, now);
            // What could not be stored is done again.
            inner.list(|list| list.end(&taken(&claim), stored.is_ok()));
            Ok(stored?.map_or(Completion::Discarded, |job| {
                Completion::Stored(Box::new(job))
            }))
        })
    }

    fn release(&self, claim: Claim) -> Answer<'_, ()> {
        self.inner.list(|list| list.end(&taken(&claim), false));
        self.inner.added.notify_one();
        Box::pin(async { Ok(()) })
    }

    fn fail<'a>(&'a self, claim: Claim, reason: &'a str) -> Answer<'a, ()> {
        let reason = reason.to_owned();
        self.blocking(move |inner| {
            inner.list(|list| list.forget(&claim.job));
            let now = (inner.clock)();
            inner
                .tables
                .end(&claim.job, JobState::Failed, &reason, now)?;
            Ok(())
        })
    }

    fn sweep(&self) -> Answer<'_, u64> {
        self.blocking(move |inner| {
            let gone = inner.tables.sweep((inner.clock)())?;
            inner.list(|list| gone.iter().for_each(|id| list.forget(id)));
            Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX))
        })
    }

    fn open_jobs(&self) -> Answer<'_, OpenJobs> {
        self.blocking(|inner| inner.tables.open_jobs())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // Fails where the semaphore is closed, which it never is.
            let _ = self.calls.acquire_many(CALLS).await;
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::jobs::job::UnixMs;

    async fn store_with_job() -> (EmbeddedStore, JobSpec) {
        let lease = Duration::from_secs(30);
        let clock = Arc::new(|| UnixMs(1_000));
        let store = EmbeddedStore::in_memory(lease, clock).await.unwrap();
        let spec = JobSpec {
            id: JobId::from_ulid(ulid::Ulid::nil()),
            caller: "alice".to_owned(),
            model: "m".to_owned(),
            total: 2,
            chunk_items: 1,
            key: String::new(),
            fingerprint: String::new(),
            created: UnixMs(1_000),
            expires: UnixMs(9_000),
        };
        let texts = vec!["a".to_owned(), "b".to_owned()];
        store.create(spec.clone(), texts, 9).await.unwrap();
        (store, spec)
    }

    fn named(error: &JobError) -> &str {
        match error {
            JobError::Corrupt { record, .. } => record,
            other => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn damaged_texts_end_their_job_and_no_other() {
        let (store, spec) = store_with_job().await;
        store.inner.tables.damage(&spec.id, 0).unwrap();
        let error = store.claim().await.unwrap_err();
        assert!(named(&error).starts_with("texts of chunk 0 of job 0000"));
        let job = store.get("alice", &spec.id).await.unwrap();
        assert_eq!(job.progress.state, JobState::Failed);
        assert!(job.progress.error.contains("checksum"), "{job:?}");
        let id = JobId::from_ulid(ulid::Ulid::from_parts(1, 1));
        let other = JobSpec { id, ..spec };
        let texts = vec!["a".to_owned(), "b".to_owned()];
        store.create(other.clone(), texts, 9).await.unwrap();
        assert_eq!(store.claim().await.unwrap().job, other.id);
    }

    #[tokio::test]
    async fn damaged_results_are_an_error_that_names_them() {
        let (store, spec) = store_with_job().await;
        for _ in 0..2 {
            let claim = store.claim().await.unwrap();
            store.complete(claim, vec![Ok(vec![1.0])]).await.unwrap();
        }
        store.inner.tables.damage(&spec.id, 1).unwrap();
        let error = store.results(&spec, 1).await.unwrap_err();
        assert!(named(&error).starts_with("results of chunk 1 of job 0000"));
        assert!(store.results(&spec, 0).await.unwrap().is_some());
    }
}
