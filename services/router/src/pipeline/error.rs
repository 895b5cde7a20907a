//! How a request can fail, in the Router's own terms.

use std::sync::Arc;

use crate::{
    catalog::UnknownModel, guard::GuardError, ledger::LedgerError, provider::ProviderError,
};

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FailedAttempt {
    pub(crate) model: Arc<str>,
    pub(crate) provider: Arc<str>,
    pub(crate) error: ProviderError,
}

/// How a request failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum RouteError {
    /// It names a model that does not exist.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// Guardrails block the prompt or the answer.
    #[error("guardrails block the {direction}")]
    Blocked {
        /// `prompt` or `completion`.
        direction: &'static str,
        /// The kinds of the findings.
        kinds: Vec<String>,
    },
    /// Guardrails could not check a text, and the policy is to stop then.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// Every candidate failed, or one failed where no other may take over.
    #[error("{}", .last.error)]
    Attempts {
        /// The attempt that ended the request.
        last: Box<FailedAttempt>,
        /// Those before it.
        earlier: Vec<FailedAttempt>,
    },
    /// The caller's deadline passed.
    #[error("the caller's deadline passed")]
    DeadlineExceeded,
    /// What the answer took could not be booked.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
}

impl RouteError {
    /// A short name for metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::UnknownModel(_) => "unknown_model",
            Self::Blocked { .. } => "blocked",
            Self::Guard(_) => "guard_unavailable",
            Self::Attempts { last, .. } => kind(&last.error),
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Ledger(_) => "ledger_unavailable",
            Self::Internal(_) => "internal",
        }
    }
}

/// A short name of a provider's error for metrics and `error.type`.
pub(super) fn kind(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Unreachable { .. } => "unreachable",
        ProviderError::Timeout { .. } => "timeout",
        ProviderError::Overloaded { .. } => "overloaded",
        ProviderError::Rejected { .. } => "rejected",
        ProviderError::Unauthorized { .. } => "unauthorized",
        ProviderError::Failed { .. } => "failed",
        ProviderError::Broken { .. } => "broken",
    }
}

/// Whether another model may do what this one could not. A request that is wrong is
/// wrong everywhere.
pub(super) fn another_may_answer(error: &ProviderError) -> bool {
    !matches!(error, ProviderError::Rejected { .. })
}
