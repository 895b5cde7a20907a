//! What is done so far, beside the output, so that a run that was stopped goes on.
//!
//! Records are only ever appended. Each carries its length and checksums: of itself, so
//! that a torn end is found and cut off, and of the line that it answers, so that a
//! changed input is found.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// A record is never larger; what claims to be is damage.
const MAX_RECORD_BYTES: u32 = 64 << 20;
/// Length, checksum of the record, checksum of the line.
const HEAD_BYTES: usize = 12;

/// What the vectors depend on: another run with the same goes on, one with other must
/// not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// The layout of the records, 1.
    pub(super) signalbox_embed: u32,
    pub(super) model: String,
    pub(super) dimensions: Option<u32>,
    pub(super) input_type: String,
    pub(super) field: String,
}

/// The answer to one item.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// As JSON.
    pub(super) id: serde_json::Value,
    /// The vector as little-endian 32-bit floats, or why there is none.
    pub(super) vector: Result<Vec<u8>, String>,
}

/// An open journal, at its end.
pub(super) struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Journal {
    /// The journal of an output.
    pub(super) fn path(out: &Path) -> PathBuf {
        let mut name = out.as_os_str().to_owned();
        name.push(".partial");
        name.into()
    }

    /// Begins anew, or goes on; also the checksums of the lines that are answered.
    pub(super) fn open(
        path: PathBuf,
        settings: &Settings,
        restart: bool,
    ) -> io::Result<(Self, Vec<u32>)> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)?;
        // A second run beside this one would tear both.
        if file.try_lock().is_err() {
            let busy = format!("another run is writing {}", path.display());
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, busy));
        }
        if restart {
            file.set_len(0)?;
        }
        let mut lines = Vec::new();
        let mut records = Records::begin(&mut file)?;
        match &records.settings {
            Some(found) if found == settings => {
                while let Some((line, _)) = records.read()? {
                    lines.push(line);
                }
                let good = records.position;
                file.set_len(good)?;
            }
            Some(_) => {
                let other = format!(
                    "{} is of a run with another model or other options; finish that one, or \
                     start anew with --restart",
                    path.display()
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, other));
            }
            None => {
                file.set_len(0)?;
                let mut header = serde_json::to_vec(settings)?;
                header.push(b'\n');
                file.write_all(&header)?;
            }
        }
        let file = BufWriter::with_capacity(1 << 20, file);
        Ok((Self { path, file }, lines))
    }

    /// Adds the answer to the line with this checksum.
    pub(super) fn append(&mut self, line: u32, row: &Row) -> io::Result<()> {
        let id = serde_json::to_vec(&row.id)?;
        let (kind, body) = match &row.vector {
            Ok(vector) => (0, vector.as_slice()),
            Err(reason) => (1, reason.as_bytes()),
        };
        let mut record = vec![kind];
        record.extend_from_slice(&length(id.len())?.to_le_bytes());
        record.extend_from_slice(&id);
        record.extend_from_slice(body);
        self.file.write_all(&length(record.len())?.to_le_bytes())?;
        self.file
            .write_all(&crc32fast::hash(&record).to_le_bytes())?;
        self.file.write_all(&line.to_le_bytes())?;
        self.file.write_all(&record)
    }

    /// Hands what was appended to the system: from here on it outlives the process.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// Every row from the first on.
    pub(super) fn rows(&mut self) -> io::Result<impl Iterator<Item = io::Result<Row>> + '_> {
        self.flush()?;
        let mut records = Records::begin(self.file.get_mut())?;
        Ok(std::iter::from_fn(move || {
            Some(records.read().transpose()?.map(|(_, row)| row))
        }))
    }

    /// Deletes it, once the output stands.
    pub(super) fn delete(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

fn length(bytes: usize) -> io::Result<u32> {
    let limit = |_| io::Error::new(io::ErrorKind::InvalidData, "a record of over 4 GiB");
    u32::try_from(bytes).map_err(limit)
}

/// The records of a file from the first on.
struct Records<'a> {
    reader: BufReader<&'a mut File>,
    settings: Option<Settings>,
    /// Behind the last good record.
    position: u64,
}

impl<'a> Records<'a> {
    fn begin(file: &'a mut File) -> io::Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut header = Vec::new();
        (&mut reader)
            .take(64 << 10)
            .read_until(b'\n', &mut header)?;
        let settings = match header.strip_suffix(b"\n") {
            Some(json) => Some(serde_json::from_slice(json)?),
            // Nothing, or torn within its first line: nothing is lost with it.
            None => None,
        };
        Ok(Self {
            reader,
            settings,
            position: header.len() as u64,
        })
    }

