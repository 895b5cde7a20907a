//! Where jobs are kept and where workers find work: one trait, two implementations,
//! and one suite of tests that runs against both.

mod distributed;
mod embedded;
mod kafka;
mod leases;
mod offsets;
mod redis;

use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use self::{distributed::DistributedStore, embedded::EmbeddedStore};
use super::{
    config::{JobsConfig, StoreConfig},
    error::JobError,
    job::{ItemResult, Job, JobId, JobSpec, UnixMs},
};

/// Tells the time; a test's may stand still.
pub type Clock = Arc<dyn Fn() -> UnixMs + Send + Sync>;

/// What a store answers.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, JobError>>;

/// Whether a creation made a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It did.
    New(Job),
    /// The caller's key belongs to this job; whether it is the same request is for
    /// the asker to see.
    Existing(Job),
}

/// A chunk in a worker's hands, for as long as its lease.
#[derive(Debug)]
pub struct Claim {
    /// The job.
    pub job: JobId,
    /// Whose it is.
    pub caller: String,
    /// The job's model.
    pub model: String,
    /// The chunk's number.
    pub chunk: u32,
    /// Its texts.
    pub texts: Vec<String>,
    lease: Lease,
}

/// What makes a claim this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lease {
    /// Tells this claim from another of the same chunk.
    token: u64,
    /// The message that asked for the chunk, where there was one.
    message: Option<offsets::Position>,
}

/// What became of results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// They are stored, and this is the job now.
    Stored(Box<Job>),
    /// They are not wanted: the chunk was stored before, or the job has ended.
    Discarded,
}

/// How many jobs are not final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenJobs {
    /// No chunk claimed yet.
    pub pending: u64,
    /// At work.
    pub running: u64,
}

/// Keeps jobs and hands out their chunks.
///
/// A job that has expired by the store's clock is as one that does not exist, whether
/// or not it was swept. Whatever returned without an error survives the end of the
/// process, unless the store is one in memory.
pub trait JobStore: Send + Sync {
    /// Stores a job with its texts, unless the caller's key has one or the caller has
    /// `limit` jobs ([`JobError::TooManyJobs`]).
    fn create(&self, spec: JobSpec, texts: Vec<String>, limit: u32) -> Answer<'_, Created>;

    /// A caller's job; another's is [`JobError::NotFound`].
    fn get<'a>(&'a self, caller: &'a str, id: &'a JobId) -> Answer<'a, Job>;

    /// At most `limit` of a caller's jobs, newest first, older than `after`.
    fn list<'a>(
        &'a self,
        caller: &'a str,
        after: Option<&'a JobId>,
        limit: usize,
    ) -> Answer<'a, Vec<Job>>;

    /// Ends a job where it stands, unless it has ended. From then on nothing is
    /// stored for it.
    fn cancel<'a>(&'a self, caller: &'a str, id: &'a JobId) -> Answer<'a, Job>;

    /// The results of a chunk; `None` while there are none.
    fn results<'a>(&'a self, spec: &'a JobSpec, chunk: u32) -> Answer<'a, Option<Vec<ItemResult>>>;

    /// Waits for a chunk that has no results and is in nobody's hands, and takes it.
    fn claim(&self) -> Answer<'_, Claim>;

    /// Holds on to a chunk for another lease; false if it is no longer wanted of this
    /// worker.
    fn renew<'a>(&'a self, claim: &'a Claim) -> Answer<'a, bool>;

    /// Stores a chunk's results and the job's progress in one atomic step.
    fn complete(&self, claim: Claim, results: Vec<ItemResult>) -> Answer<'_, Completion>;

    /// Gives a chunk back undone.
    fn release(&self, claim: Claim) -> Answer<'_, ()>;

    /// Ends the job of a chunk, for this reason.
    fn fail<'a>(&'a self, claim: Claim, reason: &'a str) -> Answer<'a, ()>;

    /// Deletes what has expired, and mends what a crash left half done. Returns how
    /// many jobs were deleted.
    fn sweep(&self) -> Answer<'_, u64>;

    /// How many jobs are not final.
    fn open_jobs(&self) -> Answer<'_, OpenJobs>;

    /// Tells others that this worker is gone, and waits for calls that were given up and
    /// still work. To be called once nobody claims any more.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// The configured store.
pub(super) async fn open(config: &JobsConfig, clock: Clock) -> Result<Arc<dyn JobStore>, JobError> {
    Ok(match &config.store {
        StoreConfig::Embedded { path: None } => {
            Arc::new(EmbeddedStore::in_memory(config.lease(), clock).await?)
        }
        StoreConfig::Embedded { path: Some(path) } => {
            Arc::new(EmbeddedStore::open(path.clone(), config.lease(), clock).await?)
        }
        StoreConfig::Distributed(store) => {
            let works = config.workers > 0;
            Arc::new(DistributedStore::open(store, config.lease(), works, clock).await?)
        }
    })
}

fn not_found(id: &JobId) -> JobError {
    JobError::NotFound { id: id.to_string() }
}

/// The chunks of a job, packed, in order.
fn pack_chunks(spec: &JobSpec, texts: &[String]) -> Vec<Vec<u8>> {
    let size = usize::try_from(spec.chunk_items.max(1)).unwrap_or(usize::MAX);
    texts.chunks(size).map(super::record::pack_texts).collect()
}

/// How many items a chunk holds.
fn items_in(spec: &JobSpec, chunk: u32) -> usize {
    spec.items_of(chunk).len()
}
