//! Reads a file of texts item by item, so that a file of any size takes little memory.
//! A line that is no text is an item with the reason: one bad line must not cost the rest.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use serde::Deserialize;

/// The longest line that is read whole, in bytes: more than a server accepts in a call.
const MAX_LINE_BYTES: usize = 16 << 20;

/// One text of the file.
#[derive(Debug, PartialEq)]
pub(super) struct Item {
    /// The `id` beside the text, as JSON; null where there is none.
    pub(super) id: serde_json::Value,
    /// The text, or why it is none.
    pub(super) text: Result<String, String>,
    /// Of the line, to tell on a later run that it is still the same.
    pub(super) checksum: u32,
}

/// The items of a file, in order.
pub(super) struct Items<R> {
    reader: R,
    json_field: Option<String>,
    line: Vec<u8>,
    bytes: u64,
}

impl Items<BufReader<File>> {
    /// Opens the file; its name's ending says how a line holds a text, `field` where.
    pub(super) fn open(path: &Path, field: &str) -> io::Result<Self> {
        let json = path
            .extension()
            .is_some_and(|ending| ending == "jsonl" || ending == "ndjson");
        let reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        Ok(Self::new(reader, json.then(|| field.to_owned())))
    }
}

impl<R: BufRead> Items<R> {
    fn new(reader: R, json_field: Option<String>) -> Self {
        Self {
            reader,
            json_field,
            line: Vec::new(),
            bytes: 0,
        }
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads a line without its end; `None` at the end of the file. A longer line than
    /// [`MAX_LINE_BYTES`] is read on and dropped.
    fn read_line(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        let read = (&mut self.reader)
            .take(limit)
            .read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        self.bytes += read as u64;
        let whole = self.line.len() <= MAX_LINE_BYTES;
        if !whole && self.line.last() != Some(&b'\n') {
            self.bytes += self.reader.skip_until(b'\n')? as u64;
        }
        for end in [b'\n', b'\r'] {
            if self.line.last() == Some(&end) {
                self.line.pop();
            }
        }
        Ok(Some(whole))
    }

    fn item(&self, whole: bool) -> Item {
        let refused = |reason: &str| (serde_json::Value::Null, Err(reason.to_owned()));
        let (id, text) = if !whole {
            refused("the line is longer than 16 MiB")
        } else {
            match (std::str::from_utf8(&self.line), &self.json_field) {
                (Err(_), _) => refused("the line is not UTF-8"),
                (Ok(line), None) => (serde_json::Value::Null, Ok(line.to_owned())),
                (Ok(line), Some(field)) => parse(line, field),
            }
        };
        let text = match text {
            Ok(text) if text.is_empty() => Err("the text is empty".to_owned()),
            other => other,
        };
        Item {
            id,
            text,
            checksum: crc32fast::hash(&self.line),
        }
    }
}

/// A line of JSON.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Text(String),
    Object(serde_json::Map<String, serde_json::Value>),
}

fn parse(line: &str, field: &str) -> (serde_json::Value, Result<String, String>) {
    let expected = || format!("the line is neither a JSON string nor an object with `{field}`");
    match serde_json::from_str(line) {
        Ok(Line::Text(text)) => (serde_json::Value::Null, Ok(text)),
        Ok(Line::Object(mut object)) => {
            let text = match object.remove(field) {
                Some(serde_json::Value::String(text)) => Ok(text),
                Some(_) => Err(format!("`{field}` is no string")),
                None => Err(format!(
                    "the object has no `{field}`; name another with --field"
                )),
            };
            (object.remove("id").unwrap_or_default(), text)
        }
        Err(_) => (serde_json::Value::Null, Err(expected())),
    }
}

impl<R: BufRead> Iterator for Items<R> {
    type Item = io::Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.read_line() {
                Ok(None) => return None,
                // A blank line of JSON lines is no item.
                Ok(Some(_)) if self.json_field.is_some() && self.line.trim_ascii().is_empty() => {}
                Ok(Some(whole)) => return Some(Ok(self.item(whole))),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use serde_json::{Value, json};

    use super::*;

    fn read(bytes: &[u8], field: Option<&str>) -> Vec<(Value, Result<String, String>)> {
        Items::new(bytes, field.map(str::to_owned))
            .map(|item| item.unwrap())
            .map(|item| (item.id, item.text))
            .collect()
    }

    #[test]
    fn json_lines_are_strings_or_objects_and_keep_their_id() {
        let lines = br#""one"

{"id": 7, "text": "two", "more": []}
{"id": "x", "text": 3}
{"body": "four"}
[1]
"#;
        let found = read(lines, Some("text"));
        assert_eq!(found[0], (Value::Null, Ok("one".to_owned())));
        assert_eq!(found[1], (json!(7), Ok("two".to_owned())));
        assert_eq!(found[2].0, "x");
        let reasons: Vec<&String> = found[2..]
            .iter()
            .map(|(_, text)| text.as_ref().unwrap_err())
            .collect();
        assert!(reasons[0].contains("`text` is no string"), "{reasons:?}");
        assert!(reasons[1].contains("--field"), "{reasons:?}");
        assert!(reasons[2].contains("neither"), "{reasons:?}");
    }

    #[test]
    fn a_plain_file_has_a_text_a_line_and_says_what_is_none() {
        let found = read(b"one\r\n\ntwo\xff\nlast", None);
        let texts: Vec<_> = found.into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts[0], Ok("one".to_owned()));
        assert!(texts[1].as_ref().unwrap_err().contains("empty"));
        assert!(texts[2].as_ref().unwrap_err().contains("UTF-8"));
        assert_eq!(texts[3], Ok("last".to_owned()));
    }

    #[test]
    fn a_line_without_end_is_refused_and_the_next_is_read() {
        let mut bytes = vec![b'a'; MAX_LINE_BYTES + 10];
        bytes.extend_from_slice(b"\nnext\n");
        let size = bytes.len() as u64;
        let mut items = Items::new(bytes.as_slice(), None);
        assert!(items.next().unwrap().unwrap().text.is_err());
        assert_eq!(items.next().unwrap().unwrap().text, Ok("next".to_owned()));
        assert!(items.next().is_none());
        assert_eq!(items.bytes(), size);
    }

    #[test]
    fn a_changed_line_has_another_checksum() {
        let sums: Vec<u32> = Items::new(&b"one\ntwo\none\n"[..], None)
            .map(|item| item.unwrap().checksum)
            .collect();
        assert_eq!(sums[0], sums[2]);
        assert_ne!(sums[0], sums[1]);
    }
}
