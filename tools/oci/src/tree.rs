//! The file tree that a container sees: layers laid over one another, whiteouts heeded.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::Path,
};

use tar::EntryType;

use crate::{
    ImagePath, OciError,
    elf::{self, Elf},
    files,
    layer::WHITEOUT,
    path::follow,
};

const OPAQUE: &str = ".wh..wh..opq";
const CAPABILITIES: &str = "SCHILY.xattr.security.capability";
// As Linux.
const MAX_LINKS: u32 = 40;

/// A file tree with what matters of each file to those who judge it.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    pub(crate) nodes: BTreeMap<ImagePath, Node>,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// The permission bits with set-user-id, set-group-id and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Whether it carries file capabilities.
    pub(crate) capabilities: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Directory,
    /// Some file that is no ELF.
    File,
    Elf(Box<Result<Elf, String>>),
    Symlink(String),
    /// A device or a pipe.
    Special,
}

impl Tree {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lays an uncompressed layer over what is there; `name` is for messages.
    ///
    /// # Errors
    ///
    /// If it is no tar archive or names a file outside of the image.
    pub fn apply(&mut self, layer: impl Read, name: &Path) -> Result<(), OciError> {
        let malformed = |error: io::Error| OciError::malformed(name, error);
        // A whiteout hides what lies below its layer, not what the layer itself brings, in
        // whichever order the two come.
        let mut added: BTreeMap<ImagePath, Node> = BTreeMap::new();
        let mut archive = tar::Archive::new(layer);
        for entry in archive.entries().map_err(malformed)? {
            let mut entry = entry.map_err(malformed)?;
            let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if raw.trim_matches(['/', '.']).is_empty() {
                continue; // the root itself
            }
            let path = ImagePath::parse(&raw)?;
            if path.file_name() == OPAQUE {
                if let Some(parent) = path.parent() {
                    self.remove_below(&parent);
                }
                continue;
            }
            if let Some(hidden) = path.file_name().strip_prefix(WHITEOUT) {
                let hidden = match path.parent() {
                    Some(parent) => parent.join(hidden)?,
                    None => ImagePath::parse(hidden)?,
                };
                self.remove_below(&hidden);
                self.nodes.remove(&hidden);
                continue;
            }
            let node = read_node(&mut entry, |target| {
                added
                    .get(target)
                    .or_else(|| self.nodes.get(target))
                    .cloned()
            })
            .map_err(|reason| OciError::malformed(name, format!("/{path}: {reason}")))?;
            added.insert(path, node);
        }
        for (path, node) in added {
            if !matches!(node.kind, Kind::Directory) {
                self.remove_below(&path);
            }
            self.nodes.insert(path, node);
        }
        Ok(())
    }

    /// Lays a layer from a file over what is there.
    ///
    /// # Errors
    ///
    /// As [`Tree::apply`].
    pub fn apply_file(&mut self, layer: &Path) -> Result<(), OciError> {
        self.apply(files::open(layer)?, layer)
    }

    fn remove_below(&mut self, directory: &ImagePath) {
        let prefix = format!("{directory}/");
        self.nodes
            .retain(|path, _| !path.as_str().starts_with(&prefix));
    }

    /// The file that a name leads to when its symlinks are followed.
    pub(crate) fn resolve(&self, path: &ImagePath) -> Option<(ImagePath, &Node)> {
        let mut rest: Vec<String> = path.as_str().split('/').rev().map(str::to_owned).collect();
        let mut here: Option<ImagePath> = None;
        let mut links = 0;
        while let Some(part) = rest.pop() {
            let next = match &here {
                Some(directory) => directory.join(&part).ok()?,
                None => ImagePath::parse(&part).ok()?,
            };
            match self.nodes.get(&next).map(|node| &node.kind) {
                Some(Kind::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    rest.extend(follow(here.as_ref(), target).into_iter().rev());
                    here = None;
                }
                _ => here = Some(next),
            }
        }
        let here = here?;
        let node = self.nodes.get(&here)?;
        Some((here, node))
    }
}

