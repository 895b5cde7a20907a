//! What is told about every decision: who asked, what was decided by which rule of which
//! policy, and how much was found, never a value.
//!
//! A value shows as a keyed hash: who has the tenant's key can tell whether one value came
//! up twice, and nobody can try values out.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write as _,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use ring::hmac;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    finding::Finding,
    keys::{TenantKeys, Use},
    policy::{Decision, Plan},
};

/// Values that one event names at most; it says how many it leaves out.
const MAX_VALUES: usize = 100;
/// Bytes of a value's hash.
const HASH_BYTES: usize = 16;
/// The target of events that go to the log.
pub const AUDIT_TARGET: &str = "signalbox::audit";

/// Where audit events go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum AuditConfig {
    /// To the log, as target `signalbox::audit`: what was not simply let through at level
    /// INFO, the rest at DEBUG.
    #[default]
    Log,
    /// To a file, one JSON object a line.
    File {
        /// The file; made if it does not exist, and appended to.
        path: PathBuf,
    },
    /// Nowhere.
    Off,
}

/// The audit file cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guardrails.audit.path: {path}: {cause}")]
pub struct AuditError {
    path: String,
    cause: String,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEvent {
    /// Milliseconds since 1970.
    pub time_unix_ms: u64,
    /// The request's id.
    pub request_id: String,
    /// The caller.
    pub tenant: String,
    /// `check`, `redact`, `stream` (for each answer that decides something) or `restore`.
    pub operation: &'static str,
    /// The policy's name; empty for `restore`.
    pub policy: String,
    /// The policy's version.
    pub policy_version: String,
    /// `input`, `output` or `tool`.
    pub direction: &'static str,
    /// What was decided.
    pub action: &'static str,
    /// The rule that decided.
    pub rule: String,
    /// Findings by type.
    pub counts: BTreeMap<String, u64>,
    /// The values, as keyed hashes.
    pub values: Vec<AuditValue>,
    /// Values that are not named.
    pub values_left_out: u64,
}

/// One value of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditValue {
    /// Its type.
    pub r#type: String,
    /// What was done about it.
    pub action: &'static str,
    /// HMAC-SHA-256 of type and value under the tenant's audit key, 32 hexadecimal digits.
    pub hash: String,
}

/// Takes audit events.
pub trait EventPublisher: Send + Sync {
    /// Whether an event of this kind would be kept: it costs some hashing.
    fn wants(&self, let_through: bool) -> bool;

    /// Takes an event.
    fn publish(&self, event: &AuditEvent);
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) keys: TenantKeys,
    pub(crate) request_id: std::sync::Arc<str>,
}

/// Makes events and hands them to the publisher.
pub(crate) struct Audit {
    publisher: Box<dyn EventPublisher>,
    clock: crate::vault::Clock,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Audit")
    }
}

impl Audit {
    /// Opens what is configured.
    ///
    /// # Errors
    ///
    /// [`AuditError`] where the file cannot be opened.
    pub(crate) fn open(
        config: &AuditConfig,
        clock: crate::vault::Clock,
    ) -> Result<Self, AuditError> {
        let publisher: Box<dyn EventPublisher> = match config {
            AuditConfig::Off => Box::new(Nowhere),
            AuditConfig::Log => Box::new(Log),
            AuditConfig::File { path } => {
                let opened = OpenOptions::new().create(true).append(true).open(path);
                Box::new(Lines(Mutex::new(opened.map_err(|error| AuditError {
                    path: path.display().to_string(),
                    cause: error.to_string(),
                })?)))
            }
        };
        Ok(Self { publisher, clock })
    }

    /// Tells of a decision.
    pub(crate) fn decided(
        &self,
        asker: &Asker,
        operation: &'static str,
        plan: &Plan,
        text: &str,
        findings: &[Finding],
        decision: &Decision,
    ) {
        if !self.publisher.wants(decision.each.is_empty()) {
            return;
        }
        let key = asker.keys.hmac(Use::Audit);
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for finding in findings {
            *counts.entry(&finding.kind).or_default() += 1;
        }
        let counts = counts.into_iter();
        let counts = counts
            .map(|(kind, count)| (kind.to_owned(), count))
            .collect();
        let values: Vec<AuditValue> = findings
            .iter()
            .zip(&decision.each)
            .take(MAX_VALUES)
            .map(|(finding, action)| AuditValue {
                r#type: finding.kind.to_string(),
                action: action.as_str(),
                hash: hash(
                    key,
                    &finding.kind,
                    &text[finding.start_byte..finding.end_byte],
                ),
            })
            .collect();
        self.publisher.publish(&AuditEvent {
            time_unix_ms: (self.clock)(),
            request_id: asker.request_id.to_string(),
            tenant: asker.keys.tenant().to_owned(),
            operation,
            policy: plan.profile().name().to_owned(),
            policy_version: plan.profile().version().to_owned(),
            direction: plan.direction().as_str(),
            action: decision.action.as_str(),
            rule: decision.rule.clone(),
            values_left_out: (findings.len() - values.len()) as u64,
            counts,
            values,
        });
    }

    /// Tells that originals were put back.
    pub(crate) fn restored(&self, asker: &Asker, count: u64) {
        if !self.publisher.wants(false) {
            return;
        }
        self.publisher.publish(&AuditEvent {
            time_unix_ms: (self.clock)(),
            request_id: asker.request_id.to_string(),
            tenant: asker.keys.tenant().to_owned(),
            operation: "restore",
            policy: String::new(),
            policy_version: String::new(),
            direction: "output",
            action: "allow",
            rule: String::new(),
            counts: BTreeMap::from([("restored".to_owned(), count)]),
            values: Vec::new(),
            values_left_out: 0,
        });
    }
}

fn hash(key: &hmac::Key, kind: &str, value: &str) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(kind.as_bytes());
    context.update(&[0]);
    context.update(value.as_bytes());
    hex::encode(&context.sign().as_ref()[..HASH_BYTES])
}

fn json(event: &AuditEvent) -> Option<String> {
    serde_json::to_string(event)
        .map_err(|error| tracing::error!(%error, "an audit event cannot be written"))
        .ok()
}

struct Nowhere;

impl EventPublisher for Nowhere {
    fn wants(&self, _: bool) -> bool {
        false
    }

    fn publish(&self, _: &AuditEvent) {}
}

struct Log;

impl EventPublisher for Log {
    fn wants(&self, let_through: bool) -> bool {
        if let_through {
            tracing::enabled!(target: AUDIT_TARGET, tracing::Level::DEBUG)
        } else {
            tracing::enabled!(target: AUDIT_TARGET, tracing::Level::INFO)
        }
    }

    fn publish(&self, event: &AuditEvent) {
        let Some(event_json) = json(event) else {
            return;
        };
        if event.counts.is_empty() {
            tracing::debug!(target: AUDIT_TARGET, event = event_json, "guardrails decided");
        } else {
            tracing::info!(target: AUDIT_TARGET, event = event_json, "guardrails decided");
        }
    }
}

/// A file. A line is written at once, so that a process that ends loses none.
struct Lines(Mutex<File>);

impl EventPublisher for Lines {
    fn wants(&self, _: bool) -> bool {
        true
    }

    fn publish(&self, event: &AuditEvent) {
        let Some(mut line) = json(event) else {
            return;
        };
        line.push('\n');
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::error!(%error, "an audit event cannot be written");
        }
    }
}
