//! The record: every request that came and what became of it. A test of the Router
//! reads here what really reached a provider, and whether its client went away.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, header};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Requests remembered; older ones are forgotten.
const MAX_RECORDS: usize = 10_000;
/// A longer body is recorded by its size only, so that a load test of large
/// requests does not fill the memory.
const MAX_RECORDED_BODY: usize = 1 << 20;
/// Bytes of all recorded bodies, as they were sent; the oldest requests make room.
const MAX_RECORDED_BODIES: usize = 64 << 20;
/// Model names whose requests are counted for `fail-first`.
const MAX_COUNTED_MODELS: usize = 10_000;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It has not: the server is at work, waits, or stalls on purpose.
    InProgress,
    /// The last piece of the response was handed to the transport.
    Completed,
    /// The client went away before that.
    ClientDisconnected,
    /// The server reset the connection on purpose.
    Reset,
    /// The server ended the body too early on purpose.
    Cut,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The HTTP status, once the server has decided on it.
    pub status: Option<u16>,
    /// Pieces of the body handed to the transport: SSE events, `[DONE]` included,
    /// or 1 for a whole JSON body.
    pub chunks_sent: u64,
    /// How it ended.
    pub end: End,
    /// Words of the prompt.
    pub prompt_tokens: u64,
    /// Words of the answer that were sent.
    pub completion_tokens: u64,
}

/// One request and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Counts up from 1; a `DELETE` of the record does not start it anew.
    pub id: u64,
    /// When it came, RFC 3339.
    pub at: String,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// Headers by lower-case name. Those that carry secrets only say `present`.
    pub headers: BTreeMap<String, String>,
    /// The W3C trace context that came with it.
    pub traceparent: Option<String>,
    /// The model asked for, empty when the body names none.
    pub model: String,
    /// The body: its JSON, or a string when it is not JSON, or its size in
    /// `omitted_bytes` when it is over 1 MiB.
    pub body: Value,
    /// What became of it.
    pub outcome: Outcome,
}

/// No record matched in time.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no record matched within {limit:?}; recorded so far: {records:#?}")]
pub struct WaitTimeout {
    /// How long the wait was.
    pub limit: Duration,
    /// What was recorded by then.
    pub records: Vec<Record>,
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<Record>,
    /// The length of each record's body.
    body_lens: VecDeque<usize>,
    body_bytes: usize,
    last_id: u64,
    seen: HashMap<String, u64>,
}