fn read_node(
    entry: &mut tar::Entry<'_, impl Read>,
    there: impl Fn(&ImagePath) -> Option<Node>,
) -> Result<Node, String> {
    let text = |error: io::Error| error.to_string();
    let mut capabilities = false;
    if let Some(extensions) = entry.pax_extensions().map_err(text)? {
        for extension in extensions {
            let extension = extension.map_err(text)?;
            capabilities |= extension.key_bytes() == CAPABILITIES.as_bytes();
        }
    }
    let header = entry.header();
    let mode = header.mode().map_err(text)? & 0o7777;
    let (uid, gid) = (header.uid().map_err(text)?, header.gid().map_err(text)?);
    let link = entry
        .link_name_bytes()
        .map(|target| String::from_utf8_lossy(&target).into_owned());
    let kind = match header.entry_type() {
        EntryType::Directory => Kind::Directory,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            read_file(entry).map_err(text)?
        }
        EntryType::Symlink => Kind::Symlink(link.unwrap_or_default()),
        EntryType::Link => {
            let target = link.unwrap_or_default();
            return ImagePath::parse(&target)
                .ok()
                .and_then(|target| there(&target))
                .ok_or_else(|| format!("a hard link to {target}, which is not there"));
        }
        _ => Kind::Special,
    };
    Ok(Node {
        kind,
        mode,
        uid,
        gid,
        capabilities,
    })
}

/// Only programs are read whole.
fn read_file(entry: &mut impl Read) -> io::Result<Kind> {
    let mut bytes = Vec::new();
    entry.by_ref().take(4).read_to_end(&mut bytes)?;
    if !elf::is_elf(&bytes) {
        return Ok(Kind::File);
    }
    entry.read_to_end(&mut bytes)?;
    Ok(Kind::Elf(Box::new(Elf::parse(&bytes))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::layer::{Content, Layer};

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).unwrap()
    }

    fn apply(tree: &mut Tree, files: &[&str], links: &[(&str, &str)]) {
        let mut layer = Layer::new();
        for file in files {
            layer
                .file(path(file), false, Content::Bytes(Vec::new()))
                .unwrap();
        }
        for (link, target) in links {
            layer.symlink(path(link), target).unwrap();
        }
        let mut bytes = Vec::new();
        layer.write_to(&mut bytes, Path::new("test")).unwrap();
        tree.apply(bytes.as_slice(), Path::new("test")).unwrap();
    }

    fn names(tree: &Tree) -> Vec<&str> {
        tree.nodes.keys().map(ImagePath::as_str).collect()
    }

    #[test]
    fn a_whiteout_hides_a_file_and_all_below_a_directory() {
        let mut tree = Tree::new();
        apply(&mut tree, &["a/x", "a/y", "b/x", "c"], &[]);
        apply(&mut tree, &["a/.wh.x", ".wh.b"], &[]);
        assert_eq!(names(&tree), ["a", "a/y", "c"]);
    }

    #[test]
    fn an_opaque_directory_keeps_only_what_its_own_layer_brings() {
        let mut tree = Tree::new();
        apply(&mut tree, &["a/x", "a/y"], &[]);
        apply(&mut tree, &["a/.wh..wh..opq", "a/y", "a/.b"], &[]);
        assert_eq!(names(&tree), ["a", "a/.b", "a/y"]);
    }

    #[test]
    fn a_file_over_a_directory_hides_what_was_below() {
        let mut tree = Tree::new();
        apply(&mut tree, &["a/x"], &[]);
        apply(&mut tree, &["a"], &[]);
        assert_eq!(names(&tree), ["a"]);
    }

    #[test]
    fn symlinks_are_followed_within_the_tree() {
        let mut tree = Tree::new();
        apply(
            &mut tree,
            &["usr/lib/x/libc.so"],
            &[
                ("lib", "usr/lib"),
                ("usr/lib64/ld.so", "/lib/x/libc.so"),
                ("lib64", "usr/lib64"),
                ("up", "../../usr/lib"),
                ("loop", "loop"),
            ],
        );
        let found = |text: &str| tree.resolve(&path(text)).map(|(path, _)| path.to_string());
        for name in ["lib/x/libc.so", "lib64/ld.so", "up/x/libc.so"] {
            assert_eq!(found(name).as_deref(), Some("usr/lib/x/libc.so"), "{name}");
        }
        assert_eq!(found("loop"), None);
        assert_eq!(found("lib/none"), None);
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        let error = Tree::new().apply([1_u8; 2000].as_slice(), Path::new("x.tar"));
        assert!(error.unwrap_err().to_string().contains("x.tar"));
    }
}
