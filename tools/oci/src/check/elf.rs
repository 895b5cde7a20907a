//! Plays the dynamic linker: finds each library that each ELF file needs, and looks for the
//! symbol versions that it needs in it, as `ld.so` would at start.

use std::collections::BTreeSet;

use super::Finding;
use crate::{
    ImagePath, Tree,
    elf::Elf,
    path::follow,
    tree::{Kind, Node},
};

/// Where `ld.so` looks without a cache: Debian's multiarch folders, then those of others.
const DIRECTORIES: &[&str] = &[
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "lib/aarch64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "lib64",
    "usr/lib64",
    "lib",
    "usr/lib",
];

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, node) in &tree.nodes {
        match parsed(node) {
            Some(Ok(elf)) => one(tree, path, elf, &mut findings),
            Some(Err(reason)) => findings.push(Finding::UnreadableElf {
                path: path.clone(),
                reason: reason.clone(),
            }),
            None => {}
        }
    }
    findings
}

fn parsed(node: &Node) -> Option<&Result<Elf, String>> {
    match &node.kind {
        Kind::Elf(elf) => Some(elf),
        _ => None,
    }
}

fn one(tree: &Tree, path: &ImagePath, elf: &Elf, findings: &mut Vec<Finding>) {
    if let Some(interpreter) = &elf.interpreter {
        let there = ImagePath::parse(interpreter)
            .ok()
            .and_then(|path| tree.resolve(&path))
            .is_some_and(|(_, node)| matches!(parsed(node), Some(Ok(_))) && node.mode & 0o111 != 0);
        if !there {
            findings.push(Finding::NoInterpreter {
                path: path.clone(),
                interpreter: interpreter.clone(),
            });
        }
    }
    let needed: BTreeSet<&String> = elf.needed.iter().chain(elf.needs.keys()).collect();
    for library in needed {
        let Some(found) = find(tree, path, elf, library) else {
            findings.push(Finding::NoLibrary {
                path: path.clone(),
                library: library.clone(),
            });
            continue;
        };
        for version in elf.needs.get(library).into_iter().flatten() {
            if !found.provides.contains(version) {
                findings.push(Finding::NoVersion {
                    path: path.clone(),
                    library: library.clone(),
                    version: version.clone(),
                    newest: newest(&found.provides, version),
                });
            }
        }
    }
}

fn find<'t>(tree: &'t Tree, path: &ImagePath, elf: &Elf, library: &str) -> Option<&'t Elf> {
    let origin = path
        .parent()
        .map_or_else(|| "/".to_owned(), |parent| format!("/{parent}"));
    let searched = elf.search_from(&origin);
    // A name with a slash is a path and is not searched for.
    let names: Vec<String> = if library.contains('/') {
        vec![library.to_owned()]
    } else {
        let directories = searched
            .iter()
            .map(String::as_str)
            .chain(DIRECTORIES.iter().copied());
        directories
            .map(|directory| format!("{directory}/{library}"))
            .collect()
    };
    names.iter().find_map(|name| {
        let name = ImagePath::parse(&follow(None, name).join("/")).ok()?;
        let (_, node) = tree.resolve(&name)?;
        // One for another machine is passed over.
        let found = parsed(node)?.as_ref().ok()?;
        (found.machine == elf.machine).then_some(found)
    })
}

/// The newest version of the same name space, as `GLIBC_2.36` is of `GLIBC_*`.
fn newest(provided: &BTreeSet<String>, wanted: &str) -> String {
    let space = wanted.split('_').next().unwrap_or(wanted);
    provided
        .iter()
        .filter_map(|version| {
            let number = version.strip_prefix(space)?.strip_prefix('_')?;
            let number: Option<Vec<u32>> =
                number.split('.').map(|part| part.parse().ok()).collect();
            Some((number?, version))
        })
        .max()
        .map_or_else(|| "none".to_owned(), |(_, version)| version.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    const AMD64: (u16, bool) = (62, true);
    const ARM64: (u16, bool) = (183, true);

    fn set(versions: &[&str]) -> BTreeSet<String> {
        versions
            .iter()
            .map(|version| (*version).to_owned())
            .collect()
    }

    fn library(machine: (u16, bool), provides: &[&str]) -> Elf {
        Elf {
            machine,
            soname: Some("libc.so.6".to_owned()),
            provides: set(provides),
            ..Elf::default()
        }
    }

    fn program(version: &str) -> Elf {
        Elf {
            machine: AMD64,
            interpreter: Some("/lib64/ld-linux-x86-64.so.2".to_owned()),
            needed: vec!["libc.so.6".to_owned()],
            needs: BTreeMap::from([("libc.so.6".to_owned(), set(&[version]))]),
            ..Elf::default()
        }
    }

    fn found(files: Vec<(&str, Elf)>) -> Vec<String> {
        let mut tree = Tree::new();
        for (path, elf) in files {
            let node = Node {
                kind: Kind::Elf(Box::new(Ok(elf))),
                mode: 0o755,
                uid: 0,
                gid: 0,
                capabilities: false,
            };
            tree.nodes.insert(ImagePath::parse(path).unwrap(), node);
        }
        findings(&tree).iter().map(Finding::to_string).collect()
    }

    const LOADER: &str = "lib64/ld-linux-x86-64.so.2";
    const LIBC: &str = "usr/lib/x86_64-linux-gnu/libc.so.6";

    #[test]
    fn a_program_with_all_that_it_needs_is_fine() {
        let files = vec![
            ("usr/bin/x", program("GLIBC_2.34")),
            (LOADER, library(AMD64, &[])),
            (LIBC, library(AMD64, &["GLIBC_2.2.5", "GLIBC_2.34"])),
        ];
        assert_eq!(found(files), [""; 0]);
    }

    #[test]
    fn a_libc_that_is_too_old_is_named_with_its_newest_version() {
        let files = vec![
            ("usr/bin/x", program("GLIBC_2.38")),
            (LOADER, library(AMD64, &[])),
            (
                LIBC,
                library(AMD64, &["GLIBC_2.4", "GLIBC_2.36", "GLIBC_PRIVATE"]),
            ),
        ];
        let found = found(files);
        assert_eq!(found.len(), 1, "{found:?}");
        let start =
            "/usr/bin/x needs GLIBC_2.38 of libc.so.6, and the image's has GLIBC_2.36 at most";
        assert!(found[0].starts_with(start), "{found:?}");
    }

    #[test]
    fn a_library_that_is_absent_or_for_another_machine_is_named() {
        let files = vec![
            ("usr/bin/x", program("GLIBC_2.34")),
            (LIBC, library(ARM64, &["GLIBC_2.34"])),
        ];
        let found = found(files);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("the dynamic linker /lib64/ld-linux-x86-64.so.2"));
        assert!(found[1].contains("/usr/bin/x needs libc.so.6"));
    }

    #[test]
    fn a_run_path_from_the_origin_is_searched() {
        let mut elf = program("GLIBC_2.34");
        elf.search = vec!["$ORIGIN/../private".to_owned()];
        let files = vec![
            ("opt/bin/x", elf),
            (LOADER, library(AMD64, &[])),
            ("opt/private/libc.so.6", library(AMD64, &["GLIBC_2.34"])),
        ];
        assert_eq!(found(files), [""; 0]);
    }
}
