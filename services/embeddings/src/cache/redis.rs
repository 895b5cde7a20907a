//! Results that processes share, in Redis.
//!
//! Redis is a help and never a need: it has a short time to answer, a few failures in
//! a row end the asking for a while, and whatever goes wrong the texts are computed.
//! Writing happens beside the request and is given up when too much waits.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::{
    Client, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::{sync::mpsc, time::Instant};

use super::{
    breaker::{Breaker, Verdict},
    key::Key,
    value,
};
use crate::{request::Embedded, telemetry};

/// Values of one command: with vectors of 1,536 numbers, 1.5 MB.
const BATCH: usize = 256;
/// Requests whose results may wait to be written.
const QUEUE: usize = 64;
/// Between two log lines about the same trouble.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Results of one request, to be written.
type Written = Vec<(Key, Arc<Embedded>)>;

/// The shared store. Its writer ends when it is dropped.
pub(super) struct Redis {
    shared: Arc<Shared>,
    writer: mpsc::Sender<Written>,
}

struct Shared {
    connection: ConnectionManager,
    timeout: Duration,
    ttl: Duration,
    breaker: Breaker,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    last: Option<Instant>,
    unsaid: u64,
}

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("no answer within {0:?}")]
    Late(Duration),
}

impl Redis {
    /// Connects when it is first asked; runs on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// When the client cannot be used so.
    pub(super) fn new(
        client: Client,
        timeout: Duration,
        ttl: Duration,
    ) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout))
            // The breaker says when to come back.
            .set_number_of_retries(0);
        let shared = Arc::new(Shared {
            connection: ConnectionManager::new_lazy_with_config(client, config)?,
            timeout,
            ttl,
            breaker: Breaker::default(),
            log: Mutex::default(),
        });
        let (writer, queue) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(Arc::clone(&shared), queue));
        Ok(Self { shared, writer })
    }

    /// What is stored of these, in order; nothing of those for which Redis does not
    /// answer in time.
    pub(super) async fn get(&self, keys: &[Key], dimensions: usize) -> Vec<Option<Embedded>> {
        let mut found = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            if !self.shared.may_ask() {
                break;
            }
            let mut command = redis::cmd("MGET");
            batch.iter().for_each(|key| {
                command.arg(name(key));
            });
            let Some(values) = self.shared.ask::<Vec<Option<Vec<u8>>>>(&command).await else {
                break;
            };
            let read = |value: Option<Vec<u8>>| value::from_bytes(&value?, dimensions);
            found.extend(values.into_iter().map(read));
        }
        found.resize(keys.len(), None);
        found
    }

    /// Stores these soon, unless too much waits already.
    pub(super) fn put(&self, results: Written) {
        if !results.is_empty() && self.writer.try_send(results).is_err() {
            telemetry::cache_dropped();
        }
    }
}

async fn write_all(shared: Arc<Shared>, mut queue: mpsc::Receiver<Written>) {
    let millis = u64::try_from(shared.ttl.as_millis()).unwrap_or(u64::MAX);
    while let Some(results) = queue.recv().await {
        for batch in results.chunks(BATCH) {
            if !shared.may_ask() {
                break;
            }
            let mut pipeline = redis::pipe();
            for (key, embedded) in batch {
                pipeline
                    .cmd("SET")
                    .arg(name(key))
                    .arg(value::to_bytes(embedded))
                    .arg("PX")
                    .arg(millis)
                    .ignore();
            }
            let mut connection = shared.connection.clone();
            let answer = async { pipeline.exec_async(&mut connection).await };
            if shared.within_time(answer).await.is_none() {
                break;
            }
        }
    }
}

impl Shared {
    /// Whether to ask now; sends the probe when one is due.
    fn may_ask(self: &Arc<Self>) -> bool {
        match self.breaker.verdict() {
            Verdict::Ask => true,
            Verdict::Skip => false,
            Verdict::Probe => {
                let shared = Arc::clone(self);
                tokio::spawn(async move { shared.ask::<String>(&redis::cmd("PING")).await });
                false
            }
        }
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Option<T> {
        let mut connection = self.connection.clone();
        let answer = async { command.query_async(&mut connection).await };
        self.within_time(answer).await
    }

    async fn within_time<T>(
        &self,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Option<T> {
        let result = match tokio::time::timeout(self.timeout, answer).await {
            Ok(result) => result.map_err(Failure::from),
            Err(_) => Err(Failure::Late(self.timeout)),
        };
        match result {
            Ok(value) => {
                self.breaker.succeeded();
                Some(value)
            }
            Err(failure) => {
                self.breaker.failed();
                telemetry::cache_error();
                self.report(&failure);
                None
            }
        }
    }

    /// Says what is wrong, once a minute at most.
    fn report(&self, failure: &Failure) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if log.last.is_some_and(|last| now < last + LOG_EVERY) {
            log.unsaid += 1;
            return;
        }
        tracing::warn!(
            error = %failure,
            failures_since_last_line = log.unsaid,
            "the cache's Redis does not answer; results are computed"
        );
        *log = Log {
            last: Some(now),
            unsaid: 0,
        };
    }
}

/// The name in Redis.
fn name(key: &Key) -> String {
    use std::fmt::Write as _;
    let mut name = "signalbox:embedding:".to_owned();
    for byte in key.0 {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}
