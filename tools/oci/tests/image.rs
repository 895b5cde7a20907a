//! Images from end to end: made twice, appended to, checked.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use common::{TestElf, contents, debian_root, run, write};
use serde_json::Value;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Makes base, layer and image in a folder.
fn build(folder: &Path, program: &TestElf) -> PathBuf {
    let (root, base) = (folder.join("root"), folder.join("base.tar"));
    debian_root(&root);
    let description = folder.join("base.json");
    let program = write(&folder.join("some/where/program"), program.bytes());
    run(&[
        "base",
        "--root",
        text(&root),
        "--binary",
        text(&program),
        "--out",
        text(&base),
        "--description-out",
        text(&description),
    ])
    .unwrap();
    let layer = folder.join("program.tar");
    let file = format!("usr/bin/program={}", program.display());
    run(&["layer", "--executable", &file, "--out", text(&layer)]).unwrap();
    let image = folder.join("image");
    let mut arguments = vec!["image", "--layer", text(&base), "--layer", text(&layer)];
    let archive = folder.join("image.tar");
    let digest = folder.join("digest");
    arguments.extend([
        "--entrypoint",
        "/usr/bin/program",
        "--env",
        "B=2",
        "--env",
        "A=1",
    ]);
    arguments.extend([
        "--label",
        "org.opencontainers.image.title=program",
        "--port",
        "7003",
    ]);
    arguments.extend(["--out", text(&image), "--archive", text(&archive)]);
    arguments.extend(["--digest-out", text(&digest)]);
    run(&arguments).unwrap();
    image
}

fn blob(image: &Path, digest: &Value) -> PathBuf {
    let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
    image.join("blobs/sha256").join(hex)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn manifest(image: &Path) -> Value {
    let index = json(&image.join("index.json"));
    json(&blob(image, &index["manifests"][0]["digest"]))
}

fn config(image: &Path) -> Value {
    json(&blob(image, &manifest(image)["config"]["digest"]))
}

#[test]
fn the_same_inputs_in_another_folder_give_the_same_bytes() {
    let program = TestElf::program("GLIBC_2.34");
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    build(one.path(), &program);
    build(&other.path().join("deeper"), &program);
    let (one, other) = (contents(one.path()), contents(&other.path().join("deeper")));
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        other.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &one {
        assert!(*bytes == other[name], "{name} differs");
    }
    assert!(one.contains_key("image.tar") && one.contains_key("digest"));
}

#[test]
fn an_archive_is_the_layout_in_sorted_order() {
    let folder = tempfile::tempdir().unwrap();
    let image = build(folder.path(), &TestElf::program("GLIBC_2.34"));
    let file = std::fs::File::open(folder.path().join("image.tar")).unwrap();
    let mut names = Vec::new();
    for entry in tar::Archive::new(file).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        if !name.ends_with('/') {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            assert!(bytes == std::fs::read(image.join(&name)).unwrap(), "{name}");
        }
        names.push(name);
    }
    assert!(names.is_sorted(), "{names:?}");
    let folders = ["blobs/", "blobs/sha256/"];
    let files = names
        .iter()
        .filter(|name| !folders.contains(&name.as_str()));
    assert_eq!(files.count(), contents(&image).len());
}

#[test]
fn a_symbol_version_that_may_be_absent_may_be_absent() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = TestElf::program("GLIBC_2.34");
    program.weak = vec!["GLIBC_2.99"];
    let image = build(folder.path(), &program);
    run(&["check", "--layout", text(&image)]).unwrap();
}

#[test]
fn another_program_gives_another_digest() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    build(one.path(), &TestElf::program("GLIBC_2.34"));
    build(other.path(), &TestElf::program("GLIBC_2.36"));
    let digest = |folder: &Path| std::fs::read_to_string(folder.join("digest")).unwrap();
    assert_ne!(digest(one.path()), digest(other.path()));
}

#[test]
fn an_earlier_layout_is_replaced_and_anything_else_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let image = build(folder.path(), &TestElf::program("GLIBC_2.34"));
    let before = contents(&image);
    let layer = folder.path().join("program.tar");
    let again = |out: &Path| {
        let arguments = ["--entrypoint", "/usr/bin/program", "--out", text(out)];
        run(&[&["image", "--layer", text(&layer)], arguments.as_slice()].concat())
    };
    again(&image).unwrap();
    let after = contents(&image);
    // Its own manifest, configuration and one layer; nothing of the earlier image.
    assert_eq!((before.len(), after.len()), (6, 5));
    let other = folder.path().join("other");
    write(&other.join("precious"), "x");
    assert!(again(&other).unwrap_err().contains("not empty"));
    assert!(other.join("precious").exists());
}

