//! A gRPC service config, of which tonic reads none: deadlines and retries by method.
//! Its shape: <https://github.com/grpc/grpc/blob/master/doc/service_config.md>.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Deserializer, de::Error as _};
use tonic::Code;

/// More attempts than this are not made, as gRPC has it.
const MOST_ATTEMPTS: u32 = 5;

/// What holds for which methods.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceConfig {
    method_config: Vec<MethodConfig>,
}

/// What holds for some methods.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MethodConfig {
    name: Vec<Name>,
    #[serde(default, deserialize_with = "optional_duration")]
    pub(super) timeout: Option<Duration>,
    pub(super) retry_policy: Option<RetryPolicy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Name {
    service: String,
    method: String,
}

/// When, how often and how fast a call is made again.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RetryPolicy {
    pub(super) max_attempts: u32,
    #[serde(deserialize_with = "duration")]
    initial_backoff: Duration,
    #[serde(deserialize_with = "duration")]
    max_backoff: Duration,
    backoff_multiplier: f64,
    #[serde(deserialize_with = "codes")]
    retryable_status_codes: Vec<Code>,
}

impl ServiceConfig {
    /// Reads one.
    ///
    /// # Errors
    /// What is not of its shape.
    pub(crate) fn parse(json: &str) -> anyhow::Result<Arc<Self>> {
        let config: Self = serde_json::from_str(json).context("the service config")?;
        for method in &config.method_config {
            if let Some(policy) = &method.retry_policy {
                ensure!(policy.max_attempts >= 2, "maxAttempts must be 2 or more");
                ensure!(
                    policy.backoff_multiplier > 0.0,
                    "backoffMultiplier must be above 0"
                );
            }
        }
        Ok(Arc::new(config))
    }

    /// What holds for `/package.Service/Method`: the most special name wins.
    pub(super) fn of(&self, path: &str) -> Option<&MethodConfig> {
        let (service, method) = path.trim_start_matches('/').split_once('/')?;
        let speciality = |name: &Name| match (name.service.as_str(), name.method.as_str()) {
            ("", "") => Some(0),
            (s, "") if s == service => Some(1),
            (s, m) if s == service && m == method => Some(2),
            _ => None,
        };
        self.method_config
            .iter()
            .filter_map(|config| Some((config.name.iter().filter_map(speciality).max()?, config)))
            .max_by_key(|(speciality, _)| *speciality)
            .map(|(_, config)| config)
    }
}

impl RetryPolicy {
    /// Whether another attempt follows the one with this number, counted from 1.
    pub(super) fn retries(&self, attempt: u32, code: Code) -> bool {
        attempt < self.max_attempts.min(MOST_ATTEMPTS)
            && self.retryable_status_codes.contains(&code)
    }

    /// The pause after this attempt; `jitter` in 0.8..=1.2 keeps clients apart.
    pub(super) fn pause(&self, attempt: u32, jitter: f64) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial_backoff.as_secs_f64() * self.backoff_multiplier.powi(exponent);
        Duration::from_secs_f64(grown.min(self.max_backoff.as_secs_f64()) * jitter)
    }
}

/// `"1.5s"`, protobuf's JSON for a duration.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.strip_suffix('s')
        .and_then(|seconds| seconds.parse().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| D::Error::custom(format!("`{text}` is no duration; write it as \"1.5s\"")))
}

fn optional_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

fn codes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Code>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let code = |name: &String| {
        (0..=16)
            .map(Code::from_i32)
            .find(|code| super::policy::name(*code) == *name)
            .ok_or_else(|| D::Error::custom(format!("`{name}` is no gRPC code")))
    };
    names.iter().map(code).collect()
}

/// A code's name in gRPC's own spelling: `UNAVAILABLE` for [`Code::Unavailable`].
pub(crate) fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
