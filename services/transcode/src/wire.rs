//! The protobuf wire format, by hand: varints, tags and records.
//!
//! Both directions of the codec work on bytes directly, so this is all of
//! protobuf that they need. Reading never trusts a length: every function
//! answers [`Corrupt`] instead of panicking.

/// Bytes that are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Corrupt(pub(crate) &'static str);

/// How a record's payload is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireType {
    Varint,
    Fixed64,
    Len,
    StartGroup,
    EndGroup,
    Fixed32,
}

impl WireType {
    /// The three low bits of a tag.
    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::Varint => 0,
            Self::Fixed64 => 1,
            Self::Len => 2,
            Self::StartGroup => 3,
            Self::EndGroup => 4,
            Self::Fixed32 => 5,
        }
    }
}

/// Appends a varint.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length-delimited payload.
#[inline]
pub(crate) fn put_len(out: &mut Vec<u8>, payload: &[u8]) {
    put_varint(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

/// Begins a length-delimited payload of unknown length; [`close`] ends it.
#[inline]
pub(crate) fn open(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len()
}

/// Writes the length of the payload begun at `mark`. One byte was kept for it,
/// which is what most payloads need; a longer one is moved up.
#[inline]
pub(crate) fn close(out: &mut Vec<u8>, mark: usize) {
    let length = out.len() - mark;
    if length < 0x80 {
        out[mark - 1] = length as u8;
        return;
    }
    let mut head = [0u8; 10];
    let mut size = 0;
    let mut rest = length;
    while rest >= 0x80 {
        head[size] = rest as u8 | 0x80;
        rest >>= 7;
        size += 1;
    }
    head[size] = rest as u8;
    size += 1;
    let end = out.len();
    out.resize(end + size - 1, 0);
    out.copy_within(mark..end, mark + size - 1);
    out[mark - 1..mark - 1 + size].copy_from_slice(&head[..size]);
}

/// A cursor over one message's bytes.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    pos: usize,
}

/// Groups nested deeper than this are refused when skipped.
const MAX_GROUPS: u32 = 64;

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, pos: 0 }
    }

    /// A cursor over the part of `bytes` from `start` to `end`.
    pub(crate) fn span(bytes: &'a [u8], start: usize, end: usize) -> Self {
        let bytes = bytes.get(..end).unwrap_or(bytes);
        Self { bytes, pos: start }
    }

    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    #[inline]
    pub(crate) fn done(&self) -> bool {
        self.pos >= self.bytes.len()
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0u64;
        let mut shift = 0;
        while let Some(&byte) = self.bytes.get(self.pos) {
            self.pos += 1;
            if shift == 63 && byte > 1 {
                return Err(Corrupt("a varint holds more than 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
            if shift > 63 {
                return Err(Corrupt("a varint is longer than 10 bytes"));
            }
        }
        Err(Corrupt("the message ends within a varint"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Corrupt> {
        let end = self.pos.checked_add(length);
        let taken = end.and_then(|end| self.bytes.get(self.pos..end));
        let taken = taken.ok_or(Corrupt("a field is longer than its message"))?;
        self.pos += length;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, Corrupt> {
        let bytes = self.bytes.get(self.pos..).and_then(<[u8]>::first_chunk);
        let bytes = bytes.ok_or(Corrupt("the message ends within a 32-bit field"))?;
        self.pos += 4;
        Ok(u32::from_le_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, Corrupt> {
        let bytes = self.bytes.get(self.pos..).and_then(<[u8]>::first_chunk);
        let bytes = bytes.ok_or(Corrupt("the message ends within a 64-bit field"))?;
        self.pos += 8;
        Ok(u64::from_le_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn len(&mut self) -> Result<&'a [u8], Corrupt> {
        let length = self.varint()?;
        let length =
            usize::try_from(length).map_err(|_| Corrupt("a field is longer than its message"))?;
        self.take(length)
    }

    /// The next field number and wire type.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<(u32, WireType), Corrupt> {
        let tag = u32::try_from(self.varint()?).map_err(|_| Corrupt("a tag is out of range"))?;
        let wire = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Len,
            3 => WireType::StartGroup,
            4 => WireType::EndGroup,
            5 => WireType::Fixed32,
            _ => return Err(Corrupt("a tag has an unknown wire type")),
        };
        if tag >> 3 == 0 {
            return Err(Corrupt("field number 0 is reserved"));
        }
        Ok((tag >> 3, wire))
    }

    /// Steps over the payload of a record whose tag was read.
    #[inline]
    pub(crate) fn skip(&mut self, number: u32, wire: WireType) -> Result<(), Corrupt> {
        match wire {
            WireType::Varint => self.varint().map(drop),
            WireType::Fixed64 => self.take(8).map(drop),
            WireType::Fixed32 => self.take(4).map(drop),
            WireType::Len => self.len().map(drop),
            WireType::StartGroup => self.skip_group(number, 0),
            WireType::EndGroup => Err(Corrupt("a group ends that never began")),
        }
    }

    fn skip_group(&mut self, group: u32, depth: u32) -> Result<(), Corrupt> {
        if depth >= MAX_GROUPS {
            return Err(Corrupt("groups are nested too deep"));
        }
        loop {
            let (number, wire) = self.tag()?;
            match wire {
                WireType::EndGroup if number == group => return Ok(()),
                WireType::StartGroup => self.skip_group(number, depth + 1)?,
                _ => self.skip(number, wire)?,
            }
        }
    }
}

/// Maps a signed number to a small unsigned one (`sint32`, `sint64`).
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn payloads_of_any_length_get_their_shortest_length_prefix() {
        for length in [0usize, 1, 127, 128, 16_383, 16_384, 2_097_152] {
            let mut out = vec![9];
            let mark = open(&mut out);
            out.extend((0..length).map(|i| i as u8));
            close(&mut out, mark);
            let mut expected = vec![9];
            put_len(
                &mut expected,
                &(0..length).map(|i| i as u8).collect::<Vec<_>>(),
            );
            assert!(out == expected, "length {length}");
        }
    }

    #[test]
    fn cut_and_overlong_bytes_are_corrupt_and_never_panic() {
        for bytes in [
            &[0xff; 11][..],
            &[0x80],
            &[],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        ] {
            assert!(Reader::new(bytes).varint().is_err());
        }
        assert!(Reader::new(&[5, 1, 2]).len().is_err());
        assert!(Reader::new(&[0, 0]).tag().is_err(), "field 0");
        assert!(Reader::new(&[0x0f]).tag().is_err(), "wire type 7");
        assert!(Reader::new(&[1, 2, 3]).fixed32().is_err());
        let nested = [0x0b; 200];
        assert!(
            Reader::new(&nested[1..])
                .skip(1, WireType::StartGroup)
                .is_err()
        );
    }

    #[test]
    fn zigzag_is_its_own_inverse() {
        for value in [0, 1, -1, 2, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
