//! A file on its way in: written under a name of its own beside its place, hashed as
//! it grows, and given its real name only when every byte is right.

use std::{
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tokio::{
    fs::{self, File, OpenOptions},
    io::{AsyncReadExt as _, AsyncWriteExt as _},
};

use crate::{error::SourceError, manifest::ModelFile};

/// Bytes read at a time.
pub(crate) const CHUNK: usize = 256 << 10;

/// The SHA-256 of a file, in lower-case hexadecimal.
pub(crate) async fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path).await?;
    let mut hasher = Sha256::new();
    feed(&mut file, &mut hasher).await?;
    Ok(hex::encode(hasher.finalize()))
}

async fn feed(file: &mut File, hasher: &mut Sha256) -> io::Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut total = 0;
    loop {
        let read = file.read(&mut buffer).await?;
        if read == 0 {
            return Ok(total);
        }
        hasher.update(&buffer[..read]);
        total += read as u64;
    }
}

/// A file that is not whole yet. Only the holder of the model's lock may have one.
#[derive(Debug)]
pub(crate) struct Partial<'a> {
    expected: &'a ModelFile,
    /// Where the bytes come from, for messages.
    origin: String,
    path: PathBuf,
    file: File,
    hasher: Sha256,
    len: u64,
}

impl<'a> Partial<'a> {
    /// The name under which a file grows.
    fn path_in(folder: &Path, expected: &ModelFile) -> PathBuf {
        folder.join(format!(".{}.part", expected.name))
    }

    /// Begins anew: what an earlier try left is dropped.
    pub(crate) async fn fresh(
        folder: &Path,
        expected: &'a ModelFile,
        origin: String,
    ) -> Result<Self, SourceError> {
        Self::drop_leftover(folder, expected).await?;
        Self::resume(folder, expected, origin).await
    }

    /// Goes on where an earlier try ended; what cannot be a part of the file is
    /// dropped.
    pub(crate) async fn resume(
        folder: &Path,
        expected: &'a ModelFile,
        origin: String,
    ) -> Result<Self, SourceError> {
        let path = Self::path_in(folder, expected);
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let opened = options.open(&path).await;
        let mut file = opened.map_err(SourceError::io("create", &path))?;
        let mut hasher = Sha256::new();
        let read = feed(&mut file, &mut hasher).await;
        let len = read.map_err(SourceError::io("read", &path))?;
        let mut partial = Self {
            expected,
            origin,
            path,
            file,
            hasher,
            len,
        };
        if partial.len > expected.bytes || (partial.is_complete() && !partial.is_right()) {
            partial.restart().await?;
        }
        Ok(partial)
    }

    /// Deletes what an earlier try left.
    pub(crate) async fn drop_leftover(
        folder: &Path,
        expected: &ModelFile,
    ) -> Result<(), SourceError> {
        let path = Self::path_in(folder, expected);
        match fs::remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(SourceError::io("delete", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Forgets all bytes.
    pub(crate) async fn restart(&mut self) -> Result<(), SourceError> {
        let cut = self.file.set_len(0).await;
        cut.map_err(SourceError::io("truncate", &self.path))?;
        self.hasher = Sha256::new();
        self.len = 0;
        Ok(())
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.len == self.expected.bytes
    }

    fn found(&self) -> String {
        hex::encode(self.hasher.clone().finalize())
    }

    fn is_right(&self) -> bool {
        self.found() == self.expected.sha256
    }

    /// Adds bytes; more than the file has are an error at once, so that no source
    /// can fill the disk.
    pub(crate) async fn push(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        if self.len + bytes.len() as u64 > self.expected.bytes {
            self.discard().await?;
            return Err(SourceError::TooLong {
                file: self.expected.name.clone(),
                origin: self.origin.clone(),
                expected: self.expected.bytes,
            });
        }
        let written = self.file.write_all(bytes).await;
        written.map_err(SourceError::io("write", &self.path))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// The error for bytes that ended too early.
    pub(crate) fn truncated(&self, kept: bool) -> SourceError {
        SourceError::Truncated {
            file: self.expected.name.clone(),
            origin: self.origin.clone(),
            received: self.len,
            expected: self.expected.bytes,
            kept,
        }
    }

    /// Makes what was written so far survive this process: tokio's file writes in
    /// the background.
    pub(crate) async fn keep(&mut self) -> Result<(), SourceError> {
        let flushed = self.file.flush().await;
        flushed.map_err(SourceError::io("write", &self.path))
    }

    /// Deletes what was written.
    pub(crate) async fn discard(&mut self) -> Result<(), SourceError> {
        let removed = fs::remove_file(&self.path).await;
        removed.map_err(SourceError::io("delete", &self.path))
    }

    /// Checks the whole and gives it its name; a wrong file is deleted. The bytes are
    /// on the disk before the name is, so that a crash leaves no half-written file.
    pub(crate) async fn place(mut self) -> Result<(), SourceError> {
        if !self.is_complete() {
            let error = self.truncated(false);
            self.discard().await?;
            return Err(error);
        }
        if !self.is_right() {
            let found = self.found();
            self.discard().await?;
            return Err(SourceError::WrongChecksum {
                file: self.expected.name.clone(),
                origin: self.origin,
                expected: self.expected.sha256.clone(),
                found,
            });
        }
        self.keep().await?;
        let synced = self.file.sync_all().await;
        synced.map_err(SourceError::io("sync", &self.path))?;
        let place = self.path.with_file_name(&self.expected.name);
        let renamed = fs::rename(&self.path, &place).await;
        renamed.map_err(SourceError::io("create", &place))?;
        if let Some(folder) = place.parent() {
            sync_folder(folder).await?;
        }
        Ok(())
    }
}

/// Makes a rename survive a power cut, where the system can.
async fn sync_folder(folder: &Path) -> Result<(), SourceError> {
    if cfg!(unix) {
        let opened = File::open(folder).await;
        let handle = opened.map_err(SourceError::io("open", folder))?;
        let synced = handle.sync_all().await;
        synced.map_err(SourceError::io("sync", folder))?;
    }
    Ok(())
}
