//! Holds the BUILD.bazel files to Cargo.toml.
//!
//! Cargo's manifests are the one source of targets, dependencies, features, edition and
//! lints. Bazel's files say the same in literal lists, so that they can be read, reviewed
//! and given to other tools; [`check`] finds where the two disagree and [`mend`] edits the
//! BUILD files with buildozer, which keeps what a hand wrote there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    cargo::{Member, Workspace},
    compare::{Compare, Outcome},
    error::At as _,
    expected::Package,
    label::Label,
    manifest::WORKSPACE_BZL,
};
pub use crate::{error::Error, manifest::find_root, report::Finding, tools::Tools};

mod cargo;
mod compare;
mod docs;
mod error;
mod expected;
mod files;
mod label;
mod manifest;
mod module_file;
mod modules;
mod report;
mod rules;
mod tools;

/// A BUILD file before its first rule: other packages read the manifest.
const NEW_FILE: &str = "exports_files([\"Cargo.toml\"])\n";

/// Where Cargo and Bazel disagree in the workspace at `root`; nothing is written.
///
/// # Errors
/// Where cargo or buildozer fails, or a file cannot be read.
pub fn check(root: &Path, tools: &Tools) -> Result<Vec<Finding>, Error> {
    Ok(Plan::of(root, tools)?.findings)
}

/// Mends the files and returns what is left for a hand.
///
/// # Errors
/// As [`check`], or where a file cannot be written.
pub fn mend(root: &Path, tools: &Tools) -> Result<Vec<Finding>, Error> {
    let plan = Plan::of(root, tools)?;
    if plan.is_empty() {
        return Ok(plan.findings);
    }
    for (path, text) in &plan.write {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).at(folder)?;
        }
        fs::write(path, text).at(path)?;
    }
    for commands in [&plan.commands, &plan.afterwards] {
        if !commands.is_empty() {
            tools.buildozer(root, &(commands.join("\n") + "\n"))?;
        }
    }
    tools.buildifier(&plan.touched)?;
    check(root, tools)
}

