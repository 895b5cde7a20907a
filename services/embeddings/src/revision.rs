//! Which weights a folder holds.
//!
//! A name says nothing about it: a folder may be replaced by a newer training of the
//! same model. Vectors of two revisions must not be compared, so that what outlives the
//! process, results in Redis and fitted reductions, is kept under the revision.
//!
//! To hash 90 MB takes longer than to load them. What a pull has hashed, and nobody has
//! touched since, is therefore not hashed again: the sums are the same.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// Everything that takes part in a vector has one of these.
const EXTENSIONS: [&str; 4] = ["json", "model", "safetensors", "txt"];

/// Hex digits of the digest: 128 bits.
const DIGITS: usize = 32;

/// The digest of the model's files, their names and contents; of what could be read.
pub(crate) fn of(dir: &Path) -> String {
    digest(dir, &signalbox_models::checked_sums(dir))
}

/// The same, where the SHA-256 of some files is known.
fn digest(dir: &Path, known: &BTreeMap<String, String>) -> String {
    let mut files = files(dir);
    files.extend(self::files(&dir.join("1_Pooling")));
    let mut hash = Sha256::new();
    for path in files {
        let name = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy();
        let sum = match known.get(&*name).and_then(|sum| from_hex(sum)) {
            Some(sum) => Ok(sum),
            None => sha256(&path),
        };
        // The loader says what is wrong with a file that cannot be read.
        if let Ok(sum) = sum {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
            hash.update(sum);
        }
    }
    digits(hash)
}

/// The digest of what names a model that is not here.
pub(crate) fn of_parts(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    digits(hash)
}

fn digits(hash: Sha256) -> String {
    let mut hex = String::with_capacity(64);
    for byte in hash.finalize() {
        use std::fmt::Write as _;
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex.truncate(DIGITS);
    hex
}

/// The folder's files that take part in a vector, by name.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let known = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(known).collect();
    files.sort();
    files
}

fn from_hex(sum: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if sum.len() != 2 * bytes.len() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(sum.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn sha256(path: &Path) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_sum_that_is_known_stands_for_the_file_and_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        fs::write(&path, "weights").unwrap();
        let sum: String = sha256(&path)
            .unwrap()
            .map(|byte| format!("{byte:02x}"))
            .concat();
        let known = |sum: &str| BTreeMap::from([("model.safetensors".to_owned(), sum.to_owned())]);
        let hashed = digest(dir.path(), &BTreeMap::new());
        assert_eq!(digest(dir.path(), &known(&sum)), hashed);
        // It is not read: nothing else could make these two the same.
        fs::write(&path, "other weights").unwrap();
        assert_eq!(digest(dir.path(), &known(&sum)), hashed);
        assert_ne!(digest(dir.path(), &BTreeMap::new()), hashed);
        // What is no sum is no help.
        for broken in ["", "zz", &sum[1..], &sum.replace(&sum[..2], "éé")] {
            assert_ne!(digest(dir.path(), &known(broken)), hashed, "{broken}");
        }
    }

    #[test]
    fn another_weight_or_file_is_another_revision_and_a_note_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("config.json", "{}");
        write("model.safetensors", "weights");
        let first = of(dir.path());
        assert_eq!((first.len(), &first), (DIGITS, &of(dir.path())));
        write("README.md", "a note");
        assert_eq!(of(dir.path()), first);
        write("model.safetensors", "Weights");
        let second = of(dir.path());
        assert_ne!(second, first);
        fs::create_dir(dir.path().join("1_Pooling")).unwrap();
        write("1_Pooling/config.json", "{}");
        assert_ne!(of(dir.path()), second);
    }
}
