//! The program: exit codes, and from where it can be run.

#![allow(clippy::unwrap_used)]

mod common;

use std::process::{Command, Output};

use common::Fixture;

fn sync(folder: &std::path::Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_signalbox-sync"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::to_owned).collect()
}

#[test]
fn in_step_is_silent() {
    let fixture = Fixture::new();
    let output = sync(fixture.root(), &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(lines(&output).is_empty());
}

#[test]
fn drift_is_one_line_a_finding_and_ends_with_the_command_that_mends() {
    let fixture = Fixture::new();
    fixture.write("services/alpha/tests/new.rs", "");
    let output = sync(fixture.root(), &["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        lines(&output),
        [
            "services/alpha/BUILD.bazel: new_test: Cargo says a rust_test; BUILD says nothing",
            "mend with: make sync (cargo run -p signalbox-sync -- mend)",
        ]
    );
    assert_eq!(sync(fixture.root(), &["mend"]).status.code(), Some(0));
    assert_eq!(sync(fixture.root(), &["check"]).status.code(), Some(0));
}

#[test]
fn what_only_a_hand_can_mend_stays_red() {
    let fixture = Fixture::new();
    fixture.write("services/alpha/src/forgotten.rs", "");
    let output = sync(fixture.root(), &["mend"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output).len(), 1);
}

#[test]
fn it_runs_from_any_folder_of_the_workspace() {
    let fixture = Fixture::new();
    fixture.write("services/alpha/src/forgotten.rs", "");
    let from_root = lines(&sync(fixture.root(), &[]));
    assert_eq!(from_root.len(), 1);
    // The last is in a workspace of its own.
    for folder in ["services", "services/alpha/src", "services/alpha/fuzz"] {
        let output = sync(&fixture.root().join(folder), &[]);
        assert_eq!(lines(&output), from_root, "from {folder}");
    }
    let root = fixture.root().to_str().unwrap();
    let output = sync(&std::env::temp_dir(), &["--root", root]);
    assert_eq!(lines(&output), from_root);
}

#[test]
fn a_folder_outside_of_any_workspace_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let output = sync(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no Cargo workspace"));
}

#[test]
fn a_missing_tool_names_the_script_that_installs_it() {
    let fixture = Fixture::new();
    let output = Command::new(env!("CARGO_BIN_EXE_signalbox-sync"))
        .current_dir(fixture.root())
        .env("SIGNALBOX_TOOLS_DIR", fixture.root())
        .env("XDG_CACHE_HOME", fixture.root())
        .env("PATH", "")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "signalbox-sync: buildozer is not installed; run tools/setup/go.sh\n"
    );
}

#[test]
fn a_lock_file_that_is_out_of_date_is_said() {
    let fixture = Fixture::new();
    fixture.write(
        "proto/Cargo.toml",
        "[package]\nname = \"renamed\"\nversion.workspace = true\nedition.workspace = true\n",
    );
    let output = sync(fixture.root(), &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("run `cargo fetch`"), "{said}");
}
