//! Each way in which Cargo and Bazel drift apart: it turns the check red with a line that
//! says what differs, and a mend turns it green.

#![allow(clippy::unwrap_used)]

mod common;

use common::Fixture;

const ALPHA: &str = "services/alpha/Cargo.toml";

/// Red with exactly these lines, then green after the mend.
#[track_caller]
fn red_then_mended(fixture: &Fixture, lines: &[&str]) {
    assert_eq!(fixture.check(), lines);
    assert_eq!(fixture.mend(), [""; 0]);
    assert_eq!(fixture.check(), [""; 0]);
}

/// Red with this line, before the mend and after it.
#[track_caller]
fn red_until_a_hand_mends(fixture: &Fixture, line: &str) {
    assert_eq!(fixture.check(), [line]);
    assert_eq!(fixture.mend(), [line]);
}

#[test]
fn a_dependency_removed_from_cargo() {
    let fixture = Fixture::new();
    fixture.edit(ALPHA, "outside = { path = \"../../vendor/outside\" }\n", "");
    let line = |target: &str| {
        format!(
            "services/alpha/BUILD.bazel: {target}: deps: Cargo says nothing more; BUILD says also @crates//:outside"
        )
    };
    let lines = [line("alpha"), line("fixture-alpha"), line("laws_test")];
    red_then_mended(&fixture, &lines.each_ref().map(String::as_str));
    assert!(
        !fixture
            .read("services/alpha/BUILD.bazel")
            .contains("outside")
    );
}

#[test]
fn a_dependency_added_to_cargo() {
    let fixture = Fixture::new();
    fixture.edit(
        ALPHA,
        "[dev-dependencies]\n",
        "[dev-dependencies]\nother = { path = \"../../vendor/other\" }\n",
    );
    red_then_mended(
        &fixture,
        &[
            "services/alpha/BUILD.bazel: alpha_test: deps: Cargo says also @crates//:other; BUILD says nothing more",
            "services/alpha/BUILD.bazel: laws_test: deps: Cargo says also @crates//:other; BUILD says nothing more",
        ],
    );
}

#[test]
fn a_dependency_of_tests_that_becomes_one_of_the_library() {
    let fixture = Fixture::new();
    fixture.edit(
        ALPHA,
        "[dev-dependencies]\n",
        "other = { path = \"../../vendor/other\" }\n\n[dev-dependencies]\nother = { path = \"../../vendor/other\" }\n",
    );
    assert_eq!(fixture.mend(), [""; 0]);
    let unit_test = fixture.read("services/alpha/BUILD.bazel");
    let unit_test = unit_test.split("name = \"alpha_test\"").nth(1).unwrap();
    let unit_test = unit_test.split("\n)\n").next().unwrap();
    assert!(!unit_test.contains("other"), "inherited: {unit_test}");
}

#[test]
fn a_renamed_dependency() {
    let fixture = Fixture::new();
    fixture.edit(ALPHA, "outside = {", "new-name = { package = \"outside\",");
    assert_eq!(fixture.check().len(), 6);
    assert_eq!(fixture.mend(), [""; 0]);
    let text = fixture.read("services/alpha/BUILD.bazel");
    assert!(
        text.contains("\"@crates//:new_name\": \"new_name\""),
        "{text}"
    );
    assert!(!text.contains("outside"), "{text}");
}

#[test]
fn a_procedural_macro() {
    let fixture = Fixture::new();
    fixture.edit(
        ALPHA,
        "[dependencies]\n",
        "[dependencies]\nfixture-macros = { path = \"../../macros\" }\n",
    );
    let line = |target: &str| {
        format!(
            "services/alpha/BUILD.bazel: {target}: proc_macro_deps: Cargo says also //macros; BUILD says nothing more"
        )
    };
    let lines = [line("alpha"), line("fixture-alpha"), line("laws_test")];
    red_then_mended(&fixture, &lines.each_ref().map(String::as_str));
    assert!(
        fixture
            .read("macros/BUILD.bazel")
            .contains("rust_proc_macro(")
    );
}

