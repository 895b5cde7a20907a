//! One request and its answer, and what it means when there is none.

use std::time::Duration;

use governor::clock::Clock as _;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT, AUTHORIZATION},
};
use jiff::Timestamp;
use reqwest::Response;
use signalbox_chassis::telemetry::propagation;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Answer, Batch, Remote, RemoteError, error::describe, retry, setup};

/// Most bytes of an error's body that are read.
const MAX_ERROR_BYTES: usize = 16 << 10;
/// Most characters of a provider's message that are passed on.
const MAX_DETAIL_CHARS: usize = 500;

/// Why one attempt failed, and whether another may succeed.
pub(super) struct Failure {
    pub(super) error: RemoteError,
    pub(super) passing: bool,
    pub(super) retry_after: Option<Duration>,
}

impl Remote {
    /// Sends a batch once, as soon as there is a place and our own rate allows it. Bulk
    /// work, which has no deadline, waits for these as long as it takes.
    pub(super) async fn attempt(
        &self,
        first: usize,
        batch: &Batch<'_>,
        body: &serde_json::Value,
        deadline: Option<Instant>,
    ) -> Result<Answer, Failure> {
        let begin = async {
            let place = self.room.place(deadline.is_none()).await;
            self.wait_for_rate(deadline).await?;
            Ok(place)
        };
        let _place = match deadline {
            Some(deadline) => timeout_at(deadline, begin)
                .await
                .map_err(|_| self.timeout())?,
            None => begin.await,
        }?;
        let limit = deadline.unwrap_or_else(|| Instant::now() + self.config.timeout());
        timeout_at(limit, self.exchange(first, batch, body))
            .await
            .map_err(|_| self.timeout())?
    }

    async fn exchange(
        &self,
        first: usize,
        batch: &Batch<'_>,
        body: &serde_json::Value,
    ) -> Result<Answer, Failure> {
        let sent = self
            .client
            .post(self.url.clone())
            .headers(self.headers())
            .json(body)
            .send();
        let mut response = sent.await.map_err(|error| Failure {
            error: RemoteError::Unreachable {
                model: self.name.clone(),
                detail: describe(error),
            },
            passing: true,
            retry_after: None,
        })?;
        if !response.status().is_success() {
            let body = beginning(&mut response).await;
            return Err(self.refused(first, batch, &response, &body));
        }
        let whole = self.whole(&mut response).await?;
        // Half a document is as passing as a connection that broke.
        let answer = self.api.read(&whole).map_err(|flaw| Failure {
            passing: true,
            ..self.broken(flaw)
        })?;
        self.check(batch, &answer)?;
        Ok(answer)
    }

    /// Waits until our own rate allows a request, or says at once that it will not in
    /// time.
    async fn wait_for_rate(&self, deadline: Option<Instant>) -> Result<(), Failure> {
        let Some(rate) = &self.rate else {
            return Ok(());
        };
        while let Err(not_until) = rate.check() {
            let wait = not_until.wait_time_from(rate.clock().now());
            if deadline.is_some_and(|deadline| Instant::now() + wait >= deadline) {
                return Err(Failure {
                    error: RemoteError::Overloaded {
                        model: self.name.clone(),
                        detail: "its requests_per_minute are used up".to_owned(),
                        retry_after: Some(wait),
                    },
                    passing: false,
                    retry_after: None,
                });
            }
            sleep(wait).await;
        }
        Ok(())
    }

