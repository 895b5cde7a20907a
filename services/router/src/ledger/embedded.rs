//! The ledger of one machine: a redb file, or memory where no file is configured.
//!
//! One writer joins all bookings that wait into one transaction, so that concurrent
//! requests share one sync to disk: a request waits for at most the commit that is
//! under way and its own. The rows are bounded; past the bound, users that are not
//! yet known share [`OTHER_USERS`], so that their money is still counted.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition, backends::InMemoryBackend,
};
use tokio::sync::{mpsc, oneshot};

use super::{Booking, Ledger, LedgerError, OTHER_USERS, Totals, UsageFilter, UsageRow};
use crate::money::UsdPicos;

/// User, model, provider.
type Key = (&'static str, &'static str, &'static str);
/// Requests, estimated requests, prompt, cached and completion tokens, pico-dollars.
type Row = (u64, u64, u64, u64, u64, i128);

const USAGE: TableDefinition<'static, Key, Row> = TableDefinition::new("usage_v1");

/// Bookings that may wait; past it `book` itself waits.
const QUEUE: usize = 4_096;

/// Bookings that one transaction joins.
const BATCH: usize = 1_024;

/// redb's page cache. The whole ledger of a small installation fits.
const CACHE_BYTES: usize = 8 << 20;

struct Entry {
    booking: Booking,
    done: oneshot::Sender<Result<(), LedgerError>>,
}

/// A [`Ledger`] in a file or in memory.
#[derive(Debug)]
pub struct EmbeddedLedger {
    database: Arc<Database>,
    queue: mpsc::Sender<Entry>,
}

impl EmbeddedLedger {
    /// Opens the ledger at `path`, made if it does not exist, with at most `max_rows`
    /// rows. Its writer runs on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, is no ledger, or is open in another process.
    pub async fn open(path: PathBuf, max_rows: u64) -> Result<Self, LedgerError> {
        tokio::task::spawn_blocking(move || open_file(&path))
            .await
            .map_err(store)?
            .map(|database| Self::start(database, max_rows))
    }

    /// A ledger that is gone when it is dropped, with at most `max_rows` rows. On the
    /// same engine as a file: with 8 requests at a time a booking takes some 10 us of
    /// CPU (`tests/ledger_speed.rs`), too little for a second implementation.
    ///
    /// # Errors
    ///
    /// When the store cannot be made.
    pub async fn in_memory(max_rows: u64) -> Result<Self, LedgerError> {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(InMemoryBackend::new())
            .map_err(store)?;
        create_table(&database)?;
        Ok(Self::start(database, max_rows))
    }

    fn start(database: Database, max_rows: u64) -> Self {
        let database = Arc::new(database);
        let (queue, entries) = mpsc::channel(QUEUE);
        tokio::spawn(write_batches(Arc::clone(&database), entries, max_rows));
        Self { database, queue }
    }
}

impl Ledger for EmbeddedLedger {
    fn book(&self, booking: Booking) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            let (done, booked) = oneshot::channel();
            self.queue
                .send(Entry { booking, done })
                .await
                .map_err(|_| LedgerError::Closed)?;
            booked.await.map_err(|_| LedgerError::Closed)?
        })
    }

    fn usage(&self, filter: UsageFilter) -> BoxFuture<'_, Result<Vec<UsageRow>, LedgerError>> {
        let database = Arc::clone(&self.database);
        Box::pin(async move {
            tokio::task::spawn_blocking(move || read(&database, &filter))
                .await
                .map_err(store)?
        })
    }
}

fn store(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Store(error.to_string())
}

fn open_file(path: &Path) -> Result<Database, LedgerError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(store)?;
    }
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(path)
        .map_err(store)?;
    create_table(&database)?;
    Ok(database)
}

fn create_table(database: &Database) -> Result<(), LedgerError> {
    let transaction = database.begin_write().map_err(store)?;
    transaction.open_table(USAGE).map_err(store)?;
    transaction.commit().map_err(store)
}