#[test]
fn a_source_file_that_is_added() {
    let fixture = Fixture::new();
    fixture.write("services/alpha/src/inner/deep.rs", "");
    fixture.write("services/alpha/src/inner.rs", "mod deep;\n");
    red_then_mended(
        &fixture,
        &[
            "services/alpha/BUILD.bazel: alpha: srcs: Cargo says also src/inner/deep.rs; BUILD says nothing more",
        ],
    );
}

#[test]
fn a_source_file_that_no_module_declares() {
    let fixture = Fixture::new();
    fixture.write("services/alpha/src/forgotten.rs", "");
    red_until_a_hand_mends(
        &fixture,
        "services/alpha/src/forgotten.rs: Cargo says no target uses it; BUILD says no target has it (by hand: declare it with `mod`, list it as a rule's data, or delete it)",
    );
}

#[test]
fn a_source_file_that_is_removed() {
    let fixture = Fixture::new();
    fixture.remove("services/alpha/src/inner.rs");
    fixture.write("services/alpha/src/lib.rs", "");
    red_then_mended(
        &fixture,
        &[
            "services/alpha/BUILD.bazel: alpha: srcs: Cargo says nothing more; BUILD says also src/inner.rs",
        ],
    );
}

#[test]
fn a_module_that_only_the_binary_declares() {
    let fixture = Fixture::new();
    fixture.write("services/alpha/src/wiring.rs", "");
    fixture.write("services/alpha/src/main.rs", "mod wiring;\nfn main() {}\n");
    red_then_mended(
        &fixture,
        &[
            "services/alpha/BUILD.bazel: fixture-alpha: srcs: Cargo says also src/wiring.rs; BUILD says nothing more",
        ],
    );
}

#[test]
fn a_module_from_another_package() {
    let fixture = Fixture::new();
    fixture.append(
        "services/alpha/src/lib.rs",
        "#[path = \"../../../proto/src/lib.rs\"]\nmod stolen;\n",
    );
    red_until_a_hand_mends(
        &fixture,
        "services/alpha/BUILD.bazel: alpha: srcs: Cargo says also ../../proto/src/lib.rs; BUILD says nothing more (by hand: move it into the package, whose files alone a rule may name)",
    );
}