#[test]
fn the_configuration_says_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&build(folder.path(), &TestElf::program("GLIBC_2.34")));
    assert_eq!(config["os"], "linux");
    assert_eq!(config["architecture"], "amd64");
    assert_eq!(config["created"], "1970-01-01T00:00:00Z");
    let run = &config["config"];
    assert_eq!(run["User"], "65532:65532");
    assert_eq!(run["Env"], serde_json::json!(["A=1", "B=2"]));
    assert_eq!(run["ExposedPorts"], serde_json::json!({"7003/tcp": {}}));
    assert_eq!(config["history"].as_array().unwrap().len(), 2);
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);
}

#[test]
fn an_image_over_a_base_keeps_its_layers_and_merges_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let base = build(folder.path(), &TestElf::program("GLIBC_2.34"));
    let more = folder.path().join("more.tar");
    let file = write(&folder.path().join("file"), "x");
    let file = format!("opt/file={}", file.display());
    run(&["layer", "--file", &file, "--out", text(&more)]).unwrap();
    let image = folder.path().join("over");
    let mut arguments = vec!["image", "--base", text(&base), "--layer", text(&more)];
    arguments.extend([
        "--entrypoint",
        "/usr/bin/program",
        "--env",
        "A=new",
        "--env",
        "C=3",
    ]);
    arguments.extend(["--label", "own=yes", "--out", text(&image)]);
    run(&arguments).unwrap();

    let (below, above) = (manifest(&base), manifest(&image));
    let layers = |manifest: &Value| manifest["layers"].as_array().unwrap().clone();
    assert_eq!(layers(&above)[..2], layers(&below)[..]);
    assert_eq!(layers(&above).len(), 3);
    for layer in layers(&below) {
        let bytes = |image: &Path| std::fs::read(blob(image, &layer["digest"])).unwrap();
        assert!(bytes(&image) == bytes(&base));
    }
    let config = config(&image);
    assert_eq!(
        config["config"]["Env"],
        serde_json::json!(["A=new", "B=2", "C=3"])
    );
    let labels = &config["config"]["Labels"];
    assert_eq!(labels["org.opencontainers.image.title"], "program");
    assert_eq!(labels["own"], "yes");
    assert_eq!(config["history"].as_array().unwrap().len(), 3);
    run(&["check", "--layout", text(&image)]).unwrap();
}

#[test]
fn a_base_whose_bytes_were_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let base = build(folder.path(), &TestElf::program("GLIBC_2.34"));
    let layer = blob(&base, &manifest(&base)["layers"][0]["digest"]);
    let mut bytes = std::fs::read(&layer).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&layer, bytes).unwrap();
    let out = folder.path().join("over");
    let arguments = ["--entrypoint", "/usr/bin/program", "--out", text(&out)];
    let error = run(&[&["image", "--base", text(&base)], arguments.as_slice()].concat());
    assert!(error.unwrap_err().contains("holds other bytes"));
}

#[test]
fn a_base_for_another_machine_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let base = build(folder.path(), &TestElf::program("GLIBC_2.34"));
    let out = folder.path().join("over");
    let arguments = [
        "--entrypoint",
        "/x",
        "--architecture",
        "arm64",
        "--out",
        text(&out),
    ];
    let error = run(&[&["image", "--base", text(&base)], arguments.as_slice()].concat());
    let error = error.unwrap_err();
    assert!(
        error.contains("no image for linux/arm64; it has: linux/amd64"),
        "{error}"
    );
}

#[test]
fn root_and_names_of_users_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("image");
    for user in ["0:0", "0:65532", "65532:0", "nonroot", "65532", "root:root"] {
        let arguments = [
            "image",
            "--entrypoint",
            "/x",
            "--user",
            user,
            "--out",
            text(&out),
        ];
        let error = run(&arguments).unwrap_err();
        assert!(
            error.contains("--user") && error.contains("65532:65532"),
            "{error}"
        );
    }
}

