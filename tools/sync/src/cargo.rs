//! Cargo's side: the members, their targets and what each may use.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use cargo_metadata::{
    DependencyKind, Metadata, MetadataCommand, Node, Package, PackageId, Target, TargetKind,
    camino::{Utf8Path, Utf8PathBuf},
};

use crate::{error::Error, label::Label, manifest};

/// Optional crates of other platforms need not be fetched to check the files of this one,
/// for which Bazel builds.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// What Cargo says of the workspace.
pub(crate) struct Workspace {
    pub(crate) root: Utf8PathBuf,
    pub(crate) shared: manifest::Shared,
    /// By folder.
    pub(crate) members: Vec<Member>,
}

/// A package of the workspace.
pub(crate) struct Member {
    /// From the root, with `/`; also Bazel's package name.
    pub(crate) folder: String,
    pub(crate) edition: String,
    pub(crate) version: String,
    pub(crate) inherits_lints: bool,
    /// Those that are enabled when the whole workspace is built.
    pub(crate) features: BTreeSet<String>,
    pub(crate) targets: Vec<CrateTarget>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// What Cargo makes of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    BuildScript,
    Library,
    ProcMacro,
    Binary,
    Test,
    Example,
    Bench,
}

/// A target of a package.
pub(crate) struct CrateTarget {
    pub(crate) role: Role,
    /// As Cargo names it: a binary's has `-`, a library's `_`.
    pub(crate) name: String,
    /// Its root file, from the package's folder.
    pub(crate) root: Utf8PathBuf,
    /// Whether `cargo test` runs its unit tests.
    pub(crate) test: bool,
    /// Whether `cargo test` runs its documentation's examples.
    pub(crate) doctest: bool,
}

/// A direct dependency.
#[derive(Clone)]
pub(crate) struct Dependency {
    pub(crate) kind: DependencyKind,
    pub(crate) label: Label,
    /// Whether it is a member, whose BUILD file is one of ours.
    pub(crate) is_member: bool,
    pub(crate) proc_macro: bool,
    /// The name in Rust, where the manifest renames the package.
    pub(crate) alias: Option<String>,
}

impl Member {
    /// The library, if there is one.
    pub(crate) fn library(&self) -> Option<&CrateTarget> {
        self.targets
            .iter()
            .find(|target| matches!(target.role, Role::Library | Role::ProcMacro))
    }

    /// The library's label: named like its folder, unless a binary is.
    pub(crate) fn library_label(&self) -> Label {
        let folder = self.folder.rsplit('/').next().unwrap_or_default();
        let taken = self
            .targets
            .iter()
            .any(|target| target.role == Role::Binary && target.name == folder);
        let name = if taken || folder.is_empty() {
            format!("{folder}_lib").trim_start_matches('_').to_owned()
        } else {
            folder.to_owned()
        };
        Label::here(&self.folder, &name)
    }
}

impl Workspace {
    /// Asks cargo, without network and without changing the lock file.
    pub(crate) fn read(root: &Path) -> Result<Self, Error> {
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .other_options([
                "--offline".to_owned(),
                "--locked".to_owned(),
                format!("--filter-platform={PLATFORM}"),
            ])
            .exec()?;
        let shared = manifest::Shared::of(&manifest::read(root)?);
        let graph = Graph::of(&metadata)?;
        let mut members = Vec::new();
        for id in &metadata.workspace_members {
            members.push(graph.member(id)?);
        }
        members.sort_by(|a: &Member, b| a.folder.cmp(&b.folder));
        graph.name_dependencies(&mut members)?;
        Ok(Self {
            root: metadata.workspace_root.clone(),
            shared,
            members,
        })
    }
}

/// `cargo metadata`'s answer, by package.
struct Graph<'a> {
    root: &'a Utf8Path,
    packages: BTreeMap<&'a PackageId, &'a Package>,
    nodes: BTreeMap<&'a PackageId, &'a Node>,
    members: &'a [PackageId],
}

impl<'a> Graph<'a> {
    fn of(metadata: &'a Metadata) -> Result<Self, Error> {
        let resolve = metadata
            .resolve
            .as_ref()
            .ok_or_else(|| Error::Graph("no resolve graph".to_owned()))?;
        Ok(Self {
            root: &metadata.workspace_root,
            packages: metadata.packages.iter().map(|it| (&it.id, it)).collect(),
            nodes: resolve.nodes.iter().map(|it| (&it.id, it)).collect(),
            members: &metadata.workspace_members,
        })
    }

