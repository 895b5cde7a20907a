//! Results that need not be computed again.
//!
//! A text's vector is looked for in this process, then in Redis where one is
//! configured, and computed otherwise; equal texts at the same time, in one request or
//! in many, are computed once. What is kept is the model's own vector in full: shorter
//! ones and other number types are made from it for each answer.
//!
//! The cache knows nothing of who computes: the caller gives it a function.

mod breaker;
mod config;
mod flight;
mod key;
mod memory;
mod redis;
mod value;

use std::{collections::HashMap, sync::Arc, time::Duration};

use ::redis::RedisError;

pub use self::{config::CacheConfig, key::KeyPrefix};
use self::{
    flight::{Flights, Follow, Lead, Part},
    key::Key,
    memory::Memory,
    redis::Redis,
};
use crate::{
    redis_client,
    request::{EmbedError, Embedded, Inputs, Priority},
    telemetry::{self, CacheLayer},
};

/// The configuration of the cache cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("embeddings.cache.{0}")]
pub struct CacheError(String);

/// Results by their texts. The default is off: everything is computed.
#[derive(Default)]
pub struct Cache {
    on: bool,
    memory: Option<Memory>,
    redis: Option<Redis>,
    flights: Flights,
}

impl Cache {
    /// Opens the cache; Redis is not asked yet. With a Redis it must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    ///
    /// When the URL of Redis is none.
    pub fn new(config: &CacheConfig) -> Result<Self, CacheError> {
        let ttl = Duration::from_secs(config.ttl_seconds);
        if ttl.is_zero() {
            return Ok(Self::default());
        }
        let mut redis = None;
        if !config.redis_url.is_empty() {
            let timeout = Duration::from_millis(config.redis_timeout_ms.max(1));
            let client = redis_client::open(&config.redis_url, &config.redis_tls)
                .map_err(|error| CacheError(error.to_string()))?;
            let opened = Redis::new(client, timeout, ttl);
            // The error's own words may hold the URL, and with it a password.
            let failed = |error: RedisError| CacheError(format!("redis_url: {:?}", error.kind()));
            redis = Some(opened.map_err(failed)?);
        }
        Ok(Self {
            on: true,
            memory: (config.max_bytes > 0).then(|| Memory::new(config.max_bytes, ttl)),
            redis,
            flights: Flights::default(),
        })
    }

    /// The results of all inputs, in order. `compute` is called with the positions of
    /// those that are not known, each text once; again only where another request that
    /// computed some of them has gone away.
    ///
    /// # Errors
    ///
    /// Those of `compute`; where another request computes the same texts, its errors
    /// that are not about that request.
    pub async fn embed<F, W>(
        &self,
        prefix: &KeyPrefix,
        inputs: &Inputs,
        priority: Priority,
        mut compute: F,
    ) -> Result<Vec<Embedded>, EmbedError>
    where
        F: FnMut(Vec<usize>) -> W,
        W: Future<Output = Result<Vec<Embedded>, EmbedError>>,
    {
        if !self.on {
            return compute((0..inputs.len()).collect()).await;
        }
        let keys = prefix.keys(inputs);
        let mut known = HashMap::with_capacity(keys.len());
        let mut missing = Vec::new();
        for (position, key) in keys.iter().enumerate() {
            if known.contains_key(key) {
                continue;
            }
            let found = self.memory.as_ref().and_then(|memory| memory.get(key));
            if found.is_none() {
                missing.push(Wanted {
                    key: *key,
                    position,
                });
            }
            known.insert(*key, found);
        }
        let repeated = keys.len() - known.len();
        telemetry::cache_looked_up(
            CacheLayer::Memory,
            known.len() - missing.len() + repeated,
            missing.len(),
        );
        let bulk = priority == Priority::Bulk;
        while !missing.is_empty() {
            let found = self.round(prefix, &missing, bulk, &mut compute).await?;
            missing.retain(|wanted| !found.contains_key(&wanted.key));
            known.extend(found.into_iter().map(|(key, result)| (key, Some(result))));
        }
        let result = |key: &Key| {
            let found = known.get(key).and_then(Option::as_ref);
            found.map(|result| Embedded::clone(result))
        };
        let all: Option<Vec<Embedded>> = keys.iter().map(result).collect();
        all.ok_or_else(|| EmbedError::Failed("the cache lost a result".to_owned()))
    }

