//! What the vectors are written as: one trait, one file each, chosen by the name's ending.

mod jsonl;
mod npy;
mod parquet;

use std::{fs::File, io, path::Path};

use super::journal::Row;

/// Writes rows in the order of the input.
pub(super) trait Format {
    /// Takes the next row.
    fn write(&mut self, row: &Row) -> io::Result<()>;
    /// Writes what comes last and gives the file back.
    fn finish(self: Box<Self>) -> io::Result<File>;
}

/// What is known before the first row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Rows in all, those without a vector included.
    pub(super) rows: u64,
    /// Length of a vector.
    pub(super) dimensions: usize,
}

pub(super) type Create = fn(File, Shape) -> io::Result<Box<dyn Format>>;

/// A line for each format: the ending of its files, and how it begins.
const FORMATS: &[(&str, Create)] = &[
    ("jsonl", jsonl::create),
    ("npy", npy::create),
    ("parquet", parquet::create),
];

/// The format of a file with this name.
pub(super) fn of(path: &Path) -> Result<Create, String> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let found = FORMATS.iter().find(|(name, _)| ending == Some(name));
    found.map(|(_, create)| *create).ok_or_else(|| {
        let known: Vec<String> = FORMATS.iter().map(|(name, _)| format!(".{name}")).collect();
        format!("--out: end the file's name in {}", known.join(", "))
    })
}

/// The floats of a row's little-endian bytes.
fn floats(vector: &[u8]) -> impl Iterator<Item = f32> + '_ {
    let (numbers, _) = vector.as_chunks::<4>();
    numbers.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::{fs, path::PathBuf};

    use super::*;

    fn row(vector: Result<&[f32], &str>) -> Row {
        let bytes = |floats: &[f32]| floats.iter().flat_map(|f| f.to_le_bytes()).collect();
        Row {
            id: serde_json::json!("a"),
            vector: vector.map(bytes).map_err(str::to_owned),
        }
    }

    /// Two vectors with a refused text between them, as a file of this name.
    pub(super) fn written(name: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let shape = Shape {
            rows: 3,
            dimensions: 2,
        };
        let mut format = of(&path).unwrap()(File::create(&path).unwrap(), shape).unwrap();
        for vector in [Ok(&[1.0, -0.5][..]), Err("is empty"), Ok(&[0.25, 2.0][..])] {
            format.write(&row(vector)).unwrap();
        }
        format.finish().unwrap();
        (dir, path)
    }

    #[test]
    fn an_unknown_ending_is_told_the_known_ones() {
        let error = of(Path::new("out.csv")).err().unwrap();
        assert!(error.contains(".jsonl, .npy, .parquet"), "{error}");
        assert!(of(Path::new("out")).is_err());
    }

    #[test]
    fn json_lines_have_an_index_an_id_and_a_vector_or_an_error() {
        let (_dir, path) = written("out.jsonl");
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(
            text,
            "{\"index\":0,\"id\":\"a\",\"embedding\":[1.0,-0.5]}\n\
             {\"index\":1,\"id\":\"a\",\"error\":\"is empty\"}\n\
             {\"index\":2,\"id\":\"a\",\"embedding\":[0.25,2.0]}\n"
        );
    }
}
