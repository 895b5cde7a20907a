//! Sequences of any lengths laid end to end, so that no padding is computed.

use std::ops::Range;

/// A group of token sequences as one run of rows: sequence i takes the rows
/// `ranges[i]`.
pub(crate) struct Ragged<'a> {
    /// The sequences, each with at least one token.
    pub(crate) sequences: &'a [&'a [u32]],
    /// The rows of each sequence, in order and without gaps.
    pub(crate) ranges: Vec<Range<usize>>,
}

impl<'a> Ragged<'a> {
    /// Lays the sequences end to end.
    pub(crate) fn new(sequences: &'a [&'a [u32]]) -> Self {
        let mut end = 0;
        let ranges = sequences
            .iter()
            .map(|ids| {
                let start = end;
                end += ids.len();
                start..end
            })
            .collect();
        Self { sequences, ranges }
    }

    /// Rows in all.
    pub(crate) fn rows(&self) -> usize {
        self.ranges.last().map_or(0, |range| range.end)
    }

    /// Rows of the longest sequence.
    pub(crate) fn longest(&self) -> usize {
        self.ranges.iter().map(Range::len).max().unwrap_or(0)
    }
}
