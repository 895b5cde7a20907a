//! Reads a safetensors file tensor by tensor, straight into the buffers that are
//! kept, so that the weights are never in memory twice.
//!
//! The format is a little-endian u64 (the header's length), a JSON header with
//! each tensor's type, shape and place, and the data:
//! <https://github.com/huggingface/safetensors#format>. A memory map would need
//! `unsafe`, and would count as resident beside the copy that the CPU reads.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use safetensors::{Dtype, tensor::Metadata};

use crate::{error::LoadError, json};

/// Real headers are some kilobytes; a damaged length must not claim all memory.
const MAX_HEADER_BYTES: u64 = 16 << 20;
/// Read at once; a multiple of 4.
const CHUNK_BYTES: usize = 256 << 10;

/// An open safetensors file with its header read and checked.
pub(crate) struct Weights {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    data_start: u64,
    prefix: &'static str,
}

impl Weights {
    /// Opens the file. `prefixes` are tried in turn: `probe`, a tensor that every
    /// such model has, must exist under one of them.
    pub(crate) fn open(
        path: &Path,
        prefixes: &[&'static str],
        probe: &str,
    ) -> Result<Self, LoadError> {
        let malformed = |detail: String| LoadError::Malformed {
            path: path.to_owned(),
            detail,
        };
        let mut file = File::open(path).map_err(|source| json::io_error(path, source))?;
        let unreadable = |source| LoadError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file_bytes = file.metadata().map_err(unreadable)?.len();

        let mut length = [0; 8];
        file.read_exact(&mut length)
            .map_err(|_| malformed("it is shorter than 8 bytes".to_owned()))?;
        let header_bytes = u64::from_le_bytes(length);
        if header_bytes > MAX_HEADER_BYTES || header_bytes > file_bytes.saturating_sub(8) {
            let detail = format!("its header claims {header_bytes} bytes");
            return Err(malformed(detail));
        }
        let mut header = vec![0; header_bytes as usize];
        file.read_exact(&mut header).map_err(unreadable)?;
        // Parsing checks that shapes, types and offsets agree and leave no gap.
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| malformed(error.to_string()))?;

        let data_start = 8 + header_bytes;
        let expected_bytes = data_start.saturating_add(metadata.data_len() as u64);
        if file_bytes != expected_bytes {
            let detail = format!("it has {file_bytes} bytes, its header says {expected_bytes}");
            return Err(malformed(detail));
        }
        let prefix = prefixes
            .iter()
            .copied()
            .find(|prefix| metadata.info(&format!("{prefix}{probe}")).is_some())
            .ok_or_else(|| LoadError::MissingTensor {
                path: path.to_owned(),
                tensor: probe.to_owned(),
            })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            metadata,
            data_start,
            prefix,
        })
    }

    /// The tensor `[length]`.
    pub(crate) fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, LoadError> {
        let mut values = Vec::with_capacity(length);
        self.append(name, &[length], &mut values)?;
        Ok(values)
    }

    /// The tensor `[rows, columns]`, row-major.
    pub(crate) fn matrix(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Vec<f32>, LoadError> {
        let mut values = Vec::with_capacity(rows * columns);
        self.append(name, &[rows, columns], &mut values)?;
        Ok(values)
    }

    /// The error for tensors that are there, but of no use.
    pub(crate) fn refused(&self, tensor: &str, detail: &str) -> LoadError {
        LoadError::Malformed {
            path: self.path.clone(),
            detail: format!("tensor `{}{tensor}`: {detail}", self.prefix),
        }
    }

    /// Appends a tensor's values to `into`, row-major.
    fn append(
        &mut self,
        name: &str,
        shape: &[usize],
        into: &mut Vec<f32>,
    ) -> Result<(), LoadError> {
        let name = format!("{}{name}", self.prefix);
        let Some(info) = self.metadata.info(&name) else {
            return Err(LoadError::MissingTensor {
                path: self.path.clone(),
                tensor: name,
            });
        };
        if info.dtype != Dtype::F32 || info.shape != shape {
            return Err(LoadError::WrongTensor {
                path: self.path.clone(),
                tensor: name,
                found: format!("{:?} {:?}", info.dtype, info.shape),
                expected: format!("F32 {shape:?}"),
            });
        }
        let (start, end) = info.data_offsets;
        let mut left = end - start;
        let before = into.len();
        self.read(start as u64, |file| {
            let mut chunk = vec![0; CHUNK_BYTES.min(left)];
            while left > 0 {
                let part = &mut chunk[..CHUNK_BYTES.min(left)];
                file.read_exact(part)?;
                left -= part.len();
                let (numbers, _) = part.as_chunks::<4>();
                into.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
            Ok(())
        })?;
        let numbers = &into[before..];
        if let Some(index) = numbers.iter().position(|value| !value.is_finite()) {
            return Err(LoadError::NotFinite {
                path: self.path.clone(),
                tensor: name,
                index,
                value: numbers[index],
            });
        }
        Ok(())
    }

    fn read(
        &mut self,
        offset: u64,
        body: impl FnOnce(&mut File) -> std::io::Result<()>,
    ) -> Result<(), LoadError> {
        self.file
            .seek(SeekFrom::Start(self.data_start + offset))
            .and_then(|_| body(&mut self.file))
            .map_err(|source| LoadError::Unreadable {
                path: self.path.clone(),
                source,
            })
    }
}
