//! Writes a layer: a tar archive that depends on nothing but the names and bytes put in.
//!
//! Owners are root, times are the epoch, modes are 0644 or 0755, entries are sorted, and each
//! directory on the way to a file is there explicitly, so that no engine has to invent it.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use tar::{Builder, EntryType, Header};

use crate::{ImagePath, OciError, files};

/// What the name of a file that hides another begins with.
pub(crate) const WHITEOUT: &str = ".wh.";

/// Where a file's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These.
    Bytes(Vec<u8>),
    /// Those of this file when the layer is written.
    File(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File { executable: bool, content: Content },
    Symlink { target: String },
}

/// A layer in the making. In whichever order things are put in, the same archive comes out.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    nodes: BTreeMap<ImagePath, Node>,
}

impl Layer {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file in, mode 0755 if executable and 0644 otherwise.
    ///
    /// # Errors
    ///
    /// If something else has that name, or a parent is no directory.
    pub fn file(
        &mut self,
        path: ImagePath,
        executable: bool,
        content: Content,
    ) -> Result<(), OciError> {
        self.put(
            path,
            Node::File {
                executable,
                content,
            },
        )
    }

    /// Puts a symlink in.
    ///
    /// # Errors
    ///
    /// As [`Layer::file`].
    pub fn symlink(&mut self, path: ImagePath, target: &str) -> Result<(), OciError> {
        if target.is_empty() {
            return Err(OciError::BadPath {
                path: path.to_string(),
                reason: "its symlink leads nowhere; give a target",
            });
        }
        let target = target.to_owned();
        self.put(path, Node::Symlink { target })
    }

    /// Puts an empty directory in, mode 0755.
    ///
    /// # Errors
    ///
    /// As [`Layer::file`].
    pub fn directory(&mut self, path: ImagePath) -> Result<(), OciError> {
        self.put(path, Node::Directory)
    }

    /// Hides a file, or a directory with all that is below it, of the layers underneath.
    ///
    /// # Errors
    ///
    /// As [`Layer::file`].
    pub fn remove(&mut self, path: &ImagePath) -> Result<(), OciError> {
        // <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts>
        let name = format!("{WHITEOUT}{}", path.file_name());
        let whiteout = match path.parent() {
            Some(parent) => parent.join(&name)?,
            None => ImagePath::parse(&name)?,
        };
        self.file(whiteout, false, Content::Bytes(Vec::new()))
    }

    fn put(&mut self, path: ImagePath, node: Node) -> Result<(), OciError> {
        let mut below = path.parent();
        while let Some(parent) = below {
            match self.nodes.get(&parent) {
                Some(Node::Directory) => break,
                Some(_) => return Err(OciError::ParentNotDirectory { path, parent }),
                None => {
                    self.nodes.insert(parent.clone(), Node::Directory);
                }
            }
            below = parent.parent();
        }
        match self.nodes.get(&path) {
            Some(there) if *there != node => Err(OciError::Duplicate { path }),
            _ => {
                self.nodes.insert(path, node);
                Ok(())
            }
        }
    }

    /// Whether something of that name was put in, or lies above something that was.
    #[must_use]
    pub fn holds(&self, path: &ImagePath) -> bool {
        self.nodes.contains_key(path)
    }

    /// Writes the archive.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or the archive not written; `name` is the archive's, for the
    /// message.
    pub fn write_to(&self, output: impl Write, name: &Path) -> Result<(), OciError> {
        let written = files::at("write", name);
        let mut archive = Archive::new(output);
        for (path, node) in &self.nodes {
            match node {
                Node::Directory => archive.directory(path.as_str()).map_err(&written)?,
                Node::Symlink { target } => {
                    archive.symlink(path.as_str(), target).map_err(&written)?;
                }
                Node::File {
                    executable,
                    content: Content::Bytes(bytes),
                } => archive
                    .file(
                        path.as_str(),
                        *executable,
                        bytes.len() as u64,
                        bytes.as_slice(),
                    )
                    .map_err(&written)?,
                Node::File {
                    executable,
                    content: Content::File(host),
                } => {
                    let input = files::open(host)?;
                    let size = input
                        .get_ref()
                        .metadata()
                        .map_err(files::at("read", host))?;
                    archive
                        .file(path.as_str(), *executable, size.len(), input)
                        .map_err(files::at("copy", host))?;
                }
            }
        }
        archive.finish().map_err(&written)
    }

    /// Writes the archive to a file.
    ///
    /// # Errors
    ///
    /// As [`Layer::write_to`].
    pub fn write(&self, path: &Path) -> Result<(), OciError> {
        self.write_to(files::create(path)?, path)
    }
}

