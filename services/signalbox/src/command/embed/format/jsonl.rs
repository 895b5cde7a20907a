//! A JSON object a line: `index`, `id` where the input had one, and `embedding` or `error`.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
};

use serde::Serialize;

use super::{Format, Shape, floats};
use crate::command::embed::journal::Row;

struct JsonLines {
    file: BufWriter<File>,
    index: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    index: u64,
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    id: &'a serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

pub(super) fn create(file: File, _: Shape) -> io::Result<Box<dyn Format>> {
    Ok(Box::new(JsonLines {
        file: BufWriter::with_capacity(1 << 20, file),
        index: 0,
    }))
}

impl Format for JsonLines {
    fn write(&mut self, row: &Row) -> io::Result<()> {
        let line = Line {
            index: self.index,
            id: &row.id,
            embedding: row.vector.as_ref().ok().map(|v| floats(v).collect()),
            error: row.vector.as_ref().err().map(String::as_str),
        };
        serde_json::to_writer(&mut self.file, &line)?;
        self.index += 1;
        self.file.write_all(b"\n")
    }

    fn finish(self: Box<Self>) -> io::Result<File> {
        Ok(self.file.into_inner()?)
    }
}
