//! The jobs of many machines: their state in Redis, their work through Kafka.
//!
//! Redis decides. Kafka only spreads the work: a message that is lost, late or doubled
//! changes nothing, because a job is marked `unsent` in the same step that stores it,
//! and whoever sweeps sends what was not sent; and because a chunk that is stored, or
//! in another's hands, is not given out.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync,
    time::{Instant, sleep_until},
};

use super::{
    Answer, Claim, Clock, Completion, Created, JobStore, Lease, OpenJobs,
    kafka::{Received, Receiver, Sender},
    redis::{Asked, RedisState},
};
use crate::jobs::{
    config::DistributedConfig,
    error::JobError,
    job::{ItemResult, Job, JobId, JobSpec, JobState},
};

/// A job whose chunks were not all sent by then is sent by whoever sweeps.
const SEND_AGAIN: Duration = Duration::from_secs(30);
/// Shortest wait before a chunk in another's hands is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How often a worker without work looks at what was put off meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A [`JobStore`] in Redis and Kafka.
pub struct DistributedStore {
    state: RedisState,
    sender: Sender,
    receiver: Option<Receiver>,
    /// Messages whose chunk is to be asked for again, and when.
    later: Mutex<VecDeque<(Instant, Received)>>,
    /// Held by the one worker that waits for a message.
    turn: sync::Mutex<()>,
    closed: AtomicBool,
    lease: Duration,
    clock: Clock,
}

impl DistributedStore {
    /// Connects to both; `works` says whether this process takes chunks.
    ///
    /// # Errors
    ///
    /// When one of them cannot be reached.
    pub async fn open(
        config: &DistributedConfig,
        lease: Duration,
        works: bool,
        clock: Clock,
    ) -> Result<Self, JobError> {
        let state =
            RedisState::connect(&config.redis_url, &config.redis_tls, &config.redis_prefix).await?;
        let sender = Sender::connect(&config.kafka).await?;
        let receiver = works.then(|| Receiver::join(&config.kafka)).transpose()?;
        Ok(Self {
            state,
            sender,
            receiver,
            later: Mutex::default(),
            turn: sync::Mutex::default(),
            closed: AtomicBool::new(false),
            lease,
            clock,
        })
    }

