//! Sequences of any lengths laid end to end, so that no padding is computed.

use std::ops::Range;

/// Token sequences one after the other. Keeps its buffers when cleared.
#[derive(Debug, Default)]
pub(crate) struct Ragged {
    ids: Vec<u32>,
    lengths: Vec<usize>,
}

impl Ragged {
    pub(crate) fn clear(&mut self) {
        self.ids.clear();
        self.lengths.clear();
    }

    /// Adds a sequence of at least one token at the end.
    pub(crate) fn push(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.lengths.push(ids.len());
    }

    /// Becomes the sequences `range` of another, whose ids lie at `ids` there.
    pub(crate) fn copy_part(&mut self, from: &Self, range: Range<usize>, ids: Range<usize>) {
        self.clear();
        self.ids.extend_from_slice(&from.ids[ids]);
        self.lengths.extend_from_slice(&from.lengths[range]);
    }

    /// The tokens of each sequence, in order.
    pub(crate) fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Tokens in all.
    pub(crate) fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// The rows of each sequence, where a token is a row.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.lengths.iter().scan(0, |end, length| {
            let start = *end;
            *end += length;
            Some(start..*end)
        })
    }

    /// Each sequence's rows and ids.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = (Range<usize>, &[u32])> {
        self.ranges().map(|rows| (rows.clone(), &self.ids[rows]))
    }

    /// Bytes that its buffers hold on to.
    pub(crate) fn held_bytes(&self) -> usize {
        self.ids.capacity() * size_of::<u32>() + self.lengths.capacity() * size_of::<usize>()
    }
}
