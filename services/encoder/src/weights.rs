//! Reads a safetensors file tensor by tensor, straight into the buffers that are
//! kept, so that the weights are never in memory twice. Numbers of 16 bits are widened
//! on the way.
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

    /// Whether the file has this tensor.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    /// A tensor's shape.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        let info = self.metadata.info(&format!("{}{name}", self.prefix))?;
        Some(&info.shape)
    }

    /// The tensor `[length]` of whole numbers below `end`.
    pub(crate) fn indices(
        &mut self,
        name: &str,
        length: usize,
        end: usize,
    ) -> Result<Vec<usize>, LoadError> {
        let info = self.metadata.info(&format!("{}{name}", self.prefix));
        let (start, bytes) = match info {
            Some(info) if info.shape == [length] => match info.dtype {
                Dtype::I64 | Dtype::U64 => (info.data_offsets.0, 8),
                Dtype::I32 | Dtype::U32 => (info.data_offsets.0, 4),
                Dtype::I16 | Dtype::U16 => (info.data_offsets.0, 2),
                _ => return Err(self.refused(name, "it must hold whole numbers")),
            },
            _ => return Err(self.refused(name, &format!("it must be [{length}]"))),
        };
        let mut data = vec![0; length * bytes];
        self.read(start as u64, |file| file.read_exact(&mut data))?;
        let number = |part: &[u8]| {
            let mut number = [0; 8];
            number[..bytes].copy_from_slice(part);
            usize::try_from(u64::from_le_bytes(number)).ok()
        };
        let numbers = data.chunks_exact(bytes).map(number);
        // A negative number reads as one that is far too large.
        let within = numbers.map(|number| number.filter(|number| *number < end));
        let all: Option<Vec<usize>> = within.collect();
        all.ok_or_else(|| self.refused(name, &format!("its numbers must be 0 to {}", end - 1)))
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
        let (Some(float), true) = (Float::of(info.dtype), info.shape == shape) else {
            return Err(LoadError::WrongTensor {
                path: self.path.clone(),
                tensor: name,
                found: format!("{:?} {:?}", info.dtype, info.shape),
                expected: format!("F32, F16 or BF16 {shape:?}"),
            });
        };
        let (start, end) = info.data_offsets;
        let mut left = end - start;
        let before = into.len();
        self.read(start as u64, |file| {
            let mut chunk = vec![0; CHUNK_BYTES.min(left)];
            while left > 0 {
                let part = &mut chunk[..CHUNK_BYTES.min(left)];
                file.read_exact(part)?;
                left -= part.len();
                float.append(part, into);
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

/// The number types that weights come in; all become f32.
#[derive(Clone, Copy)]
enum Float {
    F32,
    F16,
    Bf16,
}

impl Float {
    fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F32 => Some(Self::F32),
            Dtype::F16 => Some(Self::F16),
            Dtype::BF16 => Some(Self::Bf16),
            _ => None,
        }
    }

    /// Appends the numbers in `bytes`, which hold whole ones.
    fn append(self, bytes: &[u8], into: &mut Vec<f32>) {
        let halves = || {
            let (halves, _) = bytes.as_chunks::<2>();
            halves.iter().map(|half| u16::from_le_bytes(*half))
        };
        match self {
            Self::F32 => {
                let (numbers, _) = bytes.as_chunks::<4>();
                into.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
            Self::F16 => into.extend(halves().map(from_f16)),
            // The upper half of an f32.
            Self::Bf16 => into.extend(halves().map(|half| f32::from_bits(u32::from(half) << 16))),
        }
    }
}

/// IEEE 754's binary16: 1 bit of sign, 5 of exponent, 10 of fraction.
fn from_f16(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10 & 0x1f);
    let fraction = u32::from(half & 0x3ff);
    let magnitude = match exponent {
        // Zero and the numbers below 2^-14: so many times 2^-24.
        0 => (fraction as f32 * f32::from_bits(0x3380_0000)).to_bits(),
        0x1f => 0x7f80_0000 | fraction << 13,
        _ => (exponent + 127 - 15) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_the_number_that_ieee_754_says() {
        for half in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(half >> 10 & 0x1f), f64::from(half & 0x3ff));
            let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
            let expected = sign
                * match exponent {
                    0 => fraction * 2_f64.powi(-24),
                    31 if fraction == 0.0 => f64::INFINITY,
                    31 => f64::NAN,
                    _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
                };
            let found = f64::from(from_f16(half));
            assert!(
                found == expected || found.is_nan() && expected.is_nan(),
                "{half:#x}"
            );
        }
    }

    #[test]
    fn bf16_is_the_upper_half_of_f32() {
        let mut found = Vec::new();
        Float::Bf16.append(&[0x80, 0x3f, 0x49, 0xc0], &mut found);
        assert_eq!(found, [1.0, -3.140_625]);
    }
}