async fn write_batches(database: Arc<Database>, mut entries: mpsc::Receiver<Entry>, max_rows: u64) {
    loop {
        let mut batch = Vec::new();
        if entries.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
        let database = Arc::clone(&database);
        // A blocking task, not a thread of its own: tokio's paused clock waits for it.
        let written = tokio::task::spawn_blocking(move || {
            let result = commit(&database, &batch, max_rows);
            for entry in batch {
                // The receiver is gone where the request was dropped; it is booked all
                // the same.
                let _ = entry.done.send(result.clone());
            }
        })
        .await;
        if let Err(error) = written {
            tracing::error!(%error, "the ledger's writer ended");
            return;
        }
    }
}

fn commit(database: &Database, batch: &[Entry], max_rows: u64) -> Result<(), LedgerError> {
    let mut sums: BTreeMap<(&str, &str, &str), Totals> = BTreeMap::new();
    for Entry { booking, .. } in batch {
        let sum = sums
            .entry((&booking.user, &booking.model, &booking.provider))
            .or_default();
        *sum = *sum + Totals::from(booking);
    }
    let transaction = database.begin_write().map_err(store)?;
    {
        let mut table = transaction.open_table(USAGE).map_err(store)?;
        let mut rows = table.len().map_err(store)?;
        for ((user, model, provider), sum) in sums {
            let known = table.get((user, model, provider)).map_err(store)?.is_some();
            let key = if known || rows < max_rows {
                (user, model, provider)
            } else {
                (OTHER_USERS, model, provider)
            };
            let before = table
                .get(key)
                .map_err(store)?
                .map(|row| totals(row.value()));
            rows += u64::from(before.is_none());
            let after = before.unwrap_or_default() + sum;
            table.insert(key, row(&after)).map_err(store)?;
        }
    }
    transaction.commit().map_err(store)
}

fn read(database: &Database, filter: &UsageFilter) -> Result<Vec<UsageRow>, LedgerError> {
    let transaction = database.begin_read().map_err(store)?;
    let table = transaction.open_table(USAGE).map_err(store)?;
    let rows = match &filter.user {
        Some(user) => table.range((user.as_str(), "", "")..),
        None => table.iter(),
    };
    let mut found = Vec::new();
    for entry in rows.map_err(store)? {
        let (key, row) = entry.map_err(store)?;
        let (user, model, provider) = key.value();
        if filter.user.as_deref().is_some_and(|wanted| wanted != user) {
            break;
        }
        if filter.model.as_deref().is_none_or(|wanted| wanted == model) {
            found.push(UsageRow {
                user: user.to_owned(),
                model: model.to_owned(),
                provider: provider.to_owned(),
                totals: totals(row.value()),
            });
        }
    }
    Ok(found)
}

fn row(totals: &Totals) -> Row {
    (
        totals.requests,
        totals.estimated_requests,
        totals.prompt_tokens,
        totals.cached_prompt_tokens,
        totals.completion_tokens,
        totals.cost.picos(),
    )
}