#[test]
fn a_test_that_is_added() {
    let fixture = Fixture::new();
    fixture.write("services/alpha/tests/new.rs", "mod common;\n");
    red_then_mended(
        &fixture,
        &["services/alpha/BUILD.bazel: new_test: Cargo says a rust_test; BUILD says nothing"],
    );
    let text = fixture.read("services/alpha/BUILD.bazel");
    for part in [
        "\"tests/common/mod.rs\",\n        \"tests/new.rs\"",
        "crate_name = \"new\"",
        "crate_root = \"tests/new.rs\"",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[test]
fn a_test_that_is_removed() {
    let fixture = Fixture::new();
    fixture.remove("services/alpha/tests/laws.rs");
    fixture.remove("services/alpha/tests/common/mod.rs");
    red_then_mended(
        &fixture,
        &[
            "services/alpha/BUILD.bazel: laws_test: Cargo says no such target; BUILD says a rust_test",
        ],
    );
}

#[test]
fn unit_tests_where_there_were_none() {
    let fixture = Fixture::new();
    fixture.write("proto/src/lib.rs", "#[test]\nfn holds() {}\n");
    red_then_mended(
        &fixture,
        &["proto/BUILD.bazel: proto_test: Cargo says a rust_test; BUILD says nothing"],
    );
    // And what may stay when they go.
    fixture.write("proto/src/lib.rs", "");
    assert_eq!(fixture.check(), [""; 0]);
}

#[test]
fn an_example_in_the_documentation() {
    let fixture = Fixture::new();
    fixture.write("proto/src/lib.rs", "//! ```\n//! assert!(true);\n//! ```\n");
    red_then_mended(
        &fixture,
        &["proto/BUILD.bazel: proto_doc_test: Cargo says a rust_doc_test; BUILD says nothing"],
    );
}

#[test]
fn an_example_and_a_bench() {
    let fixture = Fixture::new();
    fixture.write("services/alpha/examples/show.rs", "fn main() {}\n");
    fixture.write("services/alpha/benches/speed.rs", "fn main() {}\n");
    red_then_mended(
        &fixture,
        &[
            "services/alpha/BUILD.bazel: show_example: Cargo says a rust_binary; BUILD says nothing",
            "services/alpha/BUILD.bazel: speed_bench: Cargo says a rust_binary; BUILD says nothing",
        ],
    );
}

#[test]
fn a_build_script() {
    let fixture = Fixture::new();
    fixture.write("proto/build.rs", "fn main() {}\n");
    fixture.append(
        "proto/Cargo.toml",
        "\n[build-dependencies]\nother = { path = \"../vendor/other\" }\nfixture-macros = { path = \"../macros\" }\n",
    );
    red_then_mended(
        &fixture,
        &[
            "proto/BUILD.bazel: proto: deps: Cargo says also :build_script; BUILD says nothing more",
            "proto/BUILD.bazel: build_script: Cargo says a cargo_build_script; BUILD says nothing",
        ],
    );
    let text = fixture.read("proto/BUILD.bazel");
    for part in [
        "load(\"@crates//:defs.bzl\", \"all_crate_deps\")",
        "deps = all_crate_deps(build = True),",
        "proc_macro_deps = [\"//macros\"]",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[test]
fn a_build_script_with_a_library_of_the_workspace() {
    let fixture = Fixture::new();
    fixture.write("services/alpha/build.rs", "fn main() {}\n");
    fixture.append(
        ALPHA,
        "\n[build-dependencies]\nother = { path = \"../../vendor/other\" }\nfixture-proto = { path = \"../../proto\" }\n",
    );
    assert_eq!(fixture.mend(), [""; 0]);
    let text = fixture.read("services/alpha/BUILD.bazel");
    let both = "deps = all_crate_deps(build = True) + [\"//proto\"],";
    assert!(text.contains(both), "{text}");
}

#[test]
fn a_feature() {
    let fixture = Fixture::new();
    fixture.append(
        ALPHA,
        "\n[features]\ndefault = [\"fast\"]\nfast = []\nslow = []\n",
    );
    let line = |target: &str| {
        format!(
            "services/alpha/BUILD.bazel: {target}: crate_features: Cargo says also default, fast; BUILD says nothing more"
        )
    };
    let lines = ["alpha", "alpha_test", "fixture-alpha", "laws_test"].map(line);
    red_then_mended(&fixture, &lines.each_ref().map(String::as_str));
}

#[test]
fn the_edition_and_the_version() {
    let fixture = Fixture::new();
    fixture.edit("Cargo.toml", "edition = \"2024\"", "edition = \"2021\"");
    fixture.edit("Cargo.toml", "version = \"0.1.0\"", "version = \"0.2.0\"");
    red_then_mended(
        &fixture,
        &[
            "tools/build_defs/workspace.bzl: Cargo says also EDITION = \"2021\", VERSION = \"0.2.0\"; BUILD says also EDITION = \"2024\", VERSION = \"0.1.0\"",
        ],
    );
}

#[test]
fn the_edition_of_one_member() {
    let fixture = Fixture::new();
    fixture.edit(
        "proto/Cargo.toml",
        "edition.workspace = true",
        "edition = \"2021\"",
    );
    red_until_a_hand_mends(
        &fixture,
        "proto/Cargo.toml: edition: Cargo says 2021; BUILD says 2024, as all members (by hand: write `edition.workspace = true`)",
    );
}

#[test]
fn an_edition_in_a_build_file() {
    let fixture = Fixture::new();
    fixture.edit(
        "proto/BUILD.bazel",
        "    crate_name = ",
        "    edition = \"2021\",\n    crate_name = ",
    );
    red_then_mended(
        &fixture,
        &[
            "proto/BUILD.bazel: proto: edition: Cargo says the workspace's, which the macro fills in; BUILD says 2021",
        ],
    );
}

#[test]
fn a_lint() {
    let fixture = Fixture::new();
    fixture.edit(
        "Cargo.toml",
        "missing_docs = \"warn\"\n",
        "missing_docs = \"warn\"\nunreachable_pub = \"deny\"\n",
    );
    let findings = fixture.check();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0].contains("\"-Dunreachable_pub\""),
        "{findings:?}"
    );
    assert_eq!(fixture.mend(), [""; 0]);
    let text = fixture.read("tools/build_defs/workspace.bzl");
    assert!(
        text.contains("    \"-Dunreachable_pub\",\n    \"-Wmissing_docs\",\n"),
        "{text}"
    );
}

#[test]
fn a_member_with_lints_of_its_own() {
    let fixture = Fixture::new();
    fixture.edit(
        "proto/Cargo.toml",
        "[lints]\nworkspace = true",
        "[lints.rust]\nmissing_docs = \"allow\"",
    );
    red_until_a_hand_mends(
        &fixture,
        "proto/Cargo.toml: lints: Cargo says lints of its own; BUILD says those of [workspace.lints], as for all members (by hand: write `workspace = true` in [lints])",
    );
}

#[test]
fn a_binary_of_another_name() {
    let fixture = Fixture::new();
    fixture.append(
        ALPHA,
        "\n[[bin]]\nname = \"alpha-server\"\npath = \"src/main.rs\"\n",
    );
    fixture.edit(
        "services/alpha/BUILD.bazel",
        "name = \"fixture-alpha\",",
        "name = \"fixture-alpha\",  # what is shipped",
    );
    red_then_mended(
        &fixture,
        &[
            "services/alpha/BUILD.bazel: fixture-alpha: name: Cargo says alpha-server; BUILD says fixture-alpha",
        ],
    );
}

#[test]
fn a_binary_that_takes_the_name_of_its_folder() {
    let fixture = Fixture::new();
    fixture.append(
        ALPHA,
        "\n[[bin]]\nname = \"alpha\"\npath = \"src/main.rs\"\n",
    );
    assert_eq!(fixture.mend(), [""; 0]);
    let text = fixture.read("services/alpha/BUILD.bazel");
    assert!(text.contains("name = \"alpha_lib\""), "{text}");
    assert!(text.contains("\":alpha_lib\""), "{text}");
}

#[test]
fn a_member_that_is_added() {
    let fixture = Fixture::new();
    fixture.write("tools/new/src/lib.rs", "");
    fixture.write(
        "tools/new/Cargo.toml",
        "[package]\nname = \"fixture-new\"\nversion.workspace = true\nedition.workspace = true\n[lints]\nworkspace = true\n",
    );
    fixture.edit(
        "Cargo.toml",
        "\"services/alpha\"",
        "\"services/alpha\", \"tools/new\"",
    );
    red_then_mended(
        &fixture,
        &[
            "tools/new/BUILD.bazel: Cargo says a package with new; BUILD says nothing: the file is missing",
            "MODULE.bazel: crates: manifests: Cargo says also //tools/new:Cargo.toml; BUILD says nothing more",
        ],
    );
}

#[test]
fn a_member_that_is_removed() {
    let fixture = Fixture::new();
    fixture.edit("Cargo.toml", "\"macros\", ", "");
    red_then_mended(
        &fixture,
        &[
            "MODULE.bazel: crates: manifests: Cargo says nothing more; BUILD says also //macros:Cargo.toml",
        ],
    );
}

#[test]
fn a_module_file_without_the_call() {
    let fixture = Fixture::new();
    fixture.write("MODULE.bazel", "module(name = \"fixture\")\n");
    red_until_a_hand_mends(
        &fixture,
        "MODULE.bazel: manifests: Cargo says `crate.from_cargo` of //:Cargo.lock; BUILD says no such call (by hand: add the call)",
    );
}

#[test]
fn rules_that_know_nothing_of_edition_and_lints() {
    let fixture = Fixture::new();
    fixture.edit(
        "proto/BUILD.bazel",
        "//tools/build_defs:rust.bzl",
        "@rules_rust//rust:defs.bzl",
    );
    red_then_mended(
        &fixture,
        &[
            "proto/BUILD.bazel: load: Cargo says the workspace's edition and lints, which //tools/build_defs:rust.bzl fills in; BUILD says rust_library from @rules_rust//rust:defs.bzl",
        ],
    );
}