/// The bounded record, shared by all connections.
#[derive(Debug)]
pub(crate) struct Log {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl State {
    fn push(&mut self, record: Record, body_len: usize) {
        // What is not kept takes no room.
        let body_len = Some(body_len).filter(|len| *len <= MAX_RECORDED_BODY);
        let body_len = body_len.unwrap_or(0);
        self.body_bytes += body_len;
        self.body_lens.push_back(body_len);
        self.records.push_back(record);
        while self.records.len() > MAX_RECORDS || self.body_bytes > MAX_RECORDED_BODIES {
            self.records.pop_front();
            self.body_bytes -= self.body_lens.pop_front().unwrap_or(0);
        }
    }
}

impl Log {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        })
    }

    // No code panics while it holds the lock, and the record stays readable if a
    // later change should.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request; the ticket follows it to its end.
    pub(crate) fn open(
        self: &Arc<Self>,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Ticket {
        let parsed = serde_json::from_slice::<Value>(body).ok();
        let model = parsed.as_ref().and_then(|body| body["model"].as_str());
        let model = model.unwrap_or_default().to_owned();
        let traceparent = headers.get("traceparent").and_then(|v| v.to_str().ok());
        let mut record = Record {
            id: 0,
            at: jiff::Timestamp::now().to_string(),
            method: method.to_owned(),
            path: path.to_owned(),
            headers: recorded_headers(headers),
            traceparent: traceparent.map(ToOwned::to_owned),
            model,
            body: recorded_body(body, parsed),
            outcome: Outcome {
                status: None,
                chunks_sent: 0,
                end: End::InProgress,
                prompt_tokens: 0,
                completion_tokens: 0,
            },
        };
        let mut state = self.lock();
        state.last_id += 1;
        let id = state.last_id;
        record.id = id;
        state.push(record, body.len());
        drop(state);
        self.changed.send_replace(());
        Ticket {
            log: Arc::clone(self),
            id,
            ended: false,
        }
    }

    /// How many requests came with this model name, this one included.
    pub(crate) fn count(&self, model: &str) -> u64 {
        let mut state = self.lock();
        if let Some(seen) = state.seen.get_mut(model) {
            *seen += 1;
            return *seen;
        }
        if state.seen.len() < MAX_COUNTED_MODELS {
            state.seen.insert(model.to_owned(), 1);
        }
        1
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.lock().records.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        *state = State {
            last_id: state.last_id,
            ..State::default()
        };
        drop(state);
        self.changed.send_replace(());
    }

    pub(crate) async fn wait_for(
        &self,
        matches: impl Fn(&[Record]) -> bool,
        limit: Duration,
    ) -> Result<Vec<Record>, WaitTimeout> {
        let mut changes = self.changed.subscribe();
        let matched = async {
            loop {
                // Marked as seen before looking, so that no change falls between.
                changes.mark_unchanged();
                if matches(self.lock().records.make_contiguous()) {
                    return;
                }
                if changes.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        let in_time = tokio::time::timeout(limit, matched).await;
        let records = self.records();
        match in_time {
            Ok(()) => Ok(records),
            Err(_) => Err(WaitTimeout { limit, records }),
        }
    }

    fn update(&self, id: u64, change: impl FnOnce(&mut Outcome)) {
        let mut state = self.lock();
        // Ids are consecutive, so a record's place follows from the oldest id;
        // a forgotten or deleted one has none.
        let oldest = state.records.front().map_or(0, |record| record.id);
        let place = id.checked_sub(oldest).and_then(|n| usize::try_from(n).ok());
        if let Some(record) = place.and_then(|place| state.records.get_mut(place)) {
            change(&mut record.outcome);
        }
        drop(state);
        self.changed.send_replace(());
    }
}

/// Follows one request. Dropping it before an end was noted means that the client
/// went away: hyper drops a response, or the future that makes it, exactly then.
#[derive(Debug)]
pub(crate) struct Ticket {
    log: Arc<Log>,
    id: u64,
    ended: bool,
}

impl Ticket {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn status(&self, status: u16) {
        self.log
            .update(self.id, |outcome| outcome.status = Some(status));
    }

    pub(crate) fn prompt_tokens(&self, tokens: u64) {
        self.log
            .update(self.id, |outcome| outcome.prompt_tokens = tokens);
    }

    /// A piece of the body goes out with so many tokens of the answer.
    pub(crate) fn sent(&self, tokens: u64) {
        self.log.update(self.id, |outcome| {
            outcome.chunks_sent += 1;
            outcome.completion_tokens += tokens;
        });
    }

    pub(crate) fn end(&mut self, end: End) {
        self.ended = true;
        self.log.update(self.id, |outcome| outcome.end = end);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.ended {
            self.end(End::ClientDisconnected);
        }
    }
}

fn recorded_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut recorded = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let secret = *name == header::AUTHORIZATION
            || *name == header::PROXY_AUTHORIZATION
            || *name == header::COOKIE
            || name.as_str().ends_with("api-key");
        let value = if secret {
            "present".into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        recorded
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    recorded
}

fn recorded_body(body: &[u8], parsed: Option<Value>) -> Value {
    if body.len() > MAX_RECORDED_BODY {
        return json!({ "omitted_bytes": body.len() });
    }
    match parsed {
        Some(json) => json,
        None if body.is_empty() => Value::Null,
        None => Value::String(String::from_utf8_lossy(body).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(log: &Arc<Log>, body: &str) -> Ticket {
        log.open(
            "POST",
            "/v1/chat/completions",
            &HeaderMap::new(),
            body.as_bytes(),
        )
    }

    #[test]
    fn forgets_the_oldest_and_keeps_following_the_rest() {
        let log = Log::new();
        let first = open(&log, "{}");
        let mut tickets: Vec<_> = (0..MAX_RECORDS).map(|_| open(&log, "{}")).collect();
        first.status(500); // forgotten: no other record may take its status
        let mut last = tickets.remove(MAX_RECORDS - 1);
        last.end(End::Completed);

        let records = log.records();
        assert_eq!(records.len(), MAX_RECORDS);
        assert_eq!(records[0].id, 2);
        assert!(records.iter().all(|record| record.outcome.status.is_none()));
        assert_eq!(records[MAX_RECORDS - 1].outcome.end, End::Completed);
        assert_eq!(records[0].outcome.end, End::InProgress);
    }

    #[test]
    fn large_bodies_make_the_record_shorter() {
        let log = Log::new();
        let body = format!("\"{}\"", "x".repeat(MAX_RECORDED_BODY - 2));
        let tickets: Vec<_> = (0..70).map(|_| open(&log, &body)).collect();
        let records = log.records();
        assert_eq!(records.len(), MAX_RECORDED_BODIES / MAX_RECORDED_BODY);
        assert_eq!(records[0].id, 7);
        assert_eq!(tickets.len(), 70);
        log.clear();
        open(&log, &body);
        assert_eq!(log.records()[0].id, 71);
    }

    #[test]
    fn records_no_secret_and_no_oversized_body() {
        let log = Log::new();
        let mut headers = HeaderMap::new();
        for name in ["authorization", "x-api-key", "api-key", "cookie"] {
            headers.insert(name, axum::http::HeaderValue::from_static("s3cret"));
        }
        let body = json!({ "model": "ok", "text": "x".repeat(MAX_RECORDED_BODY) }).to_string();
        let ticket = log.open("POST", "/", &headers, body.as_bytes());
        let records = log.records();
        assert!(!format!("{records:?}").contains("s3cret"));
        assert_eq!(records[0].headers["authorization"], "present");
        assert_eq!(records[0].model, "ok");
        assert_eq!(records[0].body, json!({ "omitted_bytes": body.len() }));
        drop(ticket);
        assert_eq!(log.records()[0].outcome.end, End::ClientDisconnected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_nothing_ends_says_what_was_recorded() {
        let log = Log::new();
        let _open = open(&log, "not json");
        let wait = log.wait_for(|records| records.len() > 1, Duration::from_secs(1));
        let error = wait.await.expect_err("nothing else was recorded");
        assert_eq!(error.records[0].body, json!("not json"));
    }
}