fn totals((requests, estimated, prompt, cached, completion, picos): Row) -> Totals {
    Totals {
        requests,
        estimated_requests: estimated,
        prompt_tokens: prompt,
        cached_prompt_tokens: cached,
        completion_tokens: completion,
        cost: UsdPicos::from_picos(picos),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::future::try_join_all;

    use super::*;
    use crate::chat::TokenUsage;

    fn booking(user: &str, model: &str, completion: u32) -> Booking {
        Booking {
            user: user.into(),
            model: model.into(),
            provider: "p".into(),
            usage: TokenUsage {
                prompt: 10,
                cached_prompt: 4,
                completion,
            },
            cost: UsdPicos::from_picos(i128::from(completion) * 2_500),
            estimated: completion == 0,
        }
    }

    fn only_user(user: &str) -> UsageFilter {
        UsageFilter {
            user: Some(user.to_owned()),
            model: None,
        }
    }

    #[tokio::test]
    async fn a_booking_that_returned_is_read_in_sum() {
        let ledger = EmbeddedLedger::in_memory(10).await.unwrap();
        ledger.book(booking("alice", "m", 3)).await.unwrap();
        ledger.book(booking("alice", "m", 0)).await.unwrap();
        ledger.book(booking("bob", "m", 1)).await.unwrap();
        let rows = ledger.usage(only_user("alice")).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(
            rows[0].totals,
            Totals {
                requests: 2,
                estimated_requests: 1,
                prompt_tokens: 20,
                cached_prompt_tokens: 8,
                completion_tokens: 3,
                cost: UsdPicos::from_picos(7_500),
            }
        );
    }

    #[tokio::test]
    async fn rows_are_sorted_and_filtered_by_user_and_model() {
        let ledger = EmbeddedLedger::in_memory(10).await.unwrap();
        for (user, model) in [("b", "y"), ("a", "x"), ("b", "x"), ("ab", "x"), ("a", "y")] {
            ledger.book(booking(user, model, 1)).await.unwrap();
        }
        let names = |rows: Vec<UsageRow>| -> Vec<(String, String)> {
            rows.into_iter().map(|row| (row.user, row.model)).collect()
        };
        let pair = |user: &str, model: &str| (user.to_owned(), model.to_owned());
        let all = names(ledger.usage(UsageFilter::default()).await.unwrap());
        assert_eq!(
            all,
            [
                pair("a", "x"),
                pair("a", "y"),
                pair("ab", "x"),
                pair("b", "x"),
                pair("b", "y")
            ]
        );
        let of_a = names(ledger.usage(only_user("a")).await.unwrap());
        assert_eq!(of_a, [pair("a", "x"), pair("a", "y")]);
        let of_y = UsageFilter {
            user: None,
            model: Some("y".to_owned()),
        };
        assert_eq!(
            names(ledger.usage(of_y).await.unwrap()),
            [pair("a", "y"), pair("b", "y")]
        );
    }

    #[tokio::test]
    async fn no_concurrent_booking_is_lost() {
        let ledger = EmbeddedLedger::in_memory(10).await.unwrap();
        try_join_all((0..5_000).map(|_| ledger.book(booking("u", "m", 7))))
            .await
            .unwrap();
        let rows = ledger.usage(UsageFilter::default()).await.unwrap();
        assert_eq!(rows[0].totals.requests, 5_000);
        assert_eq!(rows[0].totals.completion_tokens, 35_000);
        assert_eq!(rows[0].totals.cost, UsdPicos::from_picos(5_000 * 7 * 2_500));
    }

    #[tokio::test]
    async fn past_the_row_limit_new_users_share_one_row_and_known_ones_keep_theirs() {
        let ledger = EmbeddedLedger::in_memory(2).await.unwrap();
        for user in ["a", "b", "c", "d", "a"] {
            ledger.book(booking(user, "m", 1)).await.unwrap();
        }
        let rows = ledger.usage(UsageFilter::default()).await.unwrap();
        let requests: Vec<_> = rows
            .iter()
            .map(|row| (row.user.as_str(), row.totals.requests))
            .collect();
        assert_eq!(requests, [(OTHER_USERS, 2), ("a", 2), ("b", 1)]);
    }

    #[tokio::test]
    async fn a_file_keeps_what_was_booked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state").join("ledger.redb");
        let ledger = EmbeddedLedger::open(path.clone(), 10).await.unwrap();
        ledger.book(booking("alice", "m", 3)).await.unwrap();
        let before = ledger.usage(UsageFilter::default()).await.unwrap();
        // No orderly close: what a crash leaves is what the file holds now.
        let copy = folder.path().join("copy.redb");
        std::fs::copy(&path, &copy).unwrap();
        let reopened = EmbeddedLedger::open(copy, 10).await.unwrap();
        assert_eq!(
            reopened.usage(UsageFilter::default()).await.unwrap(),
            before
        );
    }

    #[tokio::test]
    async fn a_file_that_is_no_ledger_is_an_error_and_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.redb");
        std::fs::write(&path, "not a ledger, at least a page of it".repeat(400)).unwrap();
        let error = EmbeddedLedger::open(path.clone(), 10).await.unwrap_err();
        assert!(matches!(error, LedgerError::Store(_)), "{error}");
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .starts_with("not a ledger")
        );
    }
}
