//! Reads a response's body within its limits: of time to the first token, of time
//! between tokens, of bytes.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use super::{Upstream, error::describe};
use crate::provider::ProviderError;

/// How long a complete answer's connection may take to come to its end and be reused.
const DRAIN: Duration = Duration::from_secs(1);

/// A body that is being read. Dropping it closes the request.
pub(super) struct Body {
    upstream: Arc<Upstream>,
    response: Response,
    read: usize,
    waiting: Waiting,
}

/// What is waited for, and until when.
pub(super) struct Waiting {
    phase: &'static str,
    limit: Duration,
    deadline: Instant,
}

impl Waiting {
    /// Waits for something for so long from now.
    pub(super) fn new(phase: &'static str, limit: Duration) -> Self {
        // A limit beyond the clock's range is no limit; thirty years will do for it.
        let none = Duration::from_secs(86_400 * 365 * 30);
        let now = Instant::now();
        let deadline = now.checked_add(limit).unwrap_or(now + none);
        Self {
            phase,
            limit,
            deadline,
        }
    }

    /// Runs a future within what is left.
    pub(super) async fn run<F: Future>(
        &self,
        upstream: &Upstream,
        future: F,
    ) -> Result<F::Output, ProviderError> {
        timeout_at(self.deadline, future)
            .await
            .map_err(|_| upstream.timeout(self.phase, self.limit))
    }
}

impl Body {
    /// The rest of a response, of which `waiting` still waits for the first token.
    pub(super) fn new(upstream: Arc<Upstream>, response: Response, waiting: Waiting) -> Self {
        Self {
            upstream,
            response,
            read: 0,
            waiting,
        }
    }

    /// A token came: the next one has its own limit.
    pub(super) fn token_came(&mut self) {
        self.waiting = Waiting::new("next token", self.upstream.config.idle_timeout());
    }

    /// Something came. Once the first token has come, anything shows that the upstream
    /// is still at it; before, only a token counts.
    pub(super) fn something_came(&mut self) {
        if self.waiting.phase == "next token" {
            self.token_came();
        }
    }

    /// The next bytes; `None` at a proper end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ProviderError> {
        let chunk = self
            .waiting
            .run(&self.upstream, self.response.chunk())
            .await?
            .map_err(|error| {
                let cause = describe(error);
                self.upstream
                    .broken(format!("the connection broke: {cause}"))
            })?;
        self.read += chunk.as_ref().map_or(0, Bytes::len);
        let limit = self.upstream.config.max_response_bytes;
        if self.read > limit {
            let detail = format!("it is longer than max_response_bytes, {limit}");
            return Err(self.upstream.broken(detail));
        }
        Ok(chunk)
    }

    /// Reads what follows a complete answer, for a moment, and throws it away.
    pub(super) async fn drain(mut self) {
        self.waiting = Waiting::new("end", DRAIN);
        while let Ok(Some(_)) = self.next().await {}
    }

    /// All of it.
    pub(super) async fn whole(&mut self) -> Result<BytesMut, ProviderError> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }

    /// As much of it as can be had, for an error that is known already.
    pub(super) async fn beginning(&mut self, most: usize) -> BytesMut {
        let mut beginning = BytesMut::new();
        while beginning.len() < most {
            match self.next().await {
                Ok(Some(chunk)) => {
                    let room = most - beginning.len();
                    beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
                }
                Ok(None) | Err(_) => break,
            }
        }
        beginning
    }
}
