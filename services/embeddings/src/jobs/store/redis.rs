//! The state of jobs in Redis: every change is one script, so it happens whole or not
//! at all, and every worker sees the same.
//!
//! Below the configured prefix: `job:ID` (a hash: `spec` as JSON, and the progress),
//! `texts:ID` and `results:ID` (chunk to packed record), `leases:ID` (chunk to
//! `until token`), `caller:NAME` (ids of a caller's jobs, sorted), `keys:NAME`
//! (idempotency key to id), and over all jobs `expiry`, `unsent` (sorted by time),
//! `pending` and `running`.

use std::{collections::HashMap, time::Duration};

use ::redis::{
    AsyncCommands as _, FromRedisValue, RedisError, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use signalbox_chassis::config::Secret;

use self::scripts::Scripts;
use super::{Created, OpenJobs, items_in, not_found, pack_chunks};
use crate::{
    jobs::{
        error::JobError,
        job::{Counts, ItemResult, Job, JobId, JobSpec, JobState, Progress, UnixMs},
        record,
    },
    redis_client::{self, RedisTls},
};

mod scripts;

/// How long an answer of Redis is waited for. A job's texts go in one command.
const ANSWER: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(5);
/// Jobs that one sweep takes at a time.
const SWEEP: isize = 64;
/// After a job's expiry Redis deletes it itself, should nobody sweep for so long.
const GRACE: Duration = Duration::from_secs(60 * 60);

/// What a worker that asks for a chunk is told.
#[derive(Debug)]
pub(super) enum Asked {
    /// It is yours: the job, and the texts.
    Taken(Box<JobSpec>, Vec<String>),
    /// Another has it, for so long.
    Held(Duration),
    /// It is stored, or its job has ended.
    Done,
}

/// A job in Redis, without knowing of Kafka.
pub(super) struct RedisState {
    connection: ConnectionManager,
    prefix: String,
    scripts: Scripts,
}

fn store(error: RedisError) -> JobError {
    JobError::Store(format!("Redis: {error}"))
}

impl RedisState {
    pub(super) async fn connect(
        url: &Secret,
        tls: &RedisTls,
        prefix: &str,
    ) -> Result<Self, JobError> {
        let client = redis_client::open(url, tls).map_err(JobError::store)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        Ok(Self {
            connection: client
                .get_connection_manager_with_config(config)
                .await
                .map_err(store)?,
            prefix: prefix.to_owned(),
            scripts: Scripts::new(),
        })
    }

    fn key(&self, kind: &str, of: &str) -> String {
        format!("{}:{kind}:{of}", self.prefix)
    }

    fn all(&self, kind: &str) -> String {
        format!("{}:{kind}", self.prefix)
    }

    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, JobError> {
        let mut connection = self.connection.clone();
        script.invoke_async(&mut connection).await.map_err(store)
    }

    /// Stores a job as one whose chunks are still to be sent, by whoever finds it so
    /// at `send_at`.
    pub(super) async fn create(
        &self,
        spec: &JobSpec,
        texts: &[String],
        limit: u32,
        send_at: UnixMs,
        now: UnixMs,
    ) -> Result<Created, JobError> {
        let (id, caller) = (spec.id.as_str(), spec.caller.as_str());
        let json = serde_json::to_string(spec).map_err(JobError::store)?;
        let mut script = self.scripts.create.prepare_invoke();
        script
            .key(self.key("job", id))
            .key(self.key("texts", id))
            .key(self.key("caller", caller))
            .key(self.key("keys", caller))
            .key(self.all("expiry"))
            .key(self.all("unsent"))
            .key(self.all("pending"))
            .arg(id)
            .arg(json)
            .arg(caller)
            .arg(&spec.key)
            .arg(spec.total)
            .arg(spec.expires.0)
            .arg(spec.expires.after(GRACE).0)
            .arg(limit)
            .arg(send_at.0);
        for chunk in pack_chunks(spec, texts) {
            script.arg(chunk);
        }
        // Twice where the key belongs to a job that has expired and is not swept.
        for _ in 0..2 {
            let (what, known): (String, String) = self.run(&script).await?;
            match what.as_str() {
                "new" => {
                    return Ok(Created::New(Job {
                        spec: spec.clone(),
                        progress: Progress::new(),
                    }));
                }
                "full" => return Err(self.full(caller, limit, now).await?),
                _ => {}
            }
            match JobId::parse(&known) {
                Some(id) => match self.get(caller, &id, now).await {
                    Ok(job) => return Ok(Created::Existing(job)),
                    Err(JobError::NotFound { .. }) => self.delete(id.as_str()).await?,
                    Err(error) => return Err(error),
                },
                None => return Err(JobError::corrupt(format!("key {}", spec.key), known)),
            }
            let mut connection = self.connection.clone();
            let keys = self.key("keys", caller);
            let _: () = connection.hdel(keys, &spec.key).await.map_err(store)?;
        }
        Err(JobError::Store(
            "Redis: the idempotency key is contended".to_owned(),
        ))
    }

    async fn full(&self, caller: &str, limit: u32, now: UnixMs) -> Result<JobError, JobError> {
        let mut connection = self.connection.clone();
        let first: Vec<String> = connection
            .zrange(self.key("caller", caller), 0, 0)
            .await
            .map_err(store)?;
        let expires: Option<f64> = match first.first() {
            Some(id) => connection
                .zscore(self.all("expiry"), id)
                .await
                .map_err(store)?,
            None => None,
        };
        let expires = expires.map_or(now, |ms| UnixMs(ms as u64));
        Ok(JobError::TooManyJobs {
            limit,
            retry_after: expires.since(now),
        })
    }

    /// A job by its id, whosesoever it is; `None` where there is none.
    pub(super) async fn find(&self, id: &JobId) -> Result<Option<Job>, JobError> {
        let mut connection = self.connection.clone();
        let fields: HashMap<String, Vec<u8>> = connection
            .hgetall(self.key("job", id.as_str()))
            .await
            .map_err(store)?;
        read_job(id, fields)
    }

    pub(super) async fn get(&self, caller: &str, id: &JobId, now: UnixMs) -> Result<Job, JobError> {
        self.find(id)
            .await?
            .filter(|job| job.spec.caller == caller && job.spec.expires > now)
            .ok_or_else(|| not_found(id))
    }

    pub(super) async fn list(
        &self,
        caller: &str,
        after: Option<&JobId>,
        limit: usize,
        now: UnixMs,
    ) -> Result<Vec<Job>, JobError> {
        let mut connection = self.connection.clone();
        let key = self.key("caller", caller);
        let (mut found, mut after) = (Vec::new(), after.cloned());
        while found.len() < limit {
            let start = after.map_or_else(|| "+".to_owned(), |id| format!("({id}"));
            let count = isize::try_from(limit - found.len()).unwrap_or(isize::MAX);
            let ids: Vec<String> = connection
                .zrevrangebylex_limit(&key, start, "-", 0, count)
                .await
                .map_err(store)?;
            let ids: Vec<JobId> = ids.iter().filter_map(|id| JobId::parse(id)).collect();
            let Some(last) = ids.last() else {
                break;
            };
            after = Some(last.clone());
            let mut pipe = ::redis::pipe();
            for id in &ids {
                pipe.hgetall(self.key("job", id.as_str()));
            }
            let rows: Vec<HashMap<String, Vec<u8>>> =
                pipe.query_async(&mut connection).await.map_err(store)?;
            for (id, fields) in ids.iter().zip(rows) {
                found.extend(read_job(id, fields)?.filter(|job| job.spec.expires > now));
            }
        }
        Ok(found)
    }

    pub(super) async fn claim(
        &self,
        id: &JobId,
        chunk: u32,
        token: u64,
        now: UnixMs,
        until: UnixMs,
    ) -> Result<Asked, JobError> {
        let name = id.as_str();
        let mut script = self.scripts.claim.prepare_invoke();
        script
            .key(self.key("job", name))
            .key(self.key("texts", name))
            .key(self.key("results", name))
            .key(self.key("leases", name))
            .key(self.all("pending"))
            .key(self.all("running"))
            .arg(name)
            .arg(chunk)
            .arg(now.0)
            .arg(until.0)
            .arg(token)
            .arg(until.after(GRACE).0);
        let (what, about, texts): (String, Vec<u8>, Vec<u8>) = self.run(&script).await?;
        match what.as_str() {
            "taken" => {
                let spec = read_spec(id, &about)?;
                let expected = items_in(&spec, chunk);
                let texts = record::unpack_texts(&texts, id, chunk, expected)?;
                Ok(Asked::Taken(Box::new(spec), texts))
            }
            "held" => {
                let left = str::from_utf8(&about).ok().and_then(|ms| ms.parse().ok());
                // Without its digits it is a lease that nobody can hold.
                Ok(Asked::Held(Duration::from_millis(left.unwrap_or(1_000))))
            }
            _ => Ok(Asked::Done),
        }
    }

    /// Extends a lease to `until`, or gives it back for `None`; false if it was lost.
    pub(super) async fn renew(
        &self,
        id: &JobId,
        chunk: u32,
        token: u64,
        until: Option<UnixMs>,
    ) -> Result<bool, JobError> {
        let mut script = self.scripts.renew.prepare_invoke();
        script
            .key(self.key("job", id.as_str()))
            .key(self.key("leases", id.as_str()))
            .arg(chunk)
            .arg(token)
            .arg(until.map_or(0, |until| until.0));
        self.run(&script).await
    }

    pub(super) async fn complete(
        &self,
        id: &JobId,
        chunk: u32,
        results: &[ItemResult],
        now: UnixMs,
    ) -> Result<Option<Job>, JobError> {
        let Some(job) = self.find(id).await? else {
            return Ok(None);
        };
        let (name, counts) = (id.as_str(), Counts::of(results));
        let mut script = self.scripts.complete.prepare_invoke();
        script
            .key(self.key("job", name))
            .key(self.key("texts", name))
            .key(self.key("results", name))
            .key(self.key("leases", name))
            .key(self.all("pending"))
            .key(self.all("running"))
            .arg(name)
            .arg(chunk)
            .arg(record::pack_results(results))
            .arg(counts.done)
            .arg(counts.failed)
            .arg(now.0)
            .arg(job.spec.expires.after(GRACE).0);
        if self.run::<bool>(&script).await? {
            return self.find(id).await;
        }
        Ok(None)
    }

    pub(super) async fn results(
        &self,
        spec: &JobSpec,
        chunk: u32,
    ) -> Result<Option<Vec<ItemResult>>, JobError> {
        let mut connection = self.connection.clone();
        let packed: Option<Vec<u8>> = connection
            .hget(self.key("results", spec.id.as_str()), chunk)
            .await
            .map_err(store)?;
        packed
            .map(|packed| record::unpack_results(&packed, &spec.id, chunk, items_in(spec, chunk)))
            .transpose()
    }

    /// Ends a job where it stands, unless it has ended.
    pub(super) async fn end(
        &self,
        id: &JobId,
        state: JobState,
        reason: &str,
        now: UnixMs,
    ) -> Result<(), JobError> {
        let name = id.as_str();
        let mut script = self.scripts.end.prepare_invoke();
        script
            .key(self.key("job", name))
            .key(self.key("texts", name))
            .key(self.key("leases", name))
            .key(self.all("unsent"))
            .key(self.all("pending"))
            .key(self.all("running"))
            .arg(name)
            .arg(state.as_str())
            .arg(reason)
            .arg(now.0);
        self.run::<bool>(&script).await.map(|_| ())
    }

    /// Deletes what has expired, and says how much that was.
    pub(super) async fn sweep(&self, now: UnixMs) -> Result<u64, JobError> {
        let mut gone = 0;
        loop {
            let due = self.due("expiry", now).await?;
            if due.is_empty() {
                return Ok(gone);
            }
            for id in due {
                self.delete(&id).await?;
                gone += 1;
            }
        }
    }

    async fn due(&self, kind: &str, now: UnixMs) -> Result<Vec<String>, JobError> {
        let mut connection = self.connection.clone();
        connection
            .zrangebyscore_limit(self.all(kind), "-inf", now.0, 0, SWEEP)
            .await
            .map_err(store)
    }

    async fn delete(&self, id: &str) -> Result<(), JobError> {
        let mut connection = self.connection.clone();
        let (caller, key): (Option<String>, Option<String>) = connection
            .hmget(self.key("job", id), &["caller", "key"])
            .await
            .map_err(store)?;
        let caller = caller.unwrap_or_default();
        let mut script = self.scripts.delete.prepare_invoke();
        script
            .key(self.key("job", id))
            .key(self.key("texts", id))
            .key(self.key("results", id))
            .key(self.key("leases", id))
            .key(self.key("caller", &caller))
            .key(self.key("keys", &caller))
            .key(self.all("expiry"))
            .key(self.all("unsent"))
            .key(self.all("pending"))
            .key(self.all("running"))
            .arg(id)
            .arg(key.unwrap_or_default());
        self.run::<bool>(&script).await.map(|_| ())
    }

    /// Jobs whose chunks should have been sent by now, and were not all.
    pub(super) async fn unsent(&self, now: UnixMs) -> Result<Vec<JobId>, JobError> {
        let ids = self.due("unsent", now).await?;
        Ok(ids.iter().filter_map(|id| JobId::parse(id)).collect())
    }

    /// All chunks of a job were sent.
    pub(super) async fn sent(&self, id: &JobId) -> Result<(), JobError> {
        let mut connection = self.connection.clone();
        connection
            .zrem(self.all("unsent"), id.as_str())
            .await
            .map_err(store)
    }

    pub(super) async fn open_jobs(&self) -> Result<OpenJobs, JobError> {
        let mut connection = self.connection.clone();
        let mut pipe = ::redis::pipe();
        pipe.scard(self.all("pending")).scard(self.all("running"));
        let (pending, running) = pipe.query_async(&mut connection).await.map_err(store)?;
        Ok(OpenJobs { pending, running })
    }
}

fn read_spec(id: &JobId, json: &[u8]) -> Result<JobSpec, JobError> {
    let name = || format!("job {id}");
    let spec: JobSpec = serde_json::from_slice(json)
        .map_err(|error| JobError::corrupt(name(), error.to_string()))?;
    if spec.id != *id || spec.chunk_items == 0 {
        return Err(JobError::corrupt(name(), "its record is not its own"));
    }
    Ok(spec)
}

/// A job from its hash; `None` where there is none.
fn read_job(id: &JobId, fields: HashMap<String, Vec<u8>>) -> Result<Option<Job>, JobError> {
    let Some(spec) = fields.get("spec") else {
        return Ok(None);
    };
    let damaged = |field: &str| JobError::corrupt(format!("job {id}"), format!("its {field}"));
    let text = |field: &str| match fields.get(field) {
        Some(bytes) => str::from_utf8(bytes).map_err(|_| damaged(field)),
        None => Ok(""),
    };
    let number = |field: &str| text(field)?.parse::<u32>().map_err(|_| damaged(field));
    let time = |field: &str| match text(field)? {
        "" => Ok(None),
        ms => ms
            .parse()
            .map(|ms| Some(UnixMs(ms)))
            .map_err(|_| damaged(field)),
    };
    let progress = Progress {
        state: JobState::parse(text("state")?).ok_or_else(|| damaged("state"))?,
        done: number("done")?,
        failed: number("failed")?,
        started: time("started")?,
        touched: time("touched")?,
        error: text("error")?.to_owned(),
    };
    Ok(Some(Job {
        spec: read_spec(id, spec)?,
        progress,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_hash_panics(
            fields: HashMap<String, Vec<u8>>,
            state: Vec<u8>, done: Vec<u8>, started in "[0-9]{0,30}",
        ) {
            let id = JobId::from_ulid(ulid::Ulid::nil());
            let mut fields = fields;
            fields.insert("spec".to_owned(), b"{}".to_vec());
            fields.insert("state".to_owned(), state);
            fields.insert("done".to_owned(), done);
            fields.insert("started".to_owned(), started.into_bytes());
            match read_job(&id, fields) {
                Err(JobError::Corrupt { record, .. }) => prop_assert!(record.contains(id.as_str())),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
