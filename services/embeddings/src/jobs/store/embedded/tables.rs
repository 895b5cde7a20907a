//! The tables of the embedded store, and what is done to them in one transaction each.

use std::path::Path;

use redb::{
    Database, ReadTransaction, ReadableDatabase as _, ReadableTable, TableDefinition,
    WriteTransaction, backends::InMemoryBackend,
};

use crate::jobs::{
    error::JobError,
    job::{Counts, ItemResult, Job, JobId, JobSpec, JobState, Progress, UnixMs},
    record,
    store::{Created, OpenJobs, items_in, not_found, pack_chunks},
};

/// Id to job.
const JOBS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("jobs_v1");
/// Caller and id: the list of a caller's jobs.
const BY_CALLER: TableDefinition<'static, (&str, &str), ()> =
    TableDefinition::new("jobs_by_caller_v1");
/// Caller and idempotency key to id.
const KEYS: TableDefinition<'static, (&str, &str), &str> = TableDefinition::new("job_keys_v1");
/// Time of expiry and id.
const EXPIRY: TableDefinition<'static, (u64, &str), ()> = TableDefinition::new("job_expiry_v1");
/// Ids of the jobs that are not final.
const OPEN: TableDefinition<'static, &str, ()> = TableDefinition::new("open_jobs_v1");
/// Id and chunk to the texts that are not embedded yet.
const TEXTS: TableDefinition<'static, (&str, u32), &[u8]> = TableDefinition::new("job_texts_v1");
/// Id and chunk to results.
const RESULTS: TableDefinition<'static, (&str, u32), &[u8]> =
    TableDefinition::new("job_results_v1");

/// redb's page cache. Chunks are written once and read once or twice.
const CACHE_BYTES: usize = 16 << 20;

/// Jobs that one sweep deletes at most, to keep the writer's turn short.
const SWEEP: usize = 64;

fn store(error: impl Into<redb::Error>) -> JobError {
    match error.into() {
        redb::Error::Corrupted(detail) => JobError::corrupt("the file of jobs", detail),
        error => JobError::store(error),
    }
}

/// The open database.
pub(super) struct Tables(Database);