    /// One attempt at what is missing: leads what nobody computes, then waits for what
    /// others do. What comes back lacks only texts whose leaders have gone away.
    async fn round<F, W>(
        &self,
        prefix: &KeyPrefix,
        missing: &[Wanted],
        bulk: bool,
        compute: &mut F,
    ) -> Result<HashMap<Key, Arc<Embedded>>, EmbedError>
    where
        F: FnMut(Vec<usize>) -> W,
        W: Future<Output = Result<Vec<Embedded>, EmbedError>>,
    {
        let keys: Vec<Key> = missing.iter().map(|wanted| wanted.key).collect();
        let mut mine = Vec::new();
        let mut others: Vec<(Key, Follow)> = Vec::new();
        for (wanted, part) in missing.iter().zip(self.flights.join(&keys, bulk)) {
            match part {
                Part::Lead(lead) => mine.push(Task::new(*wanted, Some(lead))),
                Part::Solo => mine.push(Task::new(*wanted, None)),
                Part::Follow(follow) => others.push((wanted.key, follow)),
            }
        }
        let mut done = HashMap::with_capacity(missing.len());
        // Another may have ended between our look and our lead.
        if let Some(memory) = &self.memory {
            mine = settle(mine, &mut done, |task| memory.get(&task.wanted.key));
        }
        if let Some(redis) = &self.redis {
            mine = self.ask_redis(redis, prefix, mine, &mut done).await;
        }
        if !mine.is_empty() {
            self.compute(mine, compute, &mut done).await?;
        }
        let followed = others.len();
        for (key, follow) in others {
            if let Some(outcome) = follow.outcome().await {
                done.insert(key, outcome?);
            }
        }
        telemetry::cache_looked_up(CacheLayer::Flight, followed, 0);
        Ok(done)
    }

    async fn ask_redis(
        &self,
        redis: &Redis,
        prefix: &KeyPrefix,
        mine: Vec<Task>,
        done: &mut HashMap<Key, Arc<Embedded>>,
    ) -> Vec<Task> {
        let keys: Vec<Key> = mine.iter().map(|task| task.wanted.key).collect();
        let found = redis.get(&keys, prefix.dimensions).await;
        let mut found = found.into_iter();
        let before = mine.len();
        let rest = settle(mine, done, |task| {
            let result = Arc::new(found.next()??);
            self.keep(task.wanted.key, &result);
            Some(result)
        });
        telemetry::cache_looked_up(CacheLayer::Redis, before - rest.len(), rest.len());
        rest
    }

    async fn compute<F, W>(
        &self,
        mine: Vec<Task>,
        compute: &mut F,
        done: &mut HashMap<Key, Arc<Embedded>>,
    ) -> Result<(), EmbedError>
    where
        F: FnMut(Vec<usize>) -> W,
        W: Future<Output = Result<Vec<Embedded>, EmbedError>>,
    {
        let mut computed = compute(mine.iter().map(|task| task.wanted.position).collect()).await;
        if computed.as_ref().is_ok_and(|all| all.len() != mine.len()) {
            let lost = "a model gave fewer or more vectors than there were inputs";
            computed = Err(EmbedError::Failed(lost.to_owned()));
        }
        let computed = match computed {
            Ok(computed) => computed,
            Err(error) => {
                let leads = mine.into_iter().filter_map(|task| task.lead);
                if error.is_shared() {
                    leads.for_each(|lead| lead.end(Err(error.clone())));
                }
                return Err(error);
            }
        };
        let mut written = Vec::with_capacity(mine.len());
        for (task, result) in mine.into_iter().zip(computed) {
            let (key, result) = (task.wanted.key, Arc::new(result));
            // Before the flight ends: whoever then finds none looks here.
            self.keep(key, &result);
            written.push((key, Arc::clone(&result)));
            task.end(&result);
            done.insert(key, result);
        }
        if let Some(redis) = &self.redis {
            redis.put(written);
        }
        if let Some(memory) = &self.memory {
            telemetry::cache_bytes(memory.bytes());
        }
        Ok(())
    }

    fn keep(&self, key: Key, result: &Arc<Embedded>) {
        if let Some(memory) = &self.memory {
            memory.put(key, Arc::clone(result));
        }
    }
}

/// A text that is not known yet.
#[derive(Clone, Copy)]
struct Wanted {
    key: Key,
    /// Where it stands first in the request.
    position: usize,
}

/// A text that this request computes.
struct Task {
    wanted: Wanted,
    lead: Option<Lead>,
}

impl Task {
    fn new(wanted: Wanted, lead: Option<Lead>) -> Self {
        Self { wanted, lead }
    }

    fn end(self, result: &Arc<Embedded>) {
        if let Some(lead) = self.lead {
            lead.end(Ok(Arc::clone(result)));
        }
    }
}

/// Ends the tasks that `find` has a result for; the others come back.
fn settle(
    tasks: Vec<Task>,
    done: &mut HashMap<Key, Arc<Embedded>>,
    mut find: impl FnMut(&Task) -> Option<Arc<Embedded>>,
) -> Vec<Task> {
    let mut rest = Vec::new();
    for task in tasks {
        match find(&task) {
            Some(result) => {
                done.insert(task.wanted.key, Arc::clone(&result));
                task.end(&result);
            }
            None => rest.push(task),
        }
    }
    rest
}
