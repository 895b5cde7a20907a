//! What `cargo metadata` does not tell: lints, and what the root manifest shares.
//!
//! The result is `tools/build_defs/workspace.bzl`, which the rules' macros load.

use std::{
    cmp::Reverse,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use crate::error::{At as _, Error};

/// Where the generated file is, from the root.
pub(crate) const WORKSPACE_BZL: &str = "tools/build_defs/workspace.bzl";

/// `[workspace.package]` and `[workspace.lints]`.
#[derive(Debug, PartialEq)]
pub(crate) struct Shared {
    pub(crate) edition: String,
    pub(crate) version: String,
    /// Flags for rustc, in the order in which Cargo gives them.
    rustc: Vec<String>,
    /// Flags for clippy, likewise.
    clippy: Vec<String>,
}

/// The nearest folder, from `from` upwards, whose manifest lists workspace members.
///
/// A workspace without members, as cargo-fuzz makes them, is passed by.
///
/// # Errors
/// Where there is none, or a manifest on the way is not TOML.
pub fn find_root(from: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(from).at(from)?;
    for folder in absolute.ancestors() {
        if folder.join("Cargo.toml").is_file() {
            let manifest = read(folder)?;
            if table(&manifest, &["workspace"]).is_some_and(|it| it.contains_key("members")) {
                return Ok(folder.to_owned());
            }
        }
    }
    Err(Error::NoWorkspace(absolute))
}

/// Reads `folder/Cargo.toml`.
pub(crate) fn read(folder: &Path) -> Result<Table, Error> {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).at(&path)?;
    text.parse().map_err(|source| Error::Manifest {
        path,
        source: Box::new(source),
    })
}

/// Whether a member says `[lints] workspace = true`.
pub(crate) fn inherits_lints(manifest: &Table) -> bool {
    table(manifest, &["lints"])
        .and_then(|lints| lints.get("workspace"))
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

impl Shared {
    /// Reads the root manifest's tables. A missing edition or version is empty, so that
    /// every member differs from it.
    pub(crate) fn of(root: &Table) -> Self {
        let package = |key: &str| {
            table(root, &["workspace", "package"])
                .and_then(|package| package.get(key))
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let lints = |tools: &[&str]| {
            let mut flags: Vec<_> = tools
                .iter()
                .flat_map(|tool| {
                    table(root, &["workspace", "lints", tool])
                        .into_iter()
                        .flatten()
                        .map(|(name, lint)| Flag::of(tool, name, lint))
                })
                .collect();
            // Cargo's own order: by priority; within one, backwards by name, so that a
            // group like `all` comes last and its user notices that it needs a priority.
            flags.sort_by_cached_key(|flag| (flag.priority, Reverse(flag.name.clone())));
            flags.into_iter().flat_map(|flag| flag.words).collect()
        };
        Self {
            edition: package("edition"),
            version: package("version"),
            rustc: lints(&["rust", "rustdoc"]),
            clippy: lints(&["clippy"]),
        }
    }

    /// The text of `workspace.bzl`, as buildifier formats it.
    pub(crate) fn to_starlark(&self) -> String {
        let mut text = String::from(
            "\"\"\"What Cargo.toml says of every crate. Written by `make sync`; do not edit.\"\"\"\n",
        );
        let _ = write!(text, "\nEDITION = {:?}\n", self.edition);
        let _ = write!(text, "\nVERSION = {:?}\n", self.version);
        for (name, flags) in [("RUSTC_LINTS", &self.rustc), ("CLIPPY_LINTS", &self.clippy)] {
            let _ = match flags.as_slice() {
                [] => write!(text, "\n{name} = []\n"),
                [flag] => write!(text, "\n{name} = [{flag:?}]\n"),
                flags => {
                    let _ = write!(text, "\n{name} = [\n");
                    for flag in flags {
                        let _ = writeln!(text, "    {flag:?},");
                    }
                    writeln!(text, "]")
                }
            };
        }
        text
    }
}

/// One lint's flags.
struct Flag {
    priority: i64,
    name: String,
    words: Vec<String>,
}

impl Flag {
    /// `lint` is a level, or a table of `level`, `priority` and `check-cfg`.
    fn of(tool: &str, name: &str, lint: &Value) -> Self {
        let field = |key: &str| lint.as_table().and_then(|lint| lint.get(key));
        let level = lint
            .as_str()
            .or_else(|| field("level").and_then(Value::as_str));
        let letter = match level {
            Some("allow") => "A",
            Some("deny") => "D",
            Some("forbid") => "F",
            _ => "W",
        };
        let scope = match tool {
            "rust" => String::new(),
            tool => format!("{tool}::"),
        };
        let mut words = vec![format!("-{letter}{scope}{name}")];
        let configurations = field("check-cfg").and_then(Value::as_array);
        for configuration in configurations.into_iter().flatten() {
            if let Some(configuration) = configuration.as_str() {
                words.push(format!("--check-cfg={configuration}"));
            }
        }
        Self {
            priority: field("priority")
                .and_then(Value::as_integer)
                .unwrap_or_default(),
            name: name.to_owned(),
            words,
        }
    }
}

fn table<'a>(manifest: &'a Table, path: &[&str]) -> Option<&'a Table> {
    path.iter().try_fold(manifest, |table, key| {
        table.get(*key).and_then(Value::as_table)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lints_come_in_the_order_in_which_cargo_gives_them() {
        let root: Table = r#"
            [workspace.package]
            edition = "2024"
            version = "1.2.3"
            [workspace.lints.rust]
            missing_docs = "warn"
            unexpected_cfgs = { level = "deny", priority = 1, check-cfg = ["cfg(fuzzing)"] }
            [workspace.lints.rustdoc]
            bare_urls = "forbid"
            [workspace.lints.clippy]
            all = { level = "warn", priority = -1 }
            dbg_macro = "deny"
            todo = "allow"
        "#
        .parse()
        .unwrap();
        let shared = Shared::of(&root);
        assert_eq!(
            shared.rustc,
            [
                "-Wmissing_docs",
                "-Frustdoc::bare_urls",
                "-Dunexpected_cfgs",
                "--check-cfg=cfg(fuzzing)"
            ]
        );
        assert_eq!(
            shared.clippy,
            ["-Wclippy::all", "-Aclippy::todo", "-Dclippy::dbg_macro"]
        );
    }

    #[test]
    fn the_starlark_file_is_as_buildifier_writes_it() {
        let shared = Shared {
            edition: "2024".to_owned(),
            version: "0.1.0".to_owned(),
            rustc: vec!["-Wa".to_owned(), "-Wb".to_owned()],
            clippy: Vec::new(),
        };
        assert!(shared.to_starlark().ends_with(
            "\n\nEDITION = \"2024\"\n\nVERSION = \"0.1.0\"\n\nRUSTC_LINTS = [\n    \"-Wa\",\n    \"-Wb\",\n]\n\nCLIPPY_LINTS = []\n"
        ));
    }
}