    fn package(&self, id: &PackageId) -> Result<&'a Package, Error> {
        let package = self.packages.get(id).copied();
        package.ok_or_else(|| Error::Graph(format!("{id} is no package")))
    }

    fn node(&self, id: &PackageId) -> Result<&'a Node, Error> {
        let node = self.nodes.get(id).copied();
        node.ok_or_else(|| Error::Graph(format!("{id} is not resolved")))
    }

    fn folder(&self, package: &'a Package) -> Result<&'a Utf8Path, Error> {
        package
            .manifest_path
            .parent()
            .and_then(|folder| folder.strip_prefix(self.root).ok())
            .ok_or_else(|| Error::Graph(format!("{} is outside of the root", package.name)))
    }

    /// A member, its dependencies still to be named.
    fn member(&self, id: &PackageId) -> Result<Member, Error> {
        let package = self.package(id)?;
        let features: BTreeSet<String> = self
            .node(id)?
            .features
            .iter()
            .map(ToString::to_string)
            .collect();
        let base = package.manifest_path.parent().unwrap_or(self.root);
        let targets = package
            .targets
            .iter()
            .filter(|target| {
                target
                    .required_features
                    .iter()
                    .all(|it| features.contains(it))
            })
            .filter_map(|target| crate_target(target, base))
            .collect();
        Ok(Member {
            folder: self.folder(package)?.to_string(),
            edition: package.edition.to_string(),
            version: package.version.to_string(),
            inherits_lints: manifest::inherits_lints(&manifest::read(base.as_std_path())?),
            features,
            targets,
            dependencies: Vec::new(),
        })
    }

    /// Gives every member its dependencies. A label depends on the other members: the hub
    /// tells versions of a crate apart only where the workspace uses several.
    fn name_dependencies(&self, members: &mut [Member]) -> Result<(), Error> {
        let libraries: BTreeMap<String, Label> = members
            .iter()
            .map(|member| (member.folder.clone(), member.library_label()))
            .collect();
        let mut edges = Vec::new();
        for id in self.members {
            let folder = self.folder(self.package(id)?)?.to_string();
            for dependency in &self.node(id)?.deps {
                let package = self.package(&dependency.pkg)?;
                edges.push((folder.clone(), dependency, package));
            }
        }
        let mut versions: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (_, edge, package) in &edges {
            if edge
                .dep_kinds
                .iter()
                .any(|it| it.kind != DependencyKind::Build)
            {
                let key = (package.name.to_string(), alias(&edge.name, package));
                versions.entry(key).or_default().insert(&package.version);
            }
        }
        for (folder, edge, package) in edges {
            let alias = alias(&edge.name, package);
            let is_member = self.members.contains(&edge.pkg);
            let label = if is_member {
                let library = libraries.get(self.folder(package)?.as_str());
                library
                    .cloned()
                    .ok_or_else(|| Error::Graph(format!("{} is no member", package.name)))?
            } else {
                let name = alias.clone().unwrap_or_else(|| package.name.to_string());
                let key = (package.name.to_string(), alias.clone());
                let several = versions.get(&key).is_some_and(|it| it.len() > 1);
                Label::external(&if several {
                    format!("{name}-{}", package.version)
                } else {
                    name
                })
            };
            let proc_macro = package.targets.iter().any(Target::is_proc_macro);
            let Some(member) = members.iter_mut().find(|it| it.folder == folder) else {
                continue;
            };
            let kinds: Vec<DependencyKind> = edge.dep_kinds.iter().map(|it| it.kind).collect();
            for kind in [
                DependencyKind::Normal,
                DependencyKind::Development,
                DependencyKind::Build,
            ] {
                if kinds.contains(&kind) {
                    member.dependencies.push(Dependency {
                        kind,
                        label: label.clone(),
                        is_member,
                        proc_macro,
                        alias: alias.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// The name of an edge of the graph, where the manifest chose it: no target of the package
/// bears it.
fn alias(name: &str, package: &Package) -> Option<String> {
    let own = package
        .targets
        .iter()
        .any(|target| target.name.replace('-', "_") == name);
    (!own).then(|| name.to_owned())
}

/// `None` for a C library alone, for which there is no rule of ours.
fn crate_target(target: &Target, base: &Utf8Path) -> Option<CrateTarget> {
    let role = target.kind.iter().find_map(|kind| match kind {
        TargetKind::CustomBuild => Some(Role::BuildScript),
        TargetKind::ProcMacro => Some(Role::ProcMacro),
        TargetKind::Lib | TargetKind::RLib => Some(Role::Library),
        TargetKind::Bin => Some(Role::Binary),
        TargetKind::Test => Some(Role::Test),
        TargetKind::Example => Some(Role::Example),
        TargetKind::Bench => Some(Role::Bench),
        _ => None,
    })?;
    let root = target.src_path.strip_prefix(base).ok()?.to_owned();
    Some(CrateTarget {
        role,
        name: target.name.clone(),
        root,
        test: target.test,
        doctest: target.doctest,
    })
}
