//! The vault of one machine: a redb file, or memory where no file is configured.
//!
//! Each addition sweeps out a few sessions whose time is over, so what is kept follows
//! what is used without a task of its own; a session whose time is over is gone for
//! readers at once.

use std::{path::Path, sync::Arc};

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction,
    backends::InMemoryBackend,
};
use tokio::task;

use super::{
    Answer, Clock, Store, VaultError,
    seal::{EntryName, Sealed, SessionName},
};

/// Session and entry to the sealed entry.
const ENTRIES: TableDefinition<'static, (SessionName, EntryName), &[u8]> =
    TableDefinition::new("vault_entries_v1");
/// Session to time of expiry, entries, bytes.
const SESSIONS: TableDefinition<'static, SessionName, (u64, u64, u64)> =
    TableDefinition::new("vault_sessions_v1");
/// Time of expiry and session.
const EXPIRY: TableDefinition<'static, (u64, SessionName), ()> =
    TableDefinition::new("vault_expiry_v1");
/// Bytes of all sessions, under 0.
const TOTAL: TableDefinition<'static, u8, u64> = TableDefinition::new("vault_total_v1");

/// redb's page cache.
const CACHE_BYTES: usize = 16 << 20;
/// What a session and an entry take beside the entry's bytes.
const OVERHEAD_BYTES: u64 = 96;
/// Sessions that one addition sweeps out at most.
const SWEEP: usize = 16;

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) ttl_ms: u64,
    /// Of one session.
    pub(super) entries: u64,
    /// Of all.
    pub(super) bytes: u64,
}

pub(super) struct Embedded(Arc<Inner>);

struct Inner {
    database: Database,
    limits: Limits,
    clock: Clock,
}

fn failed(error: impl Into<redb::Error>) -> VaultError {
    VaultError::Store(error.into().to_string())
}

impl Embedded {
    pub(super) fn open(path: &Path, limits: Limits, clock: Clock) -> Result<Self, VaultError> {
        let refused =
            |error: String| VaultError::Configuration(format!("{}: {error}", path.display()));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| refused(error.to_string()))?;
        }
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(|error| refused(error.to_string()))?;
        Self::start(database, limits, clock)
    }

    pub(super) fn in_memory(limits: Limits, clock: Clock) -> Result<Self, VaultError> {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(InMemoryBackend::new())
            .map_err(failed)?;
        Self::start(database, limits, clock)
    }

    fn start(database: Database, limits: Limits, clock: Clock) -> Result<Self, VaultError> {
        let inner = Inner {
            database,
            limits,
            clock,
        };
        inner.write(|transaction| {
            transaction.open_table(ENTRIES).map_err(failed)?;
            transaction.open_table(SESSIONS).map_err(failed)?;
            transaction.open_table(EXPIRY).map_err(failed)?;
            transaction.open_table(TOTAL).map_err(failed)?;
            Ok(())
        })?;
        Ok(Self(Arc::new(inner)))
    }

    /// Runs what may wait for the disk on a thread that may block.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, VaultError> + Send + 'static,
    ) -> Answer<'static, T> {
        let inner = Arc::clone(&self.0);
        let work = task::spawn_blocking(move || work(&inner));
        Box::pin(async move {
            work.await
                .map_err(|error| VaultError::Store(error.to_string()))?
        })
    }
}