    /// The body, within its limit.
    async fn whole(&self, response: &mut Response) -> Result<Vec<u8>, Failure> {
        let mut whole = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(|error| Failure {
                passing: true,
                ..self.broken(format!("the connection broke: {}", describe(error)))
            })?;
            let Some(chunk) = chunk else {
                return Ok(whole);
            };
            let limit = self.config.max_response_bytes;
            if whole.len() + chunk.len() > limit {
                return Err(self.broken(format!("it is longer than max_response_bytes, {limit}")));
            }
            whole.extend_from_slice(&chunk);
        }
    }

    /// As many vectors as texts, all of the right length and of finite numbers.
    fn check(&self, batch: &Batch<'_>, answer: &Answer) -> Result<(), Failure> {
        let (vectors, texts) = (answer.vectors.len(), batch.texts.len());
        if vectors != texts {
            return Err(self.broken(format!("{vectors} vectors for {texts} texts")));
        }
        let expected = self.config.dimensions;
        for (index, vector) in answer.vectors.iter().enumerate() {
            if u32::try_from(vector.len()) != Ok(expected) {
                let length = vector.len();
                return Err(self.broken(format!(
                    "vector {index} has {length} dimensions, not {expected}; correct \
                     `dimensions` if the model has others, or set `send_dimensions`"
                )));
            }
            if !vector.iter().all(|value| value.is_finite()) {
                return Err(self.broken(format!("vector {index} has a value that is no number")));
            }
        }
        Ok(())
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(key) = self.key.as_ref().and_then(setup::header) {
            headers.insert(AUTHORIZATION, key);
        }
        propagation::inject(&mut headers);
        headers
    }

    /// What a status other than success means.
    fn refused(
        &self,
        first: usize,
        batch: &Batch<'_>,
        response: &Response,
        body: &[u8],
    ) -> Failure {
        let model = self.name.clone();
        let status = response.status();
        let detail = match self.api.message(body) {
            Some(message) => self.detail(&format!("{status}: {message}")),
            None => status.to_string(),
        };
        let retry_after = retry::retry_after(response.headers(), Timestamp::now());
        let (error, passing) = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                (RemoteError::Unauthorized { model }, false)
            }
            StatusCode::TOO_MANY_REQUESTS => (
                RemoteError::Overloaded {
                    model,
                    detail,
                    retry_after,
                },
                true,
            ),
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT => {
                (RemoteError::Failed { model, detail }, true)
            }
            // Nothing that a caller could change: the wrong URL or model, or no money.
            StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::GONE
            | StatusCode::PAYMENT_REQUIRED => (RemoteError::Misconfigured { model, detail }, false),
            _ if status.is_client_error() => (
                RemoteError::Rejected {
                    model,
                    first,
                    last: first + batch.texts.len() - 1,
                    detail,
                },
                false,
            ),
            _ if status.is_redirection() => {
                let detail = format!("{status}: redirects are not followed; correct base_url");
                (RemoteError::Misconfigured { model, detail }, false)
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE && retry_after.is_some() => (
                RemoteError::Overloaded {
                    model,
                    detail,
                    retry_after,
                },
                true,
            ),
            _ => (RemoteError::Failed { model, detail }, true),
        };
        Failure {
            error,
            passing,
            retry_after,
        }
    }

    fn broken(&self, detail: impl Into<String>) -> Failure {
        Failure {
            error: RemoteError::Broken {
                model: self.name.clone(),
                detail: self.detail(&detail.into()),
            },
            passing: false,
            retry_after: None,
        }
    }

    fn timeout(&self) -> Failure {
        Failure {
            error: RemoteError::Timeout {
                model: self.name.clone(),
                limit: self.config.timeout(),
            },
            // With a deadline there is no time left for another; without one there is.
            passing: true,
            retry_after: None,
        }
    }

    /// What may be passed on of a text that came from outside: short, and never our key.
    fn detail(&self, text: &str) -> String {
        let text = match &self.key {
            Some(key) => text.replace(key.expose(), "[redacted]"),
            None => text.to_owned(),
        };
        text.chars().take(MAX_DETAIL_CHARS).collect()
    }
}

/// As much of an error's body as can be had.
async fn beginning(response: &mut Response) -> Vec<u8> {
    let mut beginning = Vec::new();
    while beginning.len() < MAX_ERROR_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = MAX_ERROR_BYTES - beginning.len();
                beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Ok(None) | Err(_) => break,
        }
    }
    beginning
}
