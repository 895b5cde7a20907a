//! What a refusal of the upstream means, and how much of it is passed on.

use std::{error::Error as _, time::Duration};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use jiff::Timestamp;

use super::{Upstream, key, wire};
use crate::provider::ProviderError;

/// Most bytes of an error's body that are read.
pub(super) const MAX_ERROR_BYTES: usize = 16 << 10;

/// Most characters of an upstream's message that are passed on.
const MAX_DETAIL_CHARS: usize = 500;

/// The longest wait that an upstream may ask for; more is a mistake of its clock.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The upstream could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenAiConfigError {
    /// The URL cannot be used.
    #[error("base_url of provider {provider}: {detail}; write it as in `https://host/v1`")]
    BaseUrl {
        /// The provider's name.
        provider: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The key is not there.
    #[error(
        "api_key_env of provider {provider}: the environment variable {variable} is not set or \
         not a usable key; set it, or remove api_key_env to send no key"
    )]
    ApiKey {
        /// The provider's name.
        provider: String,
        /// The variable's name.
        variable: String,
    },
    /// The HTTP client cannot be built.
    #[error("provider {provider}: no HTTP client: {detail}")]
    Client {
        /// The provider's name.
        provider: String,
        /// What it said.
        detail: String,
    },
}

impl Upstream {
    /// A transport failure before the response's headers.
    pub(super) fn not_reached(&self, error: reqwest::Error) -> ProviderError {
        if error.is_connect() && error.is_timeout() {
            return self.timeout("connection", self.config.connect_timeout());
        }
        ProviderError::Unreachable {
            provider: self.name.clone(),
            detail: describe(error),
        }
    }

    pub(super) fn timeout(&self, phase: &'static str, limit: Duration) -> ProviderError {
        ProviderError::Timeout {
            provider: self.name.clone(),
            phase,
            limit,
        }
    }

    pub(super) fn broken(&self, detail: impl Into<String>) -> ProviderError {
        ProviderError::Broken {
            provider: self.name.clone(),
            detail: self.detail(&detail.into()),
        }
    }

    pub(super) fn failed(&self, detail: impl Into<String>) -> ProviderError {
        ProviderError::Failed {
            provider: self.name.clone(),
            detail: self.detail(&detail.into()),
        }
    }

    /// A response with another status than success.
    pub(super) fn refused(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> ProviderError {
        let provider = self.name.clone();
        let object = wire::error_object(body).unwrap_or_default();
        let code = object.code.as_ref().and_then(|code| code.as_str());
        let detail = match &object.message {
            Some(message) => self.detail(&format!("{status}: {message}")),
            None => status.to_string(),
        };
        let retry_after = retry_after(headers, Timestamp::now());
        match status.as_u16() {
            401 | 403 => ProviderError::Unauthorized { provider },
            429 => ProviderError::Overloaded {
                provider,
                detail,
                retry_after,
            },
            503 if retry_after.is_some() => ProviderError::Overloaded {
                provider,
                detail,
                retry_after,
            },
            // The server gave up waiting; the request itself may be right.
            408 => ProviderError::Failed { provider, detail },
            400..500 => ProviderError::Rejected {
                provider,
                field: object
                    .param
                    .or_else(|| (code == Some("model_not_found")).then(|| "model".to_owned())),
                detail,
            },
            300..400 => ProviderError::Failed {
                provider,
                detail: format!("{status}: redirects are not followed; correct base_url"),
            },
            _ => ProviderError::Failed { provider, detail },
        }
    }

    /// What may be passed on of a text that came from outside: short, and never our key.
    fn detail(&self, text: &str) -> String {
        let text = match &self.key {
            Some(key) => key::scrub(key, text),
            None => text.to_owned(),
        };
        text.chars().take(MAX_DETAIL_CHARS).collect()
    }
}

/// The whole chain of a transport error, without the URL.
pub(super) fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// `Retry-After` as seconds or as a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            // A date that has passed means now.
            Duration::try_from(date.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    fn wait(value: &str) -> Option<Duration> {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers, now)
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        assert_eq!(wait("2"), Some(Duration::from_secs(2)));
        assert_eq!(
            wait("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(37))
        );
    }

    #[test]
    fn a_date_that_has_passed_means_now() {
        assert_eq!(wait("Sun, 06 Nov 1994 08:48:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_no_retry_after_is_none_and_a_huge_one_is_bounded() {
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
        assert_eq!(wait("18446744073709551615"), Some(MAX_RETRY_AFTER));
    }
}