    /// The next record; `None` at the end, or where the file was torn.
    fn read(&mut self) -> io::Result<Option<(u32, Row)>> {
        let mut head = [0; HEAD_BYTES];
        if !filled(self.reader.read_exact(&mut head))? {
            return Ok(None);
        }
        let ([size, checksum, line], _) = head.as_chunks::<4>() else {
            return Ok(None);
        };
        let [size, checksum, line] = [size, checksum, line].map(|four| u32::from_le_bytes(*four));
        if size > MAX_RECORD_BYTES {
            return Ok(None);
        }
        let mut record = vec![0; size as usize];
        if !filled(self.reader.read_exact(&mut record))? || crc32fast::hash(&record) != checksum {
            return Ok(None);
        }
        let Some(row) = decode(&record) else {
            return Ok(None);
        };
        self.position += (HEAD_BYTES + record.len()) as u64;
        Ok(Some((line, row)))
    }
}

fn filled(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn decode(record: &[u8]) -> Option<Row> {
    let (kind, rest) = record.split_first()?;
    let (size, rest) = rest.split_first_chunk::<4>()?;
    let (id, body) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
    let vector = match kind {
        0 => Ok(body.to_vec()),
        _ => Err(String::from_utf8(body.to_vec()).ok()?),
    };
    Some(Row {
        id: serde_json::from_slice(id).ok()?,
        vector,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use serde_json::json;

    use super::*;

    fn settings(model: &str) -> Settings {
        Settings {
            signalbox_embed: 1,
            model: model.to_owned(),
            dimensions: None,
            input_type: String::new(),
            field: "text".to_owned(),
        }
    }

    fn rows() -> Vec<Row> {
        vec![
            Row {
                id: json!({"a": [1]}),
                vector: Ok(vec![1, 2, 3, 4]),
            },
            Row {
                id: json!(null),
                vector: Err("the text is empty".to_owned()),
            },
            Row {
                id: json!("z"),
                vector: Ok(vec![]),
            },
        ]
    }

    /// Also where each record ends.
    fn write(path: &Path) -> Vec<usize> {
        let (mut journal, done) = Journal::open(path.to_owned(), &settings("m"), true).unwrap();
        assert!(done.is_empty());
        let mut ends = Vec::new();
        for (line, row) in (10..).zip(rows()) {
            journal.append(line, &row).unwrap();
            journal.flush().unwrap();
            ends.push(fs::metadata(path).unwrap().len() as usize);
        }
        ends
    }

    #[test]
    fn a_second_run_finds_what_the_first_has_done() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.partial");
        write(&path);
        let (mut journal, done) = Journal::open(path.clone(), &settings("m"), false).unwrap();
        assert_eq!(done, [10, 11, 12]);
        let found: Vec<Row> = journal.rows().unwrap().map(Result::unwrap).collect();
        assert_eq!(found, rows());
        journal.delete().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn wherever_it_is_torn_or_bent_the_rows_before_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.partial");
        let ends = write(&path);
        let whole = fs::read(&path).unwrap();
        let header = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        for end in header..whole.len() {
            let mut bent = whole.clone();
            bent[end] ^= 0x40;
            for damaged in [&whole[..end], &bent] {
                fs::write(&path, damaged).unwrap();
                let opened = Journal::open(path.clone(), &settings("m"), false);
                let (mut journal, done) = opened.unwrap();
                let whole_before = ends.iter().filter(|record| **record <= end).count();
                assert!(done.len() >= whole_before, "{end}");
                let kept: Vec<Row> = journal.rows().unwrap().map(Result::unwrap).collect();
                assert_eq!(kept.len(), done.len());
                // A bent checksum of a line is found when the input is read.
                assert_eq!(kept, rows()[..kept.len()]);
            }
        }
    }

    #[test]
    fn another_model_or_a_second_run_at_the_same_time_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.partial");
        write(&path);
        let other = Journal::open(path.clone(), &settings("n"), false).err();
        assert!(other.unwrap().to_string().contains("--restart"));
        let _held = Journal::open(path.clone(), &settings("m"), false).unwrap();
        let busy = Journal::open(path, &settings("m"), false).err();
        assert!(busy.unwrap().to_string().contains("another run"));
    }
}
