//! A system's root folder, seen as that system sees it: an absolute symlink leads to the
//! root's own file, never to one of the machine that reads it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{ImagePath, OciError, files, path::follow};

const MAX_LINKS: u32 = 40;

pub(super) struct Root {
    folder: PathBuf,
}

impl Root {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Where the file lies on the machine; its symlinks are not followed.
    pub(super) fn host(&self, path: &ImagePath) -> PathBuf {
        self.folder.join(path.as_str())
    }

    /// Where a symlink leads, one step; none if there is no symlink of that name.
    pub(super) fn link(&self, path: &ImagePath) -> Result<Option<ImagePath>, OciError> {
        let host = self.host(path);
        let is_link = fs::symlink_metadata(&host).is_ok_and(|metadata| metadata.is_symlink());
        if !is_link {
            return Ok(None);
        }
        let target = fs::read_link(&host).map_err(files::at("read", &host))?;
        let parts = follow(path.parent().as_ref(), &target.to_string_lossy());
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
        self.real(path).is_ok_and(|real| self.host(&real).is_file())
    }

    /// The bytes, with symlinks followed.
    pub(super) fn read(&self, path: &ImagePath) -> Result<Vec<u8>, OciError> {
        files::read(&self.host(&self.real(path)?))
    }

    /// The text, with symlinks followed.
    pub(super) fn text(&self, path: &ImagePath) -> Result<String, OciError> {
        files::read_text(&self.host(&self.real(path)?))
    }

    /// What a directory holds, sorted: names, and whether each is a directory of its own.
    pub(super) fn list(&self, path: &ImagePath) -> Result<Vec<(String, bool)>, OciError> {
        let host = self.host(&self.real(path)?);
        let mut entries = Vec::new();
        for entry in fs::read_dir(&host).map_err(files::at("list", &host))? {
            let entry = entry.map_err(files::at("list", &host))?;
            let kind = entry.file_type().map_err(files::at("list", &host))?;
            entries.push((
                entry.file_name().to_string_lossy().into_owned(),
                kind.is_dir(),
            ));
        }
        entries.sort();
        Ok(entries)
    }
}