    fn later<T>(&self, change: impl FnOnce(&mut VecDeque<(Instant, Received)>) -> T) -> T {
        change(&mut self.later.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put_off(&self, message: Received, wait: Duration) {
        let at = Instant::now() + wait.max(ASK_AGAIN);
        self.later(|later| later.push_back((at, message)));
    }

    /// The next message: one that was put off and is due, or a new one.
    async fn next(&self, receiver: &Receiver) -> Result<Received, JobError> {
        let _turn = self.turn.lock().await;
        loop {
            let now = Instant::now();
            let due = self.later(|later| {
                let at = later.iter().position(|(at, _)| *at <= now)?;
                later.remove(at)
            });
            if let Some((_, message)) = due {
                return Ok(message);
            }
            let first = self.later(|later| later.iter().map(|(at, _)| *at).min());
            let look = (now + LOOK_AGAIN).min(first.unwrap_or(now + LOOK_AGAIN));
            tokio::select! {
                message = receiver.receive() => return message,
                () = sleep_until(look) => {}
            }
        }
    }

    async fn ask(&self, message: &Received) -> Result<Asked, JobError> {
        let now = (self.clock)();
        let until = now.after(self.lease);
        let Received {
            job, chunk, token, ..
        } = message;
        match self.state.claim(job, *chunk, *token, now, until).await {
            Err(damaged @ JobError::Corrupt { .. }) => {
                // It will not mend itself: the job ends, and says why.
                tracing::error!(error = %damaged, "a job cannot go on");
                let reason = damaged.to_string();
                self.state.end(job, JobState::Failed, &reason, now).await?;
                Ok(Asked::Done)
            }
            other => other,
        }
    }

    fn finish(&self, lease: Lease) {
        if let (Some(receiver), Some(at)) = (&self.receiver, lease.message) {
            receiver.done(at);
        }
    }

    /// Sends the chunks of a job that have no results.
    async fn send(&self, spec: &JobSpec) -> Result<(), JobError> {
        self.sender.send(&spec.id, 0..spec.chunks()).await?;
        self.state.sent(&spec.id).await
    }

    async fn send_unsent(&self) -> Result<(), JobError> {
        for id in self.state.unsent((self.clock)()).await? {
            match self.state.find(&id).await? {
                Some(job) if !job.progress.state.is_final() => self.send(&job.spec).await?,
                _ => self.state.sent(&id).await?,
            }
        }
        Ok(())
    }
}

impl JobStore for DistributedStore {
    fn create(&self, spec: JobSpec, texts: Vec<String>, limit: u32) -> Answer<'_, Created> {
        Box::pin(async move {
            let now = (self.clock)();
            let send_at = now.after(SEND_AGAIN);
            let created = self
                .state
                .create(&spec, &texts, limit, send_at, now)
                .await?;
            if matches!(created, Created::New(_))
                && let Err(error) = self.send(&spec).await
            {
                // The job is stored, and marked as one to be sent.
                tracing::warn!(%error, job = %spec.id, "a job's chunks will be sent later");
            }
            Ok(created)
        })
    }

    fn get<'a>(&'a self, caller: &'a str, id: &'a JobId) -> Answer<'a, Job> {
        Box::pin(self.state.get(caller, id, (self.clock)()))
    }

    fn list<'a>(
        &'a self,
        caller: &'a str,
        after: Option<&'a JobId>,
        limit: usize,
    ) -> Answer<'a, Vec<Job>> {
        Box::pin(self.state.list(caller, after, limit, (self.clock)()))
    }

    fn cancel<'a>(&'a self, caller: &'a str, id: &'a JobId) -> Answer<'a, Job> {
        Box::pin(async move {
            let now = (self.clock)();
            self.state.get(caller, id, now).await?;
            self.state.end(id, JobState::Cancelled, "", now).await?;
            self.state.get(caller, id, now).await
        })
    }

    fn results<'a>(&'a self, spec: &'a JobSpec, chunk: u32) -> Answer<'a, Option<Vec<ItemResult>>> {
        Box::pin(self.state.results(spec, chunk))
    }

    fn claim(&self) -> Answer<'_, Claim> {
        Box::pin(async move {
            let Some(receiver) = &self.receiver else {
                return std::future::pending().await;
            };
            loop {
                if self.closed.load(Ordering::Relaxed) {
                    return std::future::pending().await;
                }
                let message = self.next(receiver).await?;
                // Put back should this future be dropped before the answer.
                let mut guard = PutBack {
                    store: self,
                    message: Some(message.clone()),
                };
                let asked = self.ask(&message).await?;
                guard.message = None;
                match asked {
                    Asked::Taken(spec, texts) => {
                        return Ok(Claim {
                            job: message.job,
                            caller: spec.caller,
                            model: spec.model,
                            chunk: message.chunk,
                            texts,
                            lease: Lease {
                                token: message.token,
                                message: Some(message.at),
                            },
                        });
                    }
                    Asked::Held(left) => self.put_off(message, left),
                    Asked::Done => receiver.done(message.at),
                }
            }
        })
    }

    fn renew<'a>(&'a self, claim: &'a Claim) -> Answer<'a, bool> {
        let until = (self.clock)().after(self.lease);
        let token = claim.lease.token;
        Box::pin(
            self.state
                .renew(&claim.job, claim.chunk, token, Some(until)),
        )
    }

    fn complete(&self, claim: Claim, results: Vec<ItemResult>) -> Answer<'_, Completion> {
        Box::pin(async move {
            let now = (self.clock)();
            let stored = self
                .state
                .complete(&claim.job, claim.chunk, &results, now)
                .await;
            match stored {
                Ok(job) => {
                    self.finish(claim.lease);
                    Ok(job.map_or(Completion::Discarded, |job| {
                        Completion::Stored(Box::new(job))
                    }))
                }
                Err(error) => {
                    // Whether it was stored is not known; asking again tells.
                    self.again(&claim);
                    Err(error)
                }
            }
        })
    }

    fn release(&self, claim: Claim) -> Answer<'_, ()> {
        Box::pin(async move {
            let token = claim.lease.token;
            let given = self.state.renew(&claim.job, claim.chunk, token, None).await;
            self.again(&claim);
            given.map(|_| ())
        })
    }

    fn fail<'a>(&'a self, claim: Claim, reason: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let now = (self.clock)();
            let ended = self
                .state
                .end(&claim.job, JobState::Failed, reason, now)
                .await;
            match ended {
                Ok(()) => self.finish(claim.lease),
                Err(_) => self.again(&claim),
            }
            ended
        })
    }

    fn sweep(&self) -> Answer<'_, u64> {
        Box::pin(async move {
            self.send_unsent().await?;
            self.state.sweep((self.clock)()).await
        })
    }

    fn open_jobs(&self) -> Answer<'_, OpenJobs> {
        Box::pin(self.state.open_jobs())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(receiver) = &self.receiver {
            receiver.leave();
        }
        Box::pin(async {})
    }
}

impl DistributedStore {
    /// A chunk that was not done is asked for again.
    fn again(&self, claim: &Claim) {
        if let Some(at) = claim.lease.message {
            let message = Received {
                job: claim.job.clone(),
                chunk: claim.chunk,
                token: claim.lease.token,
                at,
            };
            self.put_off(message, ASK_AGAIN);
        }
    }
}

/// A message on its way from the queue to a claim.
struct PutBack<'a> {
    store: &'a DistributedStore,
    message: Option<Received>,
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            self.store.put_off(message, ASK_AGAIN);
        }
    }
}
