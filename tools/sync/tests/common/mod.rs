//! A small workspace in a temporary folder, in step when it is made.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, process::Command};

use signalbox_sync::{Tools, check, mend};
use tempfile::TempDir;

const FILES: [(&str, &str); 13] = [
    (
        "Cargo.toml",
        r#"[workspace]
resolver = "2"
members = ["macros", "proto", "services/alpha"]
exclude = ["vendor"]

[workspace.package]
version = "0.1.0"
edition = "2024"

[workspace.lints.rust]
missing_docs = "warn"

[workspace.lints.clippy]
all = { level = "warn", priority = -1 }
todo = "warn"
"#,
    ),
    (
        "MODULE.bazel",
        r#"module(name = "fixture")

crate = use_extension("@rules_rust//crate_universe:extension.bzl", "crate")
crate.from_cargo(
    name = "crates",
    cargo_lockfile = "//:Cargo.lock",
    manifests = ["//:Cargo.toml"],
)
use_repo(crate, "crates")
"#,
    ),
    (
        "proto/Cargo.toml",
        r#"[package]
name = "fixture-proto"
version.workspace = true
edition.workspace = true

[lints]
workspace = true
"#,
    ),
    ("proto/src/lib.rs", ""),
    (
        "macros/Cargo.toml",
        r#"[package]
name = "fixture-macros"
version.workspace = true
edition.workspace = true

[lib]
proc-macro = true

[lints]
workspace = true
"#,
    ),
    ("macros/src/lib.rs", ""),
    (
        "services/alpha/Cargo.toml",
        r#"[package]
name = "fixture-alpha"
version.workspace = true
edition.workspace = true

[lints]
workspace = true

[dependencies]
fixture-proto = { path = "../../proto" }
outside = { path = "../../vendor/outside" }

[dev-dependencies]
helper = { path = "../../vendor/helper" }
"#,
    ),
    (
        "services/alpha/src/lib.rs",
        "mod inner;\n\n#[cfg(test)]\nmod tests {}\n",
    ),
    ("services/alpha/src/inner.rs", ""),
    ("services/alpha/src/main.rs", "fn main() {}\n"),
    ("services/alpha/tests/laws.rs", "mod common;\n"),
    ("services/alpha/tests/common/mod.rs", ""),
    // A workspace of its own, as cargo-fuzz makes them.
    (
        "services/alpha/fuzz/Cargo.toml",
        "[workspace]\n\n[package]\nname = \"fuzz\"\n",
    ),
];

/// Crates that are no members stand for those of crates.io.
const OUTSIDE: [&str; 3] = ["outside", "helper", "other"];

/// See the module.
pub struct Fixture {
    folder: TempDir,
    pub tools: Tools,
}

impl Fixture {
    /// # Panics
    /// If the BUILD files that `mend` makes of nothing are not in step.
    #[must_use]
    pub fn new() -> Self {
        // The error says which command installs them.
        let tools = Tools::find().unwrap_or_else(|error| panic!("{error}"));
        let fixture = Self {
            folder: tempfile::tempdir().unwrap(),
            tools,
        };
        for (path, text) in FILES {
            fixture.write(path, text);
        }
        for name in OUTSIDE {
            let manifest = format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\n");
            fixture.write(&format!("vendor/{name}/Cargo.toml"), &manifest);
            fixture.write(&format!("vendor/{name}/src/lib.rs"), "");
        }
        fixture.lock();
        assert_eq!(fixture.mend(), [""; 0]);
        fixture
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.root().join(path)).unwrap();
    }

    /// Replaces a text that must be there.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no {from:?}:\n{text}");
        self.write(path, &text.replacen(from, to, 1));
        if path.ends_with("Cargo.toml") {
            self.lock();
        }
    }

    pub fn append(&self, path: &str, more: &str) {
        let text = self.read(path);
        self.write(path, &(text + more));
        if path.ends_with("Cargo.toml") {
            self.lock();
        }
    }

    /// What the check finds, a line each.
    pub fn check(&self) -> Vec<String> {
        let findings = check(self.root(), &self.tools).unwrap();
        findings.iter().map(ToString::to_string).collect()
    }

    /// What a mend leaves.
    pub fn mend(&self) -> Vec<String> {
        let findings = mend(self.root(), &self.tools).unwrap();
        findings.iter().map(ToString::to_string).collect()
    }

    fn lock(&self) {
        let output = Command::new(env!("CARGO"))
            .args(["generate-lockfile", "--offline", "--quiet"])
            .current_dir(self.root())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
    }
}
