//! The embedded store of jobs, against what every store must do.

#![allow(clippy::unwrap_used)]

mod suite;

use std::{path::PathBuf, sync::Arc};

use signalbox_embeddings::jobs::{
    JobError,
    job::UnixMs,
    store::{Clock, EmbeddedStore, JobStore},
};
use suite::{Backend, LEASE};
use tempfile::TempDir;

struct File(TempDir);

impl File {
    fn path(&self) -> PathBuf {
        self.0.path().join("state").join("jobs.redb")
    }
}

impl Backend for File {
    async fn open(&self, clock: Clock) -> Arc<dyn JobStore> {
        // The store before may still be closing its file, on another thread.
        for _ in 0..500 {
            match EmbeddedStore::open(self.path(), LEASE, Arc::clone(&clock)).await {
                Ok(store) => return Arc::new(store),
                Err(JobError::Store(reason)) if reason.contains("already open") => {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the file stays open");
    }
}

#[tokio::test]
async fn a_file_does_what_every_store_must() {
    suite::all(|_| File(tempfile::tempdir().unwrap())).await;
}

#[tokio::test]
async fn a_file_is_open_in_one_store_only_and_the_error_names_it() {
    let file = File(tempfile::tempdir().unwrap());
    let clock: Clock = Arc::new(|| UnixMs(1));
    let _store = file.open(Arc::clone(&clock)).await;
    let second = EmbeddedStore::open(file.path(), LEASE, clock).await;
    let error = second.err().unwrap().to_string();
    assert!(error.contains("jobs.redb"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_store_is_an_error_and_is_left_alone() {
    let file = File(tempfile::tempdir().unwrap());
    std::fs::create_dir_all(file.path().parent().unwrap()).unwrap();
    let text = "not a store, at least a page of it".repeat(400);
    std::fs::write(file.path(), &text).unwrap();
    let opened = EmbeddedStore::open(file.path(), LEASE, Arc::new(|| UnixMs(1))).await;
    assert!(matches!(opened.err().unwrap(), JobError::Store(_)));
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), text);
}
