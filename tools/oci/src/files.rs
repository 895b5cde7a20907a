//! The file system, with the file named in every error.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::OciError;

pub(crate) fn at<'p>(action: &'static str, path: &'p Path) -> impl Fn(io::Error) -> OciError + 'p {
    move |source| OciError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, OciError> {
    fs::read(path).map_err(at("read", path))
}

pub(crate) fn read_text(path: &Path) -> Result<String, OciError> {
    fs::read_to_string(path).map_err(at("read", path))
}

pub(crate) fn open(path: &Path) -> Result<BufReader<File>, OciError> {
    Ok(BufReader::new(File::open(path).map_err(at("read", path))?))
}

pub(crate) fn create(path: &Path) -> Result<BufWriter<File>, OciError> {
    Ok(BufWriter::new(
        File::create(path).map_err(at("write", path))?,
    ))
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), OciError> {
    fs::write(path, bytes).map_err(at("write", path))
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, OciError> {
    parse_json(path, &read(path)?)
}

pub(crate) fn parse_json<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, OciError> {
    serde_json::from_slice(bytes).map_err(|error| OciError::malformed(path, error))
}

/// Indented, for people, with a newline at the end.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), OciError> {
    let mut bytes =
        serde_json::to_vec_pretty(value).map_err(|error| OciError::malformed(path, error))?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Copies in pieces of one size, so that what a compressor makes of them does not hang
/// upon how the system happened to cut the reads.
pub(crate) fn copy_evenly(mut from: impl Read, to: &mut impl Write) -> io::Result<u64> {
    let mut piece = vec![0; 1 << 16];
    let mut total = 0;
    loop {
        let mut filled = 0;
        while filled < piece.len() {
            match from.read(&mut piece[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        to.write_all(&piece[..filled])?;
        total += filled as u64;
        if filled < piece.len() {
            return Ok(total);
        }
    }
}
