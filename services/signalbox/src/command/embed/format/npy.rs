//! NumPy's array file, `float32 [rows, dimensions]`; a refused text is a row of NaN. Version
//! 1.0 of <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. Its header
//! is one line, for which the crates at hand bring a parser generator.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
};

use super::{Format, Shape};
use crate::command::embed::journal::Row;

/// The data begins at a multiple of this many bytes.
const ALIGNMENT: usize = 64;
/// The magic string, two bytes of version, two of the header's length.
const PREFIX_BYTES: usize = 10;

struct Npy {
    file: BufWriter<File>,
    dimensions: usize,
}

pub(super) fn create(file: File, shape: Shape) -> io::Result<Box<dyn Format>> {
    let mut file = BufWriter::with_capacity(1 << 20, file);
    file.write_all(&header(shape))?;
    Ok(Box::new(Npy {
        file,
        dimensions: shape.dimensions,
    }))
}

fn header(shape: Shape) -> Vec<u8> {
    let Shape { rows, dimensions } = shape;
    let line =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dimensions}), }}");
    // Spaces up to the alignment, then the line's end.
    let bytes = (PREFIX_BYTES + line.len() + 1).next_multiple_of(ALIGNMENT);
    let length = bytes - PREFIX_BYTES;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    // Two numbers of 20 digits at most: never near 64 KiB.
    header.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    header.extend_from_slice(line.as_bytes());
    header.resize(bytes - 1, b' ');
    header.push(b'\n');
    header
}

impl Format for Npy {
    fn write(&mut self, row: &Row) -> io::Result<()> {
        match &row.vector {
            Ok(vector) => self.file.write_all(vector),
            Err(_) => {
                (0..self.dimensions).try_for_each(|_| self.file.write_all(&f32::NAN.to_le_bytes()))
            }
        }
    }

    fn finish(self: Box<Self>) -> io::Result<File> {
        Ok(self.file.into_inner()?)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use super::{super::tests::written, *};

    #[test]
    fn the_header_is_numpy_s_own_to_the_byte() {
        // What numpy.save wrote of a float32 array of zeros of this shape.
        let mut expected =
            b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"
                .to_vec();
        expected.resize(127, b' ');
        expected.push(b'\n');
        let shape = Shape {
            rows: 3,
            dimensions: 2,
        };
        assert_eq!(header(shape), expected);
        let shape = Shape {
            rows: u64::MAX,
            dimensions: usize::MAX,
        };
        assert_eq!(header(shape).len() % ALIGNMENT, 0);
    }

    #[test]
    fn a_refused_text_is_a_row_of_nan() {
        let (_dir, path) = written("out.npy");
        let bytes = fs::read(path).unwrap();
        let values: Vec<f32> = super::super::floats(&bytes[128..]).collect();
        assert_eq!(values.len(), 6);
        assert_eq!(values[..2], [1.0, -0.5]);
        assert!(values[2..4].iter().all(|value| value.is_nan()));
        assert_eq!(values[4..], [0.25, 2.0]);
    }
}
