//! What a mend must leave as it is.

#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;

use common::Fixture;

const ALPHA: &str = "services/alpha/BUILD.bazel";

/// Cargo's side changes in every rule of `services/alpha`.
fn drift(fixture: &Fixture) {
    fixture.edit(
        "services/alpha/Cargo.toml",
        "outside = { path = \"../../vendor/outside\" }",
        "other = { path = \"../../vendor/other\" }",
    );
    fixture.write("services/alpha/src/more.rs", "");
    fixture.append("services/alpha/src/lib.rs", "mod more;\n");
    assert!(!fixture.check().is_empty());
}

#[test]
fn attributes_and_comments_of_a_hand() {
    let fixture = Fixture::new();
    fixture.edit(
        ALPHA,
        "rust_library(\n    name = \"alpha\",\n    srcs = [\n",
        "# Why this library exists.
rust_library(
    name = \"alpha\",
    # The order of the files does not matter.
    srcs = [
        \"src/lib.rs\",  # the root
",
    );
    fixture.edit(
        ALPHA,
        "        \"src/inner.rs\",\n        \"src/lib.rs\",\n",
        "        \"src/inner.rs\",\n",
    );
    fixture.edit(
        ALPHA,
        "    crate_name = \"fixture_alpha\",\n",
        "    compile_data = [\"src/grammar.md\"],
    crate_name = \"fixture_alpha\",
    rustc_env = {\"KEY\": \"value\"},
    tags = [\"slow\"],
    visibility = [\"//visibility:public\"],
",
    );
    fixture.edit(
        ALPHA,
        "    crate_root = \"tests/laws.rs\",\n",
        "    timeout = \"short\",  # it is fast
    crate_root = \"tests/laws.rs\",
    data = [\"//proto:BUILD.bazel\"],
    env = {\"A\": \"b\"},
    size = \"small\",
",
    );
    assert_eq!(fixture.check(), [""; 0]);
    drift(&fixture);
    assert_eq!(fixture.mend(), [""; 0]);
    let text = fixture.read(ALPHA);
    for part in [
        "# Why this library exists.\nrust_library(",
        "    # The order of the files does not matter.\n    srcs = [",
        "\"src/lib.rs\",  # the root",
        "compile_data = [\"src/grammar.md\"]",
        "rustc_env = {\"KEY\": \"value\"}",
        "tags = [\"slow\"]",
        "visibility = [\"//visibility:public\"]",
        "timeout = \"short\",  # it is fast",
        "data = [\"//proto:BUILD.bazel\"]",
        "env = {\"A\": \"b\"}",
        "size = \"small\"",
    ] {
        assert!(text.contains(part), "lost {part}:\n{text}");
    }
    assert!(text.contains("\"src/more.rs\"") && text.contains("@crates//:other"));
}

#[test]
fn rules_that_are_bazels_alone() {
    let fixture = Fixture::new();
    let own = "
# A library that must not build.
rust_library(
    name = \"forbidden\",
    srcs = [\"forbidden/uses_the_wire.rs\"],
    tags = [
        \"bazel-only\",
        \"manual\",
    ],
    deps = [\"@crates//:nothing\"],
)

filegroup(
    name = \"grammar\",
    srcs = [\"src/grammar.md\"],
)
";
    fixture.append(ALPHA, own);
    fixture.write("services/alpha/forbidden/uses_the_wire.rs", "");
    assert_eq!(fixture.check(), [""; 0]);
    drift(&fixture);
    assert_eq!(fixture.mend(), [""; 0]);
    assert!(fixture.read(ALPHA).contains(own.trim()));
}

#[test]
fn dependencies_that_cargo_does_not_know() {
    let fixture = Fixture::new();
    fixture.write("kernels/BUILD.bazel", "");
    fixture.edit(
        ALPHA,
        "    deps = [\n        \"//proto\",\n        \"@crates//:outside\",\n    ],\n",
        "    deps = [
        \"//kernels:cuda\",
        \"//proto\",
        \"@crates//:outside\",
    ] + select({
        \"//kernels:gpu\": [\"@other//:thing\"],
        \"//conditions:default\": [],
    }),
",
    );
    fixture.edit(
        ALPHA,
        "        \"src/inner.rs\",\n",
        "        \":generated\",\n        \"src/inner.rs\",\n",
    );
    assert_eq!(fixture.check(), [""; 0]);
    drift(&fixture);
    assert_eq!(fixture.mend(), [""; 0]);
    let text = fixture.read(ALPHA);
    for part in [
        "\"//kernels:cuda\",",
        "] + select({",
        "\":generated\",",
        "\"@crates//:other\",",
    ] {
        assert!(text.contains(part), "lost {part}:\n{text}");
    }
}

#[test]
fn a_dependency_on_a_package_that_is_gone_does_not_stay() {
    let fixture = Fixture::new();
    fixture.edit(
        ALPHA,
        "        \"//proto\",\n",
        "        \"//gone\",\n        \"//proto\",\n",
    );
    assert_eq!(fixture.check().len(), 1);
    assert_eq!(fixture.mend(), [""; 0]);
}

#[test]
fn a_list_that_is_computed() {
    let fixture = Fixture::new();
    fixture.edit(
        ALPHA,
        "    srcs = [\n        \"src/inner.rs\",\n        \"src/lib.rs\",\n    ],\n",
        "    srcs = glob([\"src/*.rs\"]),\n",
    );
    let line = "services/alpha/BUILD.bazel: alpha: srcs: Cargo says also src/inner.rs, src/lib.rs; BUILD says nothing more (by hand: add a literal list of these to the value with `+`)";
    assert_eq!(fixture.check(), [line]);
    assert_eq!(fixture.mend(), [line]);
    assert!(fixture.read(ALPHA).contains("glob([\"src/*.rs\"])"));
}

#[test]
fn a_second_mend_writes_nothing() {
    let fixture = Fixture::new();
    drift(&fixture);
    assert_eq!(fixture.mend(), [""; 0]);
    let modified = || {
        std::fs::metadata(fixture.root().join(ALPHA))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = modified();
    assert_eq!(fixture.mend(), [""; 0]);
    assert_eq!(modified(), before);
}

#[test]
fn a_new_library_is_seen_by_those_that_use_it() {
    let fixture = Fixture::new();
    let text = fixture.read("proto/BUILD.bazel");
    assert!(
        text.contains("visibility = [\"//services/alpha:__pkg__\"]"),
        "{text}"
    );
    assert!(!fixture.read(ALPHA).contains("visibility"));
}

#[test]
fn what_it_writes_is_formatted() {
    let fixture = Fixture::new();
    drift(&fixture);
    assert_eq!(fixture.mend(), [""; 0]);
    let output = Command::new(&fixture.tools.buildifier)
        .args(["-mode=check", "-lint=warn", "-r"])
        .arg(fixture.root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