impl Tables {
    pub(super) fn open(path: &Path) -> Result<Self, JobError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(JobError::store)?;
        }
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(|error| JobError::Store(format!("{}: {error}", path.display())))?;
        Self(database).with_tables()
    }

    pub(super) fn in_memory() -> Result<Self, JobError> {
        Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(InMemoryBackend::new())
            .map_err(store)
            .and_then(|database| Self(database).with_tables())
    }

    fn with_tables(self) -> Result<Self, JobError> {
        self.write(|transaction| {
            transaction.open_table(JOBS).map_err(store)?;
            transaction.open_table(BY_CALLER).map_err(store)?;
            transaction.open_table(KEYS).map_err(store)?;
            transaction.open_table(EXPIRY).map_err(store)?;
            transaction.open_table(OPEN).map_err(store)?;
            transaction.open_table(TEXTS).map_err(store)?;
            transaction.open_table(RESULTS).map_err(store)?;
            Ok(())
        })?;
        Ok(self)
    }

    fn read(&self) -> Result<ReadTransaction, JobError> {
        self.0.begin_read().map_err(store)
    }

    /// All of `change`, or nothing where it fails.
    fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, JobError>,
    ) -> Result<T, JobError> {
        let transaction = self.0.begin_write().map_err(store)?;
        let done = change(&transaction)?;
        transaction.commit().map_err(store)?;
        Ok(done)
    }

    /// The chunks without results of each job that is not final.
    pub(super) fn undone(&self) -> Result<Vec<(JobId, Vec<u32>)>, JobError> {
        let transaction = self.read()?;
        let jobs = transaction.open_table(JOBS).map_err(store)?;
        let results = transaction.open_table(RESULTS).map_err(store)?;
        let mut undone = Vec::new();
        for entry in transaction
            .open_table(OPEN)
            .map_err(store)?
            .iter()
            .map_err(store)?
        {
            let (id, _) = entry.map_err(store)?;
            let job = match find(&jobs, id.value()) {
                Ok(Some(job)) => job,
                Ok(None) => continue,
                // One bad record must not keep the others from their work.
                Err(error) => {
                    tracing::error!(%error, "a job is left out");
                    continue;
                }
            };
            let mut chunks = Vec::new();
            for chunk in 0..job.spec.chunks() {
                if results.get((id.value(), chunk)).map_err(store)?.is_none() {
                    chunks.push(chunk);
                }
            }
            undone.push((job.spec.id, chunks));
        }
        Ok(undone)
    }

    pub(super) fn create(
        &self,
        spec: JobSpec,
        texts: &[String],
        limit: u32,
        now: UnixMs,
    ) -> Result<Created, JobError> {
        self.write(|transaction| {
            let mut jobs = transaction.open_table(JOBS).map_err(store)?;
            let mut keys = transaction.open_table(KEYS).map_err(store)?;
            let (caller, id) = (spec.caller.as_str(), spec.id.as_str());
            if !spec.key.is_empty() {
                let known = keys.get((caller, spec.key.as_str())).map_err(store)?;
                let known = known.map(|id| id.value().to_owned());
                if let Some(known) = known
                    && let Some(job) = find(&jobs, &known)?.filter(|job| job.spec.expires > now)
                {
                    return Ok(Created::Existing(job));
                }
                keys.insert((caller, spec.key.as_str()), id)
                    .map_err(store)?;
            }
            let mut by_caller = transaction.open_table(BY_CALLER).map_err(store)?;
            check_limit(&jobs, &by_caller, caller, limit, now)?;
            by_caller.insert((caller, id), ()).map_err(store)?;
            let mut expiry = transaction.open_table(EXPIRY).map_err(store)?;
            expiry.insert((spec.expires.0, id), ()).map_err(store)?;
            let mut open = transaction.open_table(OPEN).map_err(store)?;
            open.insert(id, ()).map_err(store)?;
            let mut table = transaction.open_table(TEXTS).map_err(store)?;
            for (chunk, bytes) in (0..).zip(pack_chunks(&spec, texts)) {
                table.insert((id, chunk), bytes.as_slice()).map_err(store)?;
            }
            let job = Job {
                progress: Progress::new(),
                spec: spec.clone(),
            };
            jobs.insert(id, record::pack_job(&job)?.as_slice())
                .map_err(store)?;
            Ok(Created::New(job))
        })
    }

    pub(super) fn get(&self, caller: &str, id: &JobId, now: UnixMs) -> Result<Job, JobError> {
        let transaction = self.read()?;
        let jobs = transaction.open_table(JOBS).map_err(store)?;
        find(&jobs, id.as_str())?
            .filter(|job| job.spec.caller == caller && job.spec.expires > now)
            .ok_or_else(|| not_found(id))
    }

    pub(super) fn list(
        &self,
        caller: &str,
        after: Option<&JobId>,
        limit: usize,
        now: UnixMs,
    ) -> Result<Vec<Job>, JobError> {
        let transaction = self.read()?;
        let jobs = transaction.open_table(JOBS).map_err(store)?;
        let by_caller = transaction.open_table(BY_CALLER).map_err(store)?;
        let end = after.map_or(END_OF_IDS, JobId::as_str);
        let rows = by_caller
            .range((caller, "")..(caller, end))
            .map_err(store)?;
        let mut found = Vec::new();
        for row in rows.rev() {
            if found.len() == limit {
                break;
            }
            let (row, _) = row.map_err(store)?;
            let job = find(&jobs, row.value().1)?;
            found.extend(job.filter(|job| job.spec.expires > now));
        }
        Ok(found)
    }

    /// The job and the texts of a chunk that is about to be embedded; `None` where that
    /// is no longer wanted.
    pub(super) fn start_chunk(
        &self,
        id: &JobId,
        chunk: u32,
        now: UnixMs,
    ) -> Result<Option<(Job, Vec<String>)>, JobError> {
        let transaction = self.read()?;
        let jobs = transaction.open_table(JOBS).map_err(store)?;
        let wanted = |job: &Job| !job.progress.state.is_final() && job.spec.expires > now;
        let Some(mut job) = find(&jobs, id.as_str())?.filter(wanted) else {
            return Ok(None);
        };
        let results = transaction.open_table(RESULTS).map_err(store)?;
        if results.get((id.as_str(), chunk)).map_err(store)?.is_some() {
            return Ok(None);
        }
        let texts = transaction.open_table(TEXTS).map_err(store)?;
        let expected = items_in(&job.spec, chunk);
        let packed = texts.get((id.as_str(), chunk)).map_err(store)?;
        let packed = packed.as_ref().map_or(&[][..], |packed| packed.value());
        let texts = record::unpack_texts(packed, id, chunk, expected)?;
        if job.progress.state == JobState::Pending {
            let started = self.change(id, |job| job.progress.start(now))?;
            let Some(started) = started else {
                return Ok(None);
            };
            job = started;
        }
        Ok(Some((job, texts)))
    }

    /// Changes a job, if it exists.
    fn change(&self, id: &JobId, change: impl FnOnce(&mut Job)) -> Result<Option<Job>, JobError> {
        self.write(|transaction| {
            let mut jobs = transaction.open_table(JOBS).map_err(store)?;
            let Some(mut job) = find(&jobs, id.as_str())? else {
                return Ok(None);
            };
            change(&mut job);
            jobs.insert(id.as_str(), record::pack_job(&job)?.as_slice())
                .map_err(store)?;
            Ok(Some(job))
        })
    }

    /// Stores results with the progress they make; `None` where they are not wanted.
    pub(super) fn complete(
        &self,
        id: &JobId,
        chunk: u32,
        results: &[ItemResult],
        counts: Counts,
        now: UnixMs,
    ) -> Result<Option<Job>, JobError> {
        let packed = record::pack_results(results);
        self.write(|transaction| {
            let mut jobs = transaction.open_table(JOBS).map_err(store)?;
            let wanted = |job: &Job| !job.progress.state.is_final();
            let Some(mut job) = find(&jobs, id.as_str())?.filter(wanted) else {
                return Ok(None);
            };
            let key = (id.as_str(), chunk);
            let mut table = transaction.open_table(RESULTS).map_err(store)?;
            if table.get(key).map_err(store)?.is_some() {
                return Ok(None);
            }
            table.insert(key, packed.as_slice()).map_err(store)?;
            let mut texts = transaction.open_table(TEXTS).map_err(store)?;
            texts.remove(key).map_err(store)?;
            job.progress.add(job.spec.total, counts, now);
            if job.progress.state.is_final() {
                let mut open = transaction.open_table(OPEN).map_err(store)?;
                open.remove(id.as_str()).map_err(store)?;
            }
            jobs.insert(id.as_str(), record::pack_job(&job)?.as_slice())
                .map_err(store)?;
            Ok(Some(job))
        })
    }

    pub(super) fn results(
        &self,
        spec: &JobSpec,
        chunk: u32,
    ) -> Result<Option<Vec<ItemResult>>, JobError> {
        let transaction = self.read()?;
        let table = transaction.open_table(RESULTS).map_err(store)?;
        let packed = table.get((spec.id.as_str(), chunk)).map_err(store)?;
        packed
            .map(|packed| {
                record::unpack_results(packed.value(), &spec.id, chunk, items_in(spec, chunk))
            })
            .transpose()
    }

    /// Ends a job where it stands, and drops the texts that nobody will embed.
    pub(super) fn end(
        &self,
        id: &JobId,
        state: JobState,
        reason: &str,
        now: UnixMs,
    ) -> Result<Option<Job>, JobError> {
        self.write(|transaction| {
            let mut jobs = transaction.open_table(JOBS).map_err(store)?;
            let Some(mut job) = find(&jobs, id.as_str())? else {
                return Ok(None);
            };
            if job.progress.state.is_final() {
                return Ok(Some(job));
            }
            job.progress.end(state, reason, now);
            jobs.insert(id.as_str(), record::pack_job(&job)?.as_slice())
                .map_err(store)?;
            let mut open = transaction.open_table(OPEN).map_err(store)?;
            open.remove(id.as_str()).map_err(store)?;
            drop_chunks(transaction, TEXTS, id.as_str())?;
            Ok(Some(job))
        })
    }

    /// Deletes what has expired; the ids of what it deleted.
    pub(super) fn sweep(&self, now: UnixMs) -> Result<Vec<JobId>, JobError> {
        let mut gone = Vec::new();
        loop {
            let due = self.due(now)?;
            if due.is_empty() {
                return Ok(gone);
            }
            self.write(|transaction| {
                due.iter()
                    .try_for_each(|(expires, id)| delete(transaction, *expires, id))
            })?;
            gone.extend(due.into_iter().filter_map(|(_, id)| JobId::parse(&id)));
        }
    }

    fn due(&self, now: UnixMs) -> Result<Vec<(u64, String)>, JobError> {
        let transaction = self.read()?;
        let expiry = transaction.open_table(EXPIRY).map_err(store)?;
        let end = now.0.saturating_add(1);
        let rows = expiry.range((0, "")..(end, "")).map_err(store)?;
        rows.take(SWEEP)
            .map(|row| {
                let (row, _) = row.map_err(store)?;
                let (expires, id) = row.value();
                Ok((expires, id.to_owned()))
            })
            .collect()
    }

    pub(super) fn open_jobs(&self) -> Result<OpenJobs, JobError> {
        let transaction = self.read()?;
        let jobs = transaction.open_table(JOBS).map_err(store)?;
        let open = transaction.open_table(OPEN).map_err(store)?;
        let mut counts = OpenJobs::default();
        for row in open.iter().map_err(store)? {
            let (id, _) = row.map_err(store)?;
            match find(&jobs, id.value())?.map(|job| job.progress.state) {
                Some(JobState::Pending) => counts.pending += 1,
                Some(JobState::Running) => counts.running += 1,
                _ => {}
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
impl Tables {
    /// Flips a bit of a chunk's texts and of its results, where it has them.
    pub(super) fn damage(&self, id: &JobId, chunk: u32) -> Result<(), JobError> {
        self.write(|transaction| {
            for table in [TEXTS, RESULTS] {
                let mut table = transaction.open_table(table).map_err(store)?;
                let key = (id.as_str(), chunk);
                let bytes = table.get(key).map_err(store)?.map(|v| v.value().to_vec());
                if let Some(mut bytes) = bytes {
                    bytes[9] ^= 1;
                    table.insert(key, bytes.as_slice()).map_err(store)?;
                }
            }
            Ok(())
        })
    }
}

/// Sorts after every id.
const END_OF_IDS: &str = "~";

fn find(
    jobs: &impl ReadableTable<&'static str, &'static [u8]>,
    id: &str,
) -> Result<Option<Job>, JobError> {
    let bytes = jobs.get(id).map_err(store)?;
    bytes
        .map(|bytes| record::unpack_job(bytes.value(), id))
        .transpose()
}

/// Refuses a job that would be one more than `limit`.
fn check_limit(
    jobs: &impl ReadableTable<&'static str, &'static [u8]>,
    by_caller: &impl ReadableTable<(&'static str, &'static str), ()>,
    caller: &str,
    limit: u32,
    now: UnixMs,
) -> Result<(), JobError> {
    let (mut count, mut first) = (0, None);
    for row in by_caller
        .range((caller, "")..(caller, END_OF_IDS))
        .map_err(store)?
    {
        let (row, _) = row.map_err(store)?;
        if first.is_none() {
            first = find(jobs, row.value().1)?.map(|job| job.spec.expires);
        }
        count += 1;
    }
    if count < limit {
        return Ok(());
    }
    let retry_after = first.unwrap_or(now).since(now);
    Err(JobError::TooManyJobs { limit, retry_after })
}

fn drop_chunks(
    transaction: &WriteTransaction,
    table: TableDefinition<'static, (&'static str, u32), &'static [u8]>,
    id: &str,
) -> Result<(), JobError> {
    let mut table = transaction.open_table(table).map_err(store)?;
    table
        .retain_in::<(&str, u32), _>((id, 0)..=(id, u32::MAX), |_, _| false)
        .map_err(store)
}

/// Deletes all of a job, also of one whose record cannot be read.
fn delete(transaction: &WriteTransaction, expires: u64, id: &str) -> Result<(), JobError> {
    let mut jobs = transaction.open_table(JOBS).map_err(store)?;
    match find(&jobs, id) {
        Ok(Some(job)) => {
            let caller = job.spec.caller.as_str();
            let mut by_caller = transaction.open_table(BY_CALLER).map_err(store)?;
            by_caller.remove((caller, id)).map_err(store)?;
            let mut keys = transaction.open_table(KEYS).map_err(store)?;
            let key = (caller, job.spec.key.as_str());
            // The key may have gone to a newer job.
            let ours = keys
                .get(key)
                .map_err(store)?
                .is_some_and(|owner| owner.value() == id);
            if ours {
                keys.remove(key).map_err(store)?;
            }
        }
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "an expired job is deleted unread"),
    }
    jobs.remove(id).map_err(store)?;
    let mut open = transaction.open_table(OPEN).map_err(store)?;
    open.remove(id).map_err(store)?;
    let mut expiry = transaction.open_table(EXPIRY).map_err(store)?;
    expiry.remove((expires, id)).map_err(store)?;
    drop_chunks(transaction, TEXTS, id)?;
    drop_chunks(transaction, RESULTS, id)
}
