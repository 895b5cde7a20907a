//! Apache Parquet: `index` int64, `id` the input's id as it was written in JSON, `embedding` a
//! list of float, `error` a string. The last three are null where there is nothing.

use std::{fs::File, io, mem, sync::Arc};

use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, FloatType, Int64Type},
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};

use super::{Format, Shape, floats};
use crate::command::embed::journal::Row;

/// Values of a row group that are kept until it is written: 32 MiB of them.
const GROUP_FLOATS: usize = 8 << 20;
/// The list's layout is the one that the format's specification asks for:
/// <https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists>
const SCHEMA: &str = "message embeddings {
    required int64 index;
    optional binary id (utf8);
    optional group embedding (list) {
        repeated group list {
            required float element;
        }
    }
    optional binary error (utf8);
}";

struct Parquet {
    file: SerializedFileWriter<File>,
    index: i64,
    group: Group,
}

/// The columns of a row group, each with the definition levels of its rows.
#[derive(Default)]
struct Group {
    index: Vec<i64>,
    id: Vec<ByteArray>,
    id_levels: Vec<i16>,
    embedding: Vec<f32>,
    /// 0: null, 1: an empty list, 2: a value.
    embedding_levels: Vec<i16>,
    /// 0 where a row's list begins, 1 within it.
    repetitions: Vec<i16>,
    error: Vec<ByteArray>,
    error_levels: Vec<i16>,
}

pub(super) fn create(file: File, _: Shape) -> io::Result<Box<dyn Format>> {
    let schema = Arc::new(parse_message_type(SCHEMA).map_err(io::Error::other)?);
    // Vectors neither repeat nor compress.
    let properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .build();
    let file =
        SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(io::Error::other)?;
    Ok(Box::new(Parquet {
        file,
        index: 0,
        group: Group::default(),
    }))
}

impl Format for Parquet {
    fn write(&mut self, row: &Row) -> io::Result<()> {
        let group = &mut self.group;
        group.index.push(self.index);
        self.index += 1;
        let id = (!row.id.is_null()).then(|| row.id.to_string());
        group.id_levels.push(i16::from(id.is_some()));
        group
            .id
            .extend(id.map(|id| ByteArray::from(id.into_bytes())));
        let before = group.embedding.len();
        if let Ok(vector) = &row.vector {
            group.embedding.extend(floats(vector));
        }
        let values = group.embedding.len() - before;
        group.repetitions.push(0);
        group.repetitions.extend((1..values).map(|_| 1));
        match (&row.vector, values) {
            (Err(_), _) => group.embedding_levels.push(0),
            (Ok(_), 0) => group.embedding_levels.push(1),
            (Ok(_), values) => group.embedding_levels.extend((0..values).map(|_| 2)),
        }
        let error = row.vector.as_ref().err();
        group.error_levels.push(i16::from(error.is_some()));
        group
            .error
            .extend(error.map(|error| ByteArray::from(error.as_str())));
        if group.embedding.len() >= GROUP_FLOATS {
            self.end_group().map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<File> {
        self.end_group().map_err(io::Error::other)?;
        self.file.into_inner().map_err(io::Error::other)
    }
}

impl Parquet {
    fn end_group(&mut self) -> parquet::errors::Result<()> {
        let group = mem::take(&mut self.group);
        if group.index.is_empty() {
            return Ok(());
        }
        let mut writer = self.file.next_row_group()?;
        let mut column = next(&mut writer)?;
        column
            .typed::<Int64Type>()
            .write_batch(&group.index, None, None)?;
        column.close()?;
        let mut column = next(&mut writer)?;
        column
            .typed::<ByteArrayType>()
            .write_batch(&group.id, Some(&group.id_levels), None)?;
        column.close()?;
        let mut column = next(&mut writer)?;
        column.typed::<FloatType>().write_batch(
            &group.embedding,
            Some(&group.embedding_levels),
            Some(&group.repetitions),
        )?;
        column.close()?;
        let mut column = next(&mut writer)?;
        column.typed::<ByteArrayType>().write_batch(
            &group.error,
            Some(&group.error_levels),
            None,
        )?;
        column.close()?;
        writer.close()?;
        Ok(())
    }
}

fn next<'a>(
    writer: &'a mut SerializedRowGroupWriter<'_, File>,
) -> parquet::errors::Result<parquet::file::writer::SerializedColumnWriter<'a>> {
    let missing = || parquet::errors::ParquetError::General("a column too many".to_owned());
    writer.next_column()?.ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs::File;

    use parquet::{
        file::reader::{FileReader as _, SerializedFileReader},
        record::RowAccessor as _,
    };

    use super::super::tests::written;

    #[test]
    fn a_reader_gets_the_rows_back_with_nulls_where_nothing_is() {
        let (_dir, path) = written("out.parquet");
        let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        let rows: Vec<_> = reader
            .get_row_iter(None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rows.len(), 3);
        let indexes: Vec<i64> = rows.iter().map(|row| row.get_long(0).unwrap()).collect();
        assert_eq!(indexes, [0, 1, 2]);
        assert_eq!(rows[0].get_string(1).unwrap(), "\"a\"");
        let list = rows[2].get_list(2).unwrap();
        assert_eq!(list.elements().len(), 2);
        assert_eq!(list.elements()[1].to_string(), "2.0");
        assert!(rows[1].get_list(2).is_err() && rows[0].get_string(3).is_err());
        assert_eq!(rows[1].get_string(3).unwrap(), "is empty");
    }
}
