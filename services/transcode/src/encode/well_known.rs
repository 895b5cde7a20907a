//! The well-known types whose JSON is not an object of their fields.

use super::{Encoder, Slot, put_string, text};
use crate::{
    plan::{Kind, Message, Shape},
    time,
    wire::{Corrupt, Reader},
};

impl Encoder<'_> {
    pub(super) fn well_known(
        &mut self,
        message: &Message,
        shape: Shape,
        bytes: &[u8],
    ) -> Result<(), Corrupt> {
        match shape {
            Shape::Timestamp | Shape::Duration => {
                let (seconds, nanos) = seconds_and_nanos(bytes)?;
                let mut text = String::with_capacity(32);
                let written = if shape == Shape::Timestamp {
                    time::write_timestamp(seconds, nanos, &mut text)
                } else {
                    time::write_duration(seconds, nanos, &mut text)
                };
                written.ok_or(Corrupt("a time or duration is out of range"))?;
                put_string(self.out, &text);
                Ok(())
            }
            Shape::FieldMask => self.field_mask(bytes),
            Shape::Wrapper(kind) => self.wrapper(message, kind, bytes),
            Shape::Struct | Shape::ListValue => {
                // Both are one field whose JSON stands for the whole.
                let base = self.index(message, bytes)?;
                let slot = self.first_slot(base);
                self.slots.truncate(base);
                match message.fields.first() {
                    Some(field) => self.value_of(field, slot, bytes),
                    None => Err(Corrupt("a well-known type lacks its field")),
                }
            }
            Shape::Value => self.value(message, bytes),
            Shape::Object => self.object(message, bytes),
            Shape::Any => Err(Corrupt("google.protobuf.Any has no JSON form here")),
        }
    }

    fn first_slot(&self, base: usize) -> Slot {
        self.slots.get(base).copied().unwrap_or_default()
    }

    fn wrapper(&mut self, message: &Message, kind: Kind, bytes: &[u8]) -> Result<(), Corrupt> {
        let base = self.index(message, bytes)?;
        let slot = self.first_slot(base);
        self.slots.truncate(base);
        if slot.count == 0 {
            return self.zero(kind);
        }
        self.one(kind, &mut Reader::span(bytes, slot.last, slot.end))
    }

    /// The member that is set; none is null. A number that JSON lacks is refused,
    /// as its string form would read back as a string.
    fn value(&mut self, message: &Message, bytes: &[u8]) -> Result<(), Corrupt> {
        let base = self.index(message, bytes)?;
        let set = message
            .fields
            .iter()
            .zip(self.slots.get(base..).unwrap_or_default())
            .find(|(_, slot)| slot.count > 0)
            .map(|(field, slot)| (field, *slot));
        self.slots.truncate(base);
        let Some((field, slot)) = set else {
            self.out.extend_from_slice(b"null");
            return Ok(());
        };
        if field.kind == Kind::Double {
            let value = f64::from_bits(Reader::span(bytes, slot.last, slot.end).fixed64()?);
            if !value.is_finite() {
                return Err(Corrupt(
                    "a google.protobuf.Value holds a number that JSON lacks",
                ));
            }
            text::put_double(self.out, value);
            return Ok(());
        }
        self.value_of(field, slot, bytes)
    }

    fn field_mask(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        let mut paths = String::new();
        let mut reader = Reader::new(bytes);
        while !reader.done() {
            let (number, wire) = reader.tag()?;
            if number != 1 || wire != crate::wire::WireType::Len {
                reader.skip(number, wire)?;
                continue;
            }
            let path =
                str::from_utf8(reader.len()?).map_err(|_| Corrupt("a field mask is not UTF-8"))?;
            if !paths.is_empty() {
                paths.push(',');
            }
            let mut upper = false;
            for c in path.chars() {
                match c {
                    '_' => upper = true,
                    _ if upper => {
                        paths.push(c.to_ascii_uppercase());
                        upper = false;
                    }
                    _ => paths.push(c),
                }
            }
        }
        put_string(self.out, &paths);
        Ok(())
    }
}

fn seconds_and_nanos(bytes: &[u8]) -> Result<(i64, i32), Corrupt> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(bytes);
    while !reader.done() {
        let (number, wire) = reader.tag()?;
        match (number, wire) {
            (1, crate::wire::WireType::Varint) => seconds = reader.varint()? as i64,
            (2, crate::wire::WireType::Varint) => nanos = reader.varint()? as i32,
            _ => reader.skip(number, wire)?,
        }
    }
    Ok((seconds, nanos))
}
