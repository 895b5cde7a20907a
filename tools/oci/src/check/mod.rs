//! Refuses an image that holds what an attacker could use, or lacks what its program needs.

mod elf;
mod finding;

use std::path::Path;

pub use self::finding::Finding;
use crate::{
    ImagePath, OciError, Tree,
    image::NONROOT,
    layout::Layout,
    tree::{Kind, Node},
};

const SHELLS: &[&str] = &[
    "ash", "bash", "busybox", "csh", "dash", "elvish", "fish", "ksh", "ksh93", "lksh", "mksh",
    "nu", "oksh", "posh", "pwsh", "rbash", "rksh", "sash", "sh", "tcsh", "toybox", "yash", "zsh",
];

const PACKAGE_MANAGERS: &[&str] = &[
    "apk",
    "apt",
    "apt-get",
    "aptitude",
    "brew",
    "cargo",
    "conda",
    "dnf",
    "dnf5",
    "dpkg",
    "flatpak",
    "gem",
    "guix",
    "microdnf",
    "nix-env",
    "npm",
    "opkg",
    "pacman",
    "pip",
    "pip3",
    "rpm",
    "snap",
    "tdnf",
    "urpmi",
    "xbps-install",
    "yum",
    "zypper",
];

/// Who runs in the image and what may be executable there.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Numeric user and group.
    pub user: (u64, u64),
    /// Executables beside the shared libraries and the dynamic linker.
    pub executables: Vec<ImagePath>,
}

impl Rules {
    /// For `uid:gid` as an image's configuration has it.
    ///
    /// # Errors
    ///
    /// If it is not numeric.
    pub fn for_user(user: &str) -> Result<Self, OciError> {
        let ids = user
            .split_once(':')
            .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
        let user = ids.ok_or_else(|| {
            let reason = format!("{user:?} is not numeric uid:gid; build the image with {NONROOT}");
            OciError::invalid("user", reason)
        })?;
        Ok(Self {
            user,
            executables: Vec::new(),
        })
    }
}

/// Everything that is wrong with a file tree, sorted.
#[must_use]
pub fn tree(tree: &Tree, rules: &Rules) -> Vec<Finding> {
    let mut findings = elf::findings(tree);
    let allowed: Vec<ImagePath> = rules
        .executables
        .iter()
        .filter_map(|path| Some(tree.resolve(path)?.0))
        .collect();
    for (path, node) in &tree.nodes {
        rights(path, node, rules, &mut findings);
        tools(path, node, &allowed, &mut findings);
    }
    findings.sort();
    findings.dedup();
    findings
}

/// Everything that is wrong with the image of a layout: its file tree, its user, its
/// entrypoint. `executables` are allowed beside the entrypoint.
///
/// # Errors
///
/// If the layout cannot be read.
pub fn layout(root: &Path, executables: &[ImagePath]) -> Result<Vec<Finding>, OciError> {
    let layout = Layout::open(root)?;
    let (manifest, config) = layout.image(None)?;
    let mut files = Tree::new();
    for layer in &manifest.layers {
        layout.unpack(layer, &mut files)?;
    }
    let run = config.config;
    let mut rules = match Rules::for_user(&run.user) {
        Ok(rules) if rules.user.0 != 0 && rules.user.1 != 0 => rules,
        _ => return Ok(vec![Finding::User { user: run.user }]),
    };
    rules.executables = executables.to_vec();

    let program = run
        .entrypoint
        .unwrap_or_default()
        .into_iter()
        .next()
        .unwrap_or_default();
    let entrypoint = ImagePath::parse(&program)
        .ok()
        .and_then(|path| files.resolve(&path).map(|(_, node)| (path, node)));
    let mut findings = match &entrypoint {
        Some((_, node)) if is_executable(node) && matches!(node.kind, Kind::Elf(_)) => Vec::new(),
        _ => vec![Finding::Entrypoint { program }],
    };
    rules.executables.extend(entrypoint.map(|(path, _)| path));
    findings.extend(tree(&files, &rules));
    Ok(findings)
}

fn is_executable(node: &Node) -> bool {
    node.mode & 0o111 != 0 && matches!(node.kind, Kind::File | Kind::Elf(_))
}

/// Who may change it, and whom it makes of those who run it.
fn rights(path: &ImagePath, node: &Node, rules: &Rules, findings: &mut Vec<Finding>) {
    let path = path.clone();
    if matches!(node.kind, Kind::Special) {
        findings.push(Finding::Special { path });
        return;
    }
    if matches!(node.kind, Kind::Symlink(_)) {
        return; // a symlink has no rights of its own
    }
    if node.mode & 0o6000 != 0 && !matches!(node.kind, Kind::Directory) {
        let mode = node.mode;
        findings.push(Finding::SetId {
            path: path.clone(),
            mode,
        });
    }
    if node.capabilities {
        findings.push(Finding::Capabilities { path: path.clone() });
    }
    let (uid, gid) = rules.user;
    if node.mode & 0o002 != 0 {
        findings.push(Finding::WorldWritable { path });
    } else if node.uid == uid {
        // An owner may write, for he may change the mode.
        findings.push(Finding::OwnedByUser { path, uid });
    } else if node.gid == gid && node.mode & 0o020 != 0 {
        findings.push(Finding::GroupWritable { path, gid });
    }
}

