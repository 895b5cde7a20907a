//! Who used what, and what it cost.
//!
//! One trait: the embedded store serves one machine; a distributed one for many
//! replicas implements the same trait. A booking that returned is kept: a crash
//! loses no settled cent.

mod embedded;

use std::{ops::Add, sync::Arc};

use futures_util::future::BoxFuture;

use crate::{chat::TokenUsage, money::UsdPicos};

pub use embedded::EmbeddedLedger;

/// The user under which usage is booked that would exceed the ledger's row limit.
pub const OTHER_USERS: &str = "(other)";

/// What one attempt at a model used.
#[derive(Clone, Debug, PartialEq)]
pub struct Booking {
    /// Whom it is booked to.
    pub user: Arc<str>,
    /// The model, by its name in the configuration.
    pub model: Arc<str>,
    /// The provider, by its name in the configuration.
    pub provider: Arc<str>,
    /// The tokens.
    pub usage: TokenUsage,
    /// The cost.
    pub cost: UsdPicos,
    /// Whether the tokens were estimated because the provider reported none.
    pub estimated: bool,
}

/// A sum over bookings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Attempts that reached a model.
    pub requests: u64,
    /// Those of them whose tokens were estimated.
    pub estimated_requests: u64,
    /// Prompt tokens, cached ones included.
    pub prompt_tokens: u64,
    /// Prompt tokens read from a provider's cache.
    pub cached_prompt_tokens: u64,
    /// Generated tokens.
    pub completion_tokens: u64,
    /// The cost.
    pub cost: UsdPicos,
}

impl Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            estimated_requests: self
                .estimated_requests
                .saturating_add(other.estimated_requests),
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            cached_prompt_tokens: self
                .cached_prompt_tokens
                .saturating_add(other.cached_prompt_tokens),
            completion_tokens: self
                .completion_tokens
                .saturating_add(other.completion_tokens),
            cost: self.cost + other.cost,
        }
    }
}

impl From<&Booking> for Totals {
    fn from(booking: &Booking) -> Self {
        Self {
            requests: 1,
            estimated_requests: u64::from(booking.estimated),
            prompt_tokens: booking.usage.prompt.into(),
            cached_prompt_tokens: booking.usage.cached_prompt.into(),
            completion_tokens: booking.usage.completion.into(),
            cost: booking.cost,
        }
    }
}

/// What one user used of one model at one provider.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageRow {
    /// The user.
    pub user: String,
    /// The model.
    pub model: String,
    /// The provider.
    pub provider: String,
    /// The sum.
    pub totals: Totals,
}

/// Which rows to read; `None` is every one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UsageFilter {
    /// Only this user's.
    pub user: Option<String>,
    /// Only this model's.
    pub model: Option<String>,
}

/// Why a ledger could not do its work.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LedgerError {
    /// The store failed, for example because the disk is full.
    #[error("the usage ledger failed: {0}")]
    Store(String),
    /// The ledger's writer has ended.
    #[error("the usage ledger is closed")]
    Closed,
}

/// Books usage and reads it back.
pub trait Ledger: Send + Sync {
    /// Books one attempt. Once this returns, every read sees the booking and a crash
    /// does not lose it.
    fn book(&self, booking: Booking) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// The rows that match, sorted by user, model and provider.
    fn usage(&self, filter: UsageFilter) -> BoxFuture<'_, Result<Vec<UsageRow>, LedgerError>>;
}
