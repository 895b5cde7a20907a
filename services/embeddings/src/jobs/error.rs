//! Why a call about jobs was not answered.

use std::time::Duration;

/// An error of a job's RPC, or of the store behind it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// A field of the request is wrong.
    #[error("{field}: {fix}")]
    Invalid {
        /// The field, as in `input[3]`.
        field: String,
        /// What is wrong and what is accepted.
        fix: String,
    },
    /// No model of this name is loaded.
    #[error("model `{name}` is not loaded; there are: {}", available.join(", "))]
    UnknownModel {
        /// The name.
        name: String,
        /// The names that exist.
        available: Vec<String>,
    },
    /// The caller has no such job: it never was, is another's, or has expired.
    #[error("embedding job `{id}` does not exist or has expired")]
    NotFound {
        /// The id.
        id: String,
    },
    /// The key belongs to a job with other content.
    #[error(
        "idempotency_key `{key}` was used for job `{id}`, which has another model or other \
         texts; send the same request again, or a new key"
    )]
    KeyReused {
        /// The key.
        key: String,
        /// The job that it made.
        id: String,
    },
    /// The caller keeps as many jobs as one may.
    #[error("you have {limit} jobs, which is the limit; each goes when it expires")]
    TooManyJobs {
        /// The limit.
        limit: u32,
        /// When the first of them expires.
        retry_after: Duration,
    },
    /// The store cannot be reached, or its disk is full.
    #[error("the store of jobs failed: {0}")]
    Store(String),
    /// What the store gave back is not what was put there.
    #[error("{record} is damaged: {detail}")]
    Corrupt {
        /// The record, as in `results of chunk 3 of job 01J…`.
        record: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl JobError {
    pub(crate) fn invalid(field: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            fix: fix.into(),
        }
    }

    pub(crate) fn corrupt(record: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Corrupt {
            record: record.into(),
            detail: detail.into(),
        }
    }

    pub(crate) fn store(error: impl std::fmt::Display) -> Self {
        Self::Store(error.to_string())
    }
}