/// What could be run that is not the program.
fn tools(path: &ImagePath, node: &Node, allowed: &[ImagePath], findings: &mut Vec<Finding>) {
    let name = path.file_name();
    let runs = is_executable(node) || matches!(node.kind, Kind::Symlink(_));
    if runs && SHELLS.contains(&name) {
        findings.push(Finding::Shell { path: path.clone() });
    } else if runs && PACKAGE_MANAGERS.contains(&name) {
        findings.push(Finding::PackageManager { path: path.clone() });
    } else if is_executable(node) && !is_library(node) && !allowed.contains(path) {
        findings.push(Finding::Executable { path: path.clone() });
    }
}

fn is_library(node: &Node) -> bool {
    match &node.kind {
        Kind::Elf(elf) => elf.as_ref().as_ref().is_ok_and(|elf| elf.is_library()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn node(kind: Kind, mode: u32, uid: u64, gid: u64) -> Node {
        Node {
            kind,
            mode,
            uid,
            gid,
            capabilities: false,
        }
    }

    fn findings(path: &str, node: Node) -> Vec<Finding> {
        let mut files = Tree::new();
        files.nodes.insert(ImagePath::parse(path).unwrap(), node);
        tree(&files, &Rules::for_user(NONROOT).unwrap())
    }

    #[test]
    fn an_ordinary_file_of_root_is_fine() {
        assert_eq!(findings("etc/passwd", node(Kind::File, 0o644, 0, 0)), []);
        assert_eq!(findings("etc", node(Kind::Directory, 0o755, 0, 0)), []);
        assert_eq!(
            findings("etc/link", node(Kind::Symlink("x".into()), 0o777, 0, 0)),
            []
        );
        // A group that the user is not in.
        assert_eq!(
            findings("var/mail", node(Kind::Directory, 0o2775, 0, 8)),
            []
        );
    }

    #[test]
    fn shells_and_package_managers_are_found_wherever_they_lie() {
        let shell = findings("opt/tools/busybox", node(Kind::File, 0o755, 0, 0));
        assert!(matches!(shell[..], [Finding::Shell { .. }]), "{shell:?}");
        let shell = findings("bin/sh", node(Kind::Symlink("/opt/x".into()), 0o777, 0, 0));
        assert!(matches!(shell[..], [Finding::Shell { .. }]), "{shell:?}");
        let manager = findings("usr/bin/apt-get", node(Kind::File, 0o755, 0, 0));
        assert!(
            matches!(manager[..], [Finding::PackageManager { .. }]),
            "{manager:?}"
        );
        // A file that merely has such a name, like a completion, does not run.
        assert_eq!(
            findings("usr/share/doc/bash", node(Kind::File, 0o644, 0, 0)),
            []
        );
    }

    #[test]
    fn a_renamed_tool_is_found_because_it_is_not_the_program() {
        let tool = findings("usr/bin/innocent", node(Kind::File, 0o755, 0, 0));
        assert!(matches!(tool[..], [Finding::Executable { .. }]), "{tool:?}");
    }

    #[test]
    fn what_is_writable_is_found_whoever_may_write() {
        let world = findings("tmp", node(Kind::Directory, 0o1777, 0, 0));
        assert!(
            matches!(world[..], [Finding::WorldWritable { .. }]),
            "{world:?}"
        );
        let own = findings("home/x", node(Kind::File, 0o444, 65532, 0));
        assert!(matches!(own[..], [Finding::OwnedByUser { .. }]), "{own:?}");
        let group = findings("data", node(Kind::Directory, 0o775, 0, 65532));
        assert!(
            matches!(group[..], [Finding::GroupWritable { .. }]),
            "{group:?}"
        );
    }

    #[test]
    fn set_id_capabilities_and_devices_are_found() {
        let setuid = findings("usr/share/x", node(Kind::File, 0o4644, 0, 0));
        assert!(matches!(setuid[..], [Finding::SetId { .. }]), "{setuid:?}");
        let mut capable = node(Kind::File, 0o644, 0, 0);
        capable.capabilities = true;
        let capable = findings("usr/share/x", capable);
        assert!(
            matches!(capable[..], [Finding::Capabilities { .. }]),
            "{capable:?}"
        );
        let device = findings("dev/kmem", node(Kind::Special, 0o600, 0, 0));
        assert!(
            matches!(device[..], [Finding::Special { .. }]),
            "{device:?}"
        );
    }

    #[test]
    fn each_message_names_the_file_and_the_fix() {
        for finding in findings("tmp", node(Kind::Directory, 0o1777, 0, 0)) {
            let text = finding.to_string();
            assert!(text.contains("/tmp") && text.contains(';'), "{text}");
        }
    }
}