/// A tar archive all of whose entries have one owner and one time.
pub(crate) struct Archive<W: Write> {
    builder: Builder<W>,
}

impl<W: Write> Archive<W> {
    pub(crate) fn new(output: W) -> Self {
        Self {
            builder: Builder::new(output),
        }
    }

    pub(crate) fn directory(&mut self, path: &str) -> std::io::Result<()> {
        let mut header = header(EntryType::Directory, 0o755, 0);
        let path = format!("{path}/");
        self.builder
            .append_data(&mut header, path, std::io::empty())
    }

    pub(crate) fn symlink(&mut self, path: &str, target: &str) -> std::io::Result<()> {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        self.builder.append_link(&mut header, path, target)
    }

    pub(crate) fn file(
        &mut self,
        path: &str,
        executable: bool,
        size: u64,
        content: impl Read,
    ) -> std::io::Result<()> {
        let mode = if executable { 0o755 } else { 0o644 };
        let mut header = header(EntryType::Regular, mode, size);
        self.builder.append_data(&mut header, path, content)
    }

    pub(crate) fn finish(self) -> std::io::Result<()> {
        self.builder.into_inner()?.flush()
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::Digest;

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).unwrap()
    }

    fn bytes(layer: &Layer) -> Vec<u8> {
        let mut bytes = Vec::new();
        layer.write_to(&mut bytes, Path::new("test")).unwrap();
        bytes
    }

    fn text(content: &str) -> Content {
        Content::Bytes(content.as_bytes().to_vec())
    }

    #[test]
    fn parents_are_there_sorted_and_owned_by_root_at_the_epoch() {
        let mut layer = Layer::new();
        layer.symlink(path("lib"), "usr/lib").unwrap();
        layer.file(path("usr/lib/b"), true, text("b")).unwrap();
        layer.file(path("usr/a"), false, text("a")).unwrap();

        let archive = bytes(&layer);
        let mut seen = Vec::new();
        for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            assert_eq!(header.mtime().unwrap(), 0);
            assert_eq!(header.username_bytes(), Some(b"".as_slice()));
            let name = entry.path().unwrap().display().to_string();
            seen.push((name, header.mode().unwrap()));
        }
        let expected = [
            ("lib", 0o777),
            ("usr/", 0o755),
            ("usr/a", 0o644),
            ("usr/lib/", 0o755),
            ("usr/lib/b", 0o755),
        ];
        assert_eq!(seen, expected.map(|(name, mode)| (name.to_owned(), mode)));
    }

    #[test]
    fn a_file_below_a_symlink_or_a_file_is_refused() {
        let mut layer = Layer::new();
        layer.symlink(path("lib"), "usr/lib").unwrap();
        let refused = layer.file(path("lib/x"), false, text(""));
        assert!(matches!(refused, Err(OciError::ParentNotDirectory { .. })));
        layer.file(path("a"), false, text("")).unwrap();
        let refused = layer.directory(path("a/b"));
        assert!(matches!(refused, Err(OciError::ParentNotDirectory { .. })));
    }

    #[test]
    fn the_same_name_twice_is_refused_unless_it_is_the_same_thing() {
        let mut layer = Layer::new();
        layer.file(path("a"), false, text("1")).unwrap();
        layer.file(path("a"), false, text("1")).unwrap();
        let refused = layer.file(path("a"), false, text("2"));
        assert!(matches!(refused, Err(OciError::Duplicate { .. })));
    }

    #[test]
    fn names_beyond_100_bytes_survive() {
        let long = format!("{}/{}", "d".repeat(120), "f".repeat(150));
        let mut layer = Layer::new();
        layer.file(path(&long), false, text("x")).unwrap();
        let archive = bytes(&layer);
        let mut entries = tar::Archive::new(archive.as_slice());
        let names: Vec<String> = entries
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names[1], long);
    }

    proptest! {
        #[test]
        fn any_order_gives_the_same_bytes(
            files in prop::collection::btree_map("[a-c]{1,2}/[d-f]{1,2}/[g-z]{1,3}", "[a-z]{0,9}", 1..12),
            seed in any::<prop::sample::Index>(),
        ) {
            let put = |order: &[(&String, &String)]| {
                let mut layer = Layer::new();
                for (name, content) in order {
                    layer.file(path(name), content.len() % 2 == 0, text(content)).unwrap();
                }
                Digest::of(&bytes(&layer))
            };
            let mut order: Vec<_> = files.iter().collect();
            let sorted = put(&order);
            let middle = seed.index(order.len());
            order.rotate_left(middle);
            order.reverse();
            prop_assert_eq!(put(&order), sorted);
        }
    }
}
