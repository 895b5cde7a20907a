//! What every store does, and what it sees.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicU64, Ordering};

use signalbox_chassis::config::Secret;
use zeroize::Zeroizing;

use super::*;
use crate::keys::{
    Keyring,
    tests::{config as key, keys},
};

fn entry(surrogate: &str, original: &str) -> Entry {
    Entry {
        kind: "PERSON".into(),
        surrogate: surrogate.into(),
        original: Zeroizing::new(original.into()),
    }
}

fn time() -> (Arc<AtomicU64>, Clock) {
    let now = Arc::new(AtomicU64::new(1_000));
    let clock = Arc::clone(&now);
    (now, Arc::new(move || clock.load(Ordering::Relaxed)))
}

fn vault(config: &VaultConfig, clock: Clock) -> Vault {
    Vault::open(config, true, clock).unwrap()
}

async fn add(vault: &Vault, tenant: &str, id: &str, entries: &[Entry]) -> Result<bool, VaultError> {
    let session = vault.session(&keys(tenant), id).await?;
    vault.add(&keys(tenant), &session, entries).await
}

async fn found(vault: &Vault, tenant: &str, id: &str) -> Option<Vec<Entry>> {
    let mut session = vault.session(&keys(tenant), id).await.unwrap();
    session
        .entries
        .sort_by(|a, b| a.surrogate.cmp(&b.surrogate));
    session.existed.then_some(session.entries)
}

/// What holds for every store.
async fn behaves(vault: &Vault) {
    assert_eq!(found(vault, "a", "s").await, None);
    assert!(add(vault, "a", "s", &[]).await.unwrap());
    assert_eq!(found(vault, "a", "s").await, Some(vec![]));
    assert!(add(vault, "a", "s", &[entry("Anna", "Ada")]).await.unwrap());
    assert!(add(vault, "a", "s", &[entry("Bert", "Bob")]).await.unwrap());
    // A surrogate that is taken stays what it is, and the rest is added.
    let again = [entry("Anna", "Eve"), entry("Carl", "Cem")];
    assert!(!add(vault, "a", "s", &again).await.unwrap());
    let all = vec![
        entry("Anna", "Ada"),
        entry("Bert", "Bob"),
        entry("Carl", "Cem"),
    ];
    assert_eq!(found(vault, "a", "s").await, Some(all));
    // Neither another tenant's session of the same name nor another session.
    assert_eq!(found(vault, "b", "s").await, None);
    assert_eq!(found(vault, "a", "t").await, None);
    let more: Vec<Entry> = (0..5).map(|at| entry(&format!("D{at}"), "x")).collect();
    let refused = add(vault, "a", "s", &more).await;
    assert_eq!(refused, Err(VaultError::SessionFull { limit: 7 }));
    assert_eq!(found(vault, "a", "s").await.unwrap().len(), 3);
}

fn config(store: VaultStoreConfig) -> VaultConfig {
    VaultConfig {
        store,
        max_entries: 7,
        ..VaultConfig::default()
    }
}

#[tokio::test]
async fn memory_behaves() {
    behaves(&vault(&config(VaultStoreConfig::default()), time().1)).await;
}

#[tokio::test]
async fn a_file_behaves_and_is_read_by_the_next_process_but_by_nobody_without_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/vault.redb");
    let config = config(VaultStoreConfig::Embedded {
        path: Some(path.clone()),
    });
    behaves(&vault(&config, time().1)).await;
    let again = vault(&config, time().1);
    assert_eq!(found(&again, "a", "s").await.unwrap().len(), 3);
    let other = Arc::new(Keyring::new(&[key("k1", "t")]).unwrap()).tenant("a");
    assert!(!again.session(&other, "s").await.unwrap().existed);
    drop(again);
    let bytes = std::fs::read(path).unwrap();
    for secret in ["Ada", "Anna", "PERSON"] {
        let held = bytes
            .windows(secret.len())
            .any(|it| it == secret.as_bytes());
        assert!(!held, "{secret} can be read in the file");
    }
}

#[tokio::test]
async fn a_session_ends_a_while_after_its_last_redaction_and_its_room_is_free_again() {
    let (now, clock) = time();
    let config = VaultConfig {
        ttl_seconds: 10,
        max_bytes: 2_000,
        ..VaultConfig::default()
    };
    let vault = vault(&config, clock);
    add(&vault, "a", "s", &[entry("Anna", &"x".repeat(900))])
        .await
        .unwrap();
    now.fetch_add(9_000, Ordering::Relaxed);
    add(&vault, "a", "s", &[]).await.unwrap();
    now.fetch_add(9_000, Ordering::Relaxed);
    assert!(found(&vault, "a", "s").await.is_some());
    let large = [entry("Bert", &"y".repeat(900))];
    assert_eq!(add(&vault, "a", "t", &large).await, Err(VaultError::Full));
    now.fetch_add(1_000, Ordering::Relaxed);
    assert!(found(&vault, "a", "s").await.is_none());
    assert!(add(&vault, "a", "t", &large).await.unwrap());
}

#[tokio::test]
async fn a_session_that_began_under_an_older_key_goes_on_under_the_new_one() {
    let vault = vault(&VaultConfig::default(), time().1);
    let old = Arc::new(Keyring::new(&[key("k1", "s")]).unwrap()).tenant("a");
    let session = vault.session(&old, "s").await.unwrap();
    vault
        .add(&old, &session, &[entry("Anna", "Ada")])
        .await
        .unwrap();
    let new = Arc::new(Keyring::new(&[key("k2", "t"), key("k1", "s")]).unwrap()).tenant("a");
    let session = vault.session(&new, "s").await.unwrap();
    assert_eq!(session.entries, [entry("Anna", "Ada")]);
    vault
        .add(&new, &session, &[entry("Bert", "Bob")])
        .await
        .unwrap();
    assert_eq!(vault.session(&new, "s").await.unwrap().entries.len(), 2);
}

#[test]
fn a_store_that_outlives_the_keys_is_refused() {
    let config = config(VaultStoreConfig::Embedded {
        path: Some("vault.redb".into()),
    });
    let refused = Vault::open(&config, false, time().1).unwrap_err();
    assert_eq!(refused, VaultError::NoKeys);
}

#[tokio::test]
async fn a_wrong_url_is_refused_without_its_password() {
    let config = config(VaultStoreConfig::Redis {
        url: Secret::new("http://user:hunter2@host"),
        prefix: "p".into(),
        timeout_ms: 100,
    });
    let refused = Vault::open(&config, true, time().1)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("redis://"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_real_redis_behaves_forgets_and_is_missed_when_it_is_gone() {
    let server = signalbox_test_servers::Redis::start();
    let config = VaultConfig {
        ttl_seconds: 600,
        ..config(VaultStoreConfig::Redis {
            url: Secret::new(server.url()),
            prefix: "p".into(),
            timeout_ms: 2_000,
        })
    };
    let vault = vault(&config, time().1);
    behaves(&vault).await;
    let client = ::redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let names: Vec<String> = ::redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(names.len(), 1);
    assert!(names[0].starts_with("p:") && !names[0].contains("a:s"));
    let left: i64 = ::redis::cmd("PTTL")
        .arg(&names[0])
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!((1..=600_000).contains(&left), "{left}");
    let body: Vec<u8> = ::redis::cmd("DUMP")
        .arg(&names[0])
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!(!body.windows(4).any(|it| it == b"Anna"));
    drop(server);
    let gone = vault.session(&keys("a"), "s").await;
    assert!(matches!(gone, Err(VaultError::Store(_))), "{gone:?}");
}
