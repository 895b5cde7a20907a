//! A system's root, seen as that system sees it: an absolute symlink leads to the root's own
//! file, never to one of the machine that reads it.
//!
//! It is a folder, or a tar of one. A build tool that hands its actions single files needs the
//! latter: in its sandbox a folder's files are symlinks, which cannot be told from the root's.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use tar::EntryType;

use crate::{ImagePath, OciError, files, path::follow};

const MAX_LINKS: u32 = 40;

pub(super) struct Root {
    path: PathBuf,
    kept: Kept,
}

enum Kept {
    Folder,
    Archive(BTreeMap<ImagePath, Item>),
}

#[derive(Clone)]
enum Item {
    Directory,
    File(Vec<u8>),
    Link(String),
}

impl Root {
    pub(super) fn open(path: &Path) -> Result<Self, OciError> {
        let kept = if path.is_dir() {
            Kept::Folder
        } else {
            let items = unpack(path).map_err(|error| {
                OciError::malformed(path, format!("no folder, and no tar of one: {error}"))
            })?;
            Kept::Archive(items)
        };
        Ok(Self {
            path: path.to_owned(),
            kept,
        })
    }

    /// The file's name for messages.
    pub(super) fn host(&self, path: &ImagePath) -> PathBuf {
        self.path.join(path.as_str())
    }

    /// Where a symlink leads, one step; none if there is no symlink of that name.
    pub(super) fn link(&self, path: &ImagePath) -> Result<Option<ImagePath>, OciError> {
        let target = match &self.kept {
            Kept::Archive(items) => match items.get(path) {
                Some(Item::Link(target)) => target.clone(),
                _ => return Ok(None),
            },
            Kept::Folder => {
                let host = self.host(path);
                if !fs::symlink_metadata(&host).is_ok_and(|metadata| metadata.is_symlink()) {
                    return Ok(None);
                }
                let target = fs::read_link(&host).map_err(files::at("read", &host))?;
                target.to_string_lossy().into_owned()
            }
        };
        let parts = follow(path.parent().as_ref(), &target);
        ImagePath::parse(&parts.join("/")).map(Some)
    }

    /// The same file by its real directory; itself may be a symlink.
    pub(super) fn in_real_directory(&self, path: &ImagePath) -> Result<ImagePath, OciError> {
        match path.parent() {
            Some(parent) => self.real(&parent)?.join(path.file_name()),
            None => Ok(path.clone()),
        }
    }

    /// The file with no symlink left on the way to it.
    pub(super) fn real(&self, path: &ImagePath) -> Result<ImagePath, OciError> {
        let mut rest: Vec<String> = path.as_str().split('/').rev().map(str::to_owned).collect();
        let mut here: Option<ImagePath> = None;
        let mut links = 0;
        while let Some(part) = rest.pop() {
            let next = match &here {
                Some(directory) => directory.join(&part)?,
                None => ImagePath::parse(&part)?,
            };
            let Some(target) = self.link(&next)? else {
                here = Some(next);
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(OciError::SymlinkLoop { path: path.clone() });
            }
            rest.extend(target.as_str().split('/').rev().map(str::to_owned));
            here = None;
        }
        here.ok_or_else(|| OciError::SymlinkLoop { path: path.clone() })
    }

    /// Whether it is a file when its symlinks are followed.
    pub(super) fn has(&self, path: &ImagePath) -> bool {
        self.real(path).is_ok_and(|real| match &self.kept {
            Kept::Folder => self.host(&real).is_file(),
            Kept::Archive(items) => matches!(items.get(&real), Some(Item::File(_))),
        })
    }

    /// The bytes, with symlinks followed.
    pub(super) fn read(&self, path: &ImagePath) -> Result<Vec<u8>, OciError> {
        let real = self.real(path)?;
        match &self.kept {
            Kept::Folder => files::read(&self.host(&real)),
            Kept::Archive(items) => match items.get(&real) {
                Some(Item::File(bytes)) => Ok(bytes.clone()),
                _ => Err(self.absent("read", &real)),
            },
        }
    }

    /// The text, with symlinks followed.
    pub(super) fn text(&self, path: &ImagePath) -> Result<String, OciError> {
        String::from_utf8(self.read(path)?)
            .map_err(|error| OciError::malformed(self.host(path), error))
    }

    /// What a directory holds, sorted: names, and whether each is a directory of its own.
    pub(super) fn list(&self, path: &ImagePath) -> Result<Vec<(String, bool)>, OciError> {
        let real = self.real(path)?;
        let mut entries = Vec::new();
        match &self.kept {
            Kept::Folder => {
                let host = self.host(&real);
                for entry in fs::read_dir(&host).map_err(files::at("list", &host))? {
                    let entry = entry.map_err(files::at("list", &host))?;
                    let kind = entry.file_type().map_err(files::at("list", &host))?;
                    entries.push((entry.file_name().to_string_lossy().into(), kind.is_dir()));
                }
            }
            Kept::Archive(items) => {
                if !matches!(items.get(&real), Some(Item::Directory)) {
                    return Err(self.absent("list", &real));
                }
                entries.extend(
                    items
                        .iter()
                        .filter(|(name, _)| name.parent().as_ref() == Some(&real))
                        .map(|(name, item)| {
                            (name.file_name().to_owned(), matches!(item, Item::Directory))
                        }),
                );
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn absent(&self, action: &'static str, path: &ImagePath) -> OciError {
        files::at(action, &self.host(path))(io::ErrorKind::NotFound.into())
    }
}

fn unpack(path: &Path) -> Result<BTreeMap<ImagePath, Item>, OciError> {
    let failed = files::at("read", path);
    let mut items = BTreeMap::new();
    let mut archive = tar::Archive::new(files::open(path)?);
    for entry in archive.entries().map_err(&failed)? {
        let mut entry = entry.map_err(&failed)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if name.trim_matches(['/', '.']).is_empty() {
            continue; // the root itself
        }
        let name = ImagePath::parse(&name)?;
        let link = entry
            .link_name_bytes()
            .map(|target| String::from_utf8_lossy(&target).into_owned())
            .unwrap_or_default();
        let item = match entry.header().entry_type() {
            EntryType::Directory => Item::Directory,
            EntryType::Symlink => Item::Link(link),
            EntryType::Link => match items.get(&ImagePath::parse(&link)?) {
                Some(item) => Item::clone(item),
                None => continue,
            },
            EntryType::Regular => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).map_err(&failed)?;
                Item::File(bytes)
            }
            _ => continue,
        };
        // A tar need not name the directories above a file.
        let mut above = name.parent();
        while let Some(directory) = above {
            above = directory.parent();
            items.entry(directory).or_insert(Item::Directory);
        }
        items.insert(name, item);
    }
    Ok(items)
}