/// What is wrong, and what mends it.
#[derive(Default)]
struct Plan {
    findings: Vec<Finding>,
    /// Files to write whole.
    write: Vec<(PathBuf, String)>,
    /// buildozer's commands, after the writing.
    commands: Vec<String>,
    /// More of them, for a second run.
    afterwards: Vec<String>,
    /// Files to format after both.
    touched: Vec<PathBuf>,
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.write.is_empty() && self.commands.is_empty()
    }

    fn of(root: &Path, tools: &Tools) -> Result<Self, Error> {
        let workspace = Workspace::read(root)?;
        let mut plan = Self::default();
        plan.shared(&workspace)?;
        for member in &workspace.members {
            plan.inherited(member, &workspace);
        }
        plan.build_files(&workspace, tools)?;
        let folders: Vec<_> = workspace
            .members
            .iter()
            .map(|it| it.folder.as_str())
            .collect();
        let root = workspace.root.as_std_path();
        let (findings, commands) = module_file::compare(tools, root, &folders)?;
        plan.findings.extend(findings);
        if !commands.is_empty() {
            plan.touched.push(root.join("MODULE.bazel"));
        }
        plan.commands.extend(commands);
        Ok(plan)
    }

    /// The file that the macros load.
    fn shared(&mut self, workspace: &Workspace) -> Result<(), Error> {
        let path = workspace.root.join(WORKSPACE_BZL).into_std_path_buf();
        let wanted = workspace.shared.to_starlark();
        let now = match fs::exists(&path).at(&path)? {
            true => fs::read_to_string(&path).at(&path)?,
            false => String::new(),
        };
        if now != wanted {
            let (cargo, build) = difference(&wanted, &now);
            self.findings.push(Finding::of(WORKSPACE_BZL, cargo, build));
            self.write.push((path, wanted));
        }
        Ok(())
    }

    /// What a member must take from the workspace, for all BUILD files do.
    fn inherited(&mut self, member: &Member, workspace: &Workspace) {
        let file = format!("{}/Cargo.toml", member.folder);
        let shared = &workspace.shared;
        for (attribute, own, all, what) in [
            (
                "edition",
                &member.edition,
                &shared.edition,
                "write `edition.workspace = true`",
            ),
            (
                "version",
                &member.version,
                &shared.version,
                "write `version.workspace = true`",
            ),
        ] {
            if own != all {
                let finding = Finding::of(&file, own, format!("{all}, as all members"));
                let finding = finding.attribute(attribute);
                self.findings.push(finding.by_hand(what));
            }
        }
        if !member.inherits_lints {
            let build = "those of [workspace.lints], as for all members";
            let finding = Finding::of(&file, "lints of its own", build).attribute("lints");
            self.findings
                .push(finding.by_hand("write `workspace = true` in [lints]"));
        }
    }

    fn build_files(&mut self, workspace: &Workspace, tools: &Tools) -> Result<(), Error> {
        let root = workspace.root.as_std_path();
        let mut packages = Vec::new();
        for member in &workspace.members {
            let label = member.library_label();
            let dependents: Vec<_> = workspace
                .members
                .iter()
                .filter(|it| it.folder != member.folder)
                .filter(|it| it.dependencies.iter().any(|it| it.label == label))
                .map(|it| it.folder.as_str())
                .collect();
            packages.push(Package::of(&workspace.root, member, &dependents)?);
        }
        let managed: BTreeSet<Label> = workspace
            .members
            .iter()
            .zip(&packages)
            .flat_map(|(member, package)| {
                let rules = package.rules.iter();
                rules.map(|rule| Label::here(&member.folder, &rule.name))
            })
            .collect();
        let exists = |member: &&Member| root.join(&member.folder).join("BUILD.bazel").is_file();
        let existing: Vec<_> = workspace.members.iter().filter(exists).collect();
        let names: Vec<_> = existing.iter().map(|it| it.folder.as_str()).collect();
        let rules = rules::read(tools, root, &names)?;
        for (member, expected) in workspace.members.iter().zip(&packages) {
            let compare = Compare {
                root: &workspace.root,
                package: &member.folder,
                expected,
                managed: &managed,
            };
            let path = root.join(compare.file());
            let outcome = match rules.get(&member.folder) {
                Some(rules) => {
                    let text = fs::read_to_string(&path).at(&path)?;
                    compare.with(rules, &text)
                }
                None => {
                    self.write.push((path.clone(), NEW_FILE.to_owned()));
                    compare.missing()
                }
            };
            self.add(outcome, path);
        }
        Ok(())
    }

    fn add(&mut self, outcome: Outcome, path: PathBuf) {
        if !outcome.commands.is_empty() {
            self.touched.push(path);
        }
        self.findings.extend(outcome.findings);
        self.commands.extend(outcome.commands);
        self.afterwards.extend(outcome.afterwards);
    }
}

/// The lines that only one of two texts has, for a message.
fn difference(wanted: &str, now: &str) -> (String, String) {
    let only = |text: &str, other: &str| {
        let has = |line: &str| other.lines().any(|it| it == line);
        let lines = text.lines().filter(|line| !line.is_empty() && !has(line));
        let lines: Vec<_> = lines
            .map(|line| line.trim().trim_end_matches(','))
            .collect();
        if lines.is_empty() {
            "nothing more".to_owned()
        } else {
            format!("also {}", lines.join(", "))
        }
    };
    if now.is_empty() {
        return (
            "what all crates share".to_owned(),
            "nothing: the file is missing".to_owned(),
        );
    }
    let (cargo, build) = (only(wanted, now), only(now, wanted));
    if cargo == build {
        return (
            "the lines in another order".to_owned(),
            "this order".to_owned(),
        );
    }
    (cargo, build)
}
