//! A table of word pieces that finds the longest one that a word begins with.
//!
//! Hashes of all beginnings of a word come from one pass over it, so that trying the
//! next shorter one costs a look into the table and no more. What is found is compared
//! byte for byte: a hash alone decides nothing.

/// Pieces and their ids.
pub(super) struct Pieces {
    /// Open addressing: the slot of a hash, or the next free one after it.
    slots: Vec<Slot>,
    /// One bit for each of some of a hash's values: whether a piece has it. Small enough
    /// for the fastest cache, where it answers most looks that find nothing.
    seen: Vec<u64>,
    /// All pieces, end to end.
    text: Vec<u8>,
    /// Of the longest piece, in bytes.
    longest: usize,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// 0: free.
    hash: u32,
    id: u32,
    start: u32,
    length: u32,
}

/// Longest piece, in bytes; those of BERT have up to 18.
const MAX_LENGTH: usize = 128;

impl Pieces {
    /// A table of these, or none if one is too long. A piece of no length is never
    /// looked for and is left out.
    pub(super) fn new<'a>(pieces: impl Iterator<Item = (&'a str, u32)>) -> Option<Self> {
        let pieces: Vec<(&str, u32)> = pieces.filter(|(piece, _)| !piece.is_empty()).collect();
        if pieces.iter().any(|(piece, _)| piece.len() > MAX_LENGTH) {
            return None;
        }
        let slots = (2 * pieces.len()).next_power_of_two().max(64);
        let mut table = Self {
            slots: vec![Slot::default(); slots],
            seen: vec![0; slots * BITS_A_SLOT / 64],
            text: Vec::with_capacity(pieces.iter().map(|(piece, _)| piece.len()).sum()),
            longest: 0,
        };
        for (piece, id) in pieces {
            let hash = piece.bytes().fold(SEED, step);
            let mut slot = table.first_slot(hash);
            while table.slots[slot].hash != 0 {
                slot = (slot + 1) & (table.slots.len() - 1);
            }
            let (word, bit) = table.seen_at(hash);
            table.seen[word] |= bit;
            table.slots[slot] = Slot {
                hash: tag(hash),
                id,
                start: table.text.len() as u32,
                length: piece.len() as u32,
            };
            table.text.extend_from_slice(piece.as_bytes());
            table.longest = table.longest.max(piece.len());
        }
        Some(table)
    }

    /// The id and length of the longest piece that `word` begins with.
    pub(super) fn longest(&self, word: &[u8]) -> Option<(u32, usize)> {
        let most = word.len().min(self.longest);
        match &word[..most] {
            word if most <= 24 => self.longest_within::<24>(word),
            word => self.longest_within::<MAX_LENGTH>(word),
        }
    }

    /// As [`Pieces::longest`] for a word of at most `MOST` bytes.
    #[inline]
    fn longest_within<const MOST: usize>(&self, word: &[u8]) -> Option<(u32, usize)> {
        let mut hashes = [0; MOST];
        let mut hash = SEED;
        for (byte, entry) in word.iter().zip(&mut hashes) {
            hash = step(hash, *byte);
            *entry = hash;
        }
        for (index, hash) in hashes[..word.len()].iter().enumerate().rev() {
            let length = index + 1;
            let (seen, bit) = self.seen_at(*hash);
            if self.seen[seen] & bit != 0
                && let Some(id) = self.get(*hash, &word[..length])
            {
                return Some((id, length));
            }
        }
        None
    }

    fn get(&self, hash: u64, piece: &[u8]) -> Option<u32> {
        let mut index = self.first_slot(hash);
        loop {
            let slot = self.slots[index];
            if slot.hash == 0 {
                return None;
            }
            if slot.hash == tag(hash) && slot.length as usize == piece.len() {
                let start = slot.start as usize;
                if self.text[start..start + piece.len()] == *piece {
                    return Some(slot.id);
                }
            }
            index = (index + 1) & (self.slots.len() - 1);
        }
    }

    fn seen_at(&self, hash: u64) -> (usize, u64) {
        let bit = (hash >> 24) as usize & (self.seen.len() * 64 - 1);
        (bit / 64, 1 << (bit % 64))
    }

    fn first_slot(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.slots.len() - 1)
    }
}

/// So many bits of `seen` for each slot, of which half are in use: one look in eight
/// that could have ended there goes on.
const BITS_A_SLOT: usize = 4;

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// FNV-1a's step with a wider factor: the high bits, which choose the slot, depend on
/// every byte.
fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

/// The other half of the hash; never 0, which marks a free slot.
fn tag(hash: u64) -> u32 {
    hash as u32 | 1
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_longest_piece_wins_and_none_is_none() {
        let pieces = Pieces::new([("a", 1), ("ab", 2), ("abcd", 3), ("", 4)].into_iter()).unwrap();
        assert_eq!(pieces.longest(b"abc"), Some((2, 2)));
        assert_eq!(pieces.longest(b"abcde"), Some((3, 4)));
        assert_eq!(pieces.longest(b"ac"), Some((1, 1)));
        assert_eq!(pieces.longest(b"b"), None);
        assert_eq!(pieces.longest(b""), None);
    }

    #[test]
    fn a_piece_that_is_too_long_makes_no_table() {
        let long = "a".repeat(MAX_LENGTH + 1);
        assert!(Pieces::new([(&*long, 1)].into_iter()).is_none());
        assert!(Pieces::new([(&long[1..], 1)].into_iter()).is_some());
    }

    #[test]
    fn an_empty_table_finds_nothing() {
        assert_eq!(Pieces::new(std::iter::empty()).unwrap().longest(b"a"), None);
    }

    #[test]
    fn every_piece_of_a_large_table_is_found() {
        let words: Vec<String> = (0..40_000).map(|n| format!("{n:x}")).collect();
        let pieces = Pieces::new(words.iter().map(String::as_str).zip(0..)).unwrap();
        for (id, word) in (0..).zip(&words) {
            assert_eq!(pieces.longest(word.as_bytes()), Some((id, word.len())));
        }
    }
}