impl Inner {
    /// All of `change`, or nothing where it fails.
    fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let transaction = self.database.begin_write().map_err(failed)?;
        let done = change(&transaction)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }

    fn load(&self, session: SessionName) -> Result<Option<Vec<Sealed>>, VaultError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let sessions = transaction.open_table(SESSIONS).map_err(failed)?;
        match sessions.get(session).map_err(failed)? {
            Some(known) if known.value().0 > (self.clock)() => {}
            _ => return Ok(None),
        }
        let entries = transaction.open_table(ENTRIES).map_err(failed)?;
        let all = (session, [0; 16])..=(session, [0xFF; 16]);
        let mut found = Vec::new();
        for entry in entries.range(all).map_err(failed)? {
            let (name, body) = entry.map_err(failed)?;
            found.push(Sealed {
                name: name.value().1,
                body: body.value().to_vec(),
            });
        }
        Ok(Some(found))
    }

    fn add(&self, session: SessionName, new: &[Sealed]) -> Result<bool, VaultError> {
        let now = (self.clock)();
        // What is swept out stays out, also where there is no room for the rest.
        self.write(|transaction| sweep(transaction, now))?;
        self.write(|transaction| {
            let mut sessions = transaction.open_table(SESSIONS).map_err(failed)?;
            let mut expiry = transaction.open_table(EXPIRY).map_err(failed)?;
            let mut entries = transaction.open_table(ENTRIES).map_err(failed)?;
            let mut total = transaction.open_table(TOTAL).map_err(failed)?;
            let known = sessions.get(session).map_err(failed)?;
            let known = known.map(|known| known.value());
            let (mut count, mut bytes) = (0, OVERHEAD_BYTES);
            if let Some((expires, entries, held)) = known {
                expiry.remove((expires, session)).map_err(failed)?;
                (count, bytes) = (entries, held);
            }
            let before = known.map_or(0, |known| known.2);
            let mut all_new = true;
            for entry in new {
                let key = (session, entry.name);
                if entries.get(key).map_err(failed)?.is_some() {
                    all_new = false;
                    continue;
                }
                entries.insert(key, &*entry.body).map_err(failed)?;
                count += 1;
                bytes += OVERHEAD_BYTES + entry.body.len() as u64;
            }
            if count > self.limits.entries {
                return Err(VaultError::SessionFull {
                    limit: self.limits.entries,
                });
            }
            let held = total.get(0).map_err(failed)?.map_or(0, |held| held.value());
            let held = held.saturating_sub(before) + bytes;
            if held > self.limits.bytes {
                return Err(VaultError::Full);
            }
            total.insert(0, held).map_err(failed)?;
            let expires = now.saturating_add(self.limits.ttl_ms);
            expiry.insert((expires, session), ()).map_err(failed)?;
            sessions
                .insert(session, (expires, count, bytes))
                .map_err(failed)?;
            Ok(all_new)
        })
    }
}

/// Deletes a few sessions whose time is over.
fn sweep(transaction: &WriteTransaction, now: u64) -> Result<(), VaultError> {
    let mut expiry = transaction.open_table(EXPIRY).map_err(failed)?;
    let mut over = Vec::new();
    for entry in expiry.iter().map_err(failed)?.take(SWEEP) {
        let (key, ()) = entry.map(|(key, _)| (key.value(), ())).map_err(failed)?;
        if key.0 > now {
            break;
        }
        over.push(key);
    }
    if over.is_empty() {
        return Ok(());
    }
    let mut sessions = transaction.open_table(SESSIONS).map_err(failed)?;
    let mut entries = transaction.open_table(ENTRIES).map_err(failed)?;
    let mut total = transaction.open_table(TOTAL).map_err(failed)?;
    for (expires, session) in over {
        expiry.remove((expires, session)).map_err(failed)?;
        let removed = sessions.remove(session).map_err(failed)?;
        let freed = removed.map_or(0, |known| known.value().2);
        let all = (session, [0; 16])..=(session, [0xFF; 16]);
        entries.retain_in(all, |_, _| false).map_err(failed)?;
        let held = total.get(0).map_err(failed)?.map_or(0, |held| held.value());
        total
            .insert(0, held.saturating_sub(freed))
            .map_err(failed)?;
    }
    Ok(())
}

impl Store for Embedded {
    fn load(&self, session: SessionName) -> Answer<'_, Option<Vec<Sealed>>> {
        self.blocking(move |inner| inner.load(session))
    }

    fn add(&self, session: SessionName, entries: Vec<Sealed>) -> Answer<'_, bool> {
        self.blocking(move |inner| inner.add(session, &entries))
    }
}