#[test]
fn a_compressed_layer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let layer = write(&folder.path().join("layer.tar.gz"), [0x1f, 0x8b, 8, 0]);
    let out = folder.path().join("image");
    let mut arguments = vec!["image", "--entrypoint", "/x", "--layer", text(&layer)];
    arguments.extend(["--out", text(&out)]);
    assert!(run(&arguments).unwrap_err().contains("is compressed"));
}

#[test]
fn a_whole_image_passes_and_one_with_a_shell_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let image = build(folder.path(), &TestElf::program("GLIBC_2.34"));
    run(&["check", "--layout", text(&image)]).unwrap();

    let shell = write(
        &folder.path().join("sh"),
        TestElf::program("GLIBC_2.34").bytes(),
    );
    let (layer, with_shell) = (
        folder.path().join("sh.tar"),
        folder.path().join("with-shell"),
    );
    let file = format!("usr/bin/sh={}", shell.display());
    run(&["layer", "--executable", &file, "--out", text(&layer)]).unwrap();
    let mut arguments = vec!["image", "--base", text(&image), "--layer", text(&layer)];
    arguments.extend([
        "--entrypoint",
        "/usr/bin/program",
        "--out",
        text(&with_shell),
    ]);
    run(&arguments).unwrap();
    let error = run(&["check", "--layout", text(&with_shell)]).unwrap_err();
    assert!(
        error.contains("/usr/bin/sh is a shell; leave it out"),
        "{error}"
    );
}

#[test]
fn what_a_base_has_too_much_of_can_be_removed_above_it() {
    let folder = tempfile::tempdir().unwrap();
    let image = build(folder.path(), &TestElf::program("GLIBC_2.34"));
    // As pulled bases have it: a folder for all, and one of the user.
    let mut wide = tar::Builder::new(Vec::new());
    for (name, mode, user) in [("tmp/", 0o1777, 0), ("home/nonroot/", 0o700, 65532)] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(mode);
        header.set_uid(user);
        header.set_gid(user);
        header.set_size(0);
        wide.append_data(&mut header, name, std::io::empty())
            .unwrap();
    }
    let wide = write(&folder.path().join("wide.tar"), wide.into_inner().unwrap());
    let narrow = folder.path().join("narrow.tar");
    let removed = ["--remove", "/tmp", "--remove", "/home/nonroot"];
    run(&[&["layer", "--out", text(&narrow)], removed.as_slice()].concat()).unwrap();

    let over = |name: &str, layers: &[&Path]| {
        let out = folder.path().join(name);
        let mut arguments = vec!["image", "--base", text(&image), "--out", text(&out)];
        arguments.extend(["--entrypoint", "/usr/bin/program"]);
        arguments.extend(layers.iter().flat_map(|layer| ["--layer", text(layer)]));
        run(&arguments).unwrap();
        run(&["check", "--layout", text(&out)])
    };
    let error = over("wide", &[&wide]).unwrap_err();
    assert!(error.contains("/tmp is writable by all"), "{error}");
    assert!(
        error.contains("/home/nonroot belongs to the image's own user 65532"),
        "{error}"
    );
    over("narrow", &[&wide, &narrow]).unwrap();
}

#[test]
fn a_program_that_is_newer_than_the_c_library_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let image = build(folder.path(), &TestElf::program("GLIBC_2.39"));
    let error = run(&["check", "--layout", text(&image)]).unwrap_err();
    let said = "/usr/bin/program needs GLIBC_2.39 of libc.so.6, and the image's has GLIBC_2.36";
    assert!(error.contains(said), "{error}");
}

#[test]
fn an_entrypoint_that_is_not_there_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let image = build(folder.path(), &TestElf::program("GLIBC_2.34"));
    let other = folder.path().join("other");
    let mut arguments = vec!["image", "--base", text(&image)];
    arguments.extend(["--entrypoint", "/usr/bin/absent", "--out", text(&other)]);
    run(&arguments).unwrap();
    let error = run(&["check", "--layout", text(&other)]).unwrap_err();
    assert!(
        error.contains("\"/usr/bin/absent\" is no ELF executable"),
        "{error}"
    );
    // And the former program is one too many.
    assert!(
        error.contains("/usr/bin/program is executable, and neither"),
        "{error}"
    );
}
