//! Protobuf bytes to JSON text, with no message in between.
//!
//! A message is walked twice, both times over tags only: first to note where
//! each field's payload lies, then to write the fields in order of their numbers.
//! That is what always-printed defaults, later-wins and lists that are not
//! contiguous need, at the price of one slot for each declared field on a stack
//! that the whole message shares.

mod text;
mod well_known;

pub(crate) use self::text::put_string;

use std::collections::HashMap;

use crate::{
    plan::{Card, Emit, Field, Kind, Message, Plan, Shape},
    wire::{Corrupt, Reader, WireType},
};

/// Messages within each other, at most; a server that sends deeper ones is
/// answered for with an error instead of with our stack.
const MAX_DEPTH: u32 = 100;

/// Appends the JSON of the message `index` whose wire form is `bytes`.
///
/// # Errors
/// When the bytes are not such a message; `out` then holds rubbish.
pub(crate) fn message(
    plan: &Plan,
    index: u32,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Corrupt> {
    let slots = Vec::with_capacity(32);
    Encoder {
        plan,
        out,
        slots,
        depth: 0,
        terse: false,
    }
    .message(index, bytes)
}

/// As [`message`], but a field that is not on the wire is left out.
///
/// # Errors
/// As [`message`].
pub(crate) fn terse_message(
    plan: &Plan,
    index: u32,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Corrupt> {
    Encoder {
        plan,
        out,
        slots: Vec::new(),
        depth: 0,
        terse: true,
    }
    .message(index, bytes)
}

/// Appends the JSON of one field of the message `index`, `null` when unset.
///
/// # Errors
/// As [`message`].
pub(crate) fn field(
    plan: &Plan,
    index: u32,
    field: u16,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Corrupt> {
    let mut encoder = Encoder {
        plan,
        out,
        slots: Vec::new(),
        depth: 0,
        terse: false,
    };
    let message = plan.message(index);
    let base = encoder.index(message, bytes)?;
    let slot = encoder.slots[base + usize::from(field)];
    let field = message.field(field);
    if slot.count == 0 && matches!(field.card, Card::One { presence: true }) {
        encoder.out.extend_from_slice(b"null");
        return Ok(());
    }
    encoder.value_of(field, slot, bytes)
}

struct Encoder<'p> {
    plan: &'p Plan,
    out: &'p mut Vec<u8>,
    /// One slot for each declared field of every message being written.
    slots: Vec<Slot>,
    depth: u32,
    /// Whether fields without presence are left out when unset.
    terse: bool,
}

/// Where a field's records lie in its message.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// Where the tag of the first record starts.
    first: usize,
    /// Where the payload of the last record starts, after its tag.
    last: usize,
    /// One past the last record.
    end: usize,
    count: u32,
}

impl Encoder<'_> {
    fn message(&mut self, index: u32, bytes: &[u8]) -> Result<(), Corrupt> {
        if self.depth == MAX_DEPTH {
            return Err(Corrupt("messages are nested too deep"));
        }
        self.depth += 1;
        let plan = self.plan;
        let message = plan.message(index);
        match message.shape {
            Shape::Object => self.object(message, bytes)?,
            shape => self.well_known(message, shape, bytes)?,
        }
        self.depth -= 1;
        Ok(())
    }

    fn object(&mut self, message: &Message, bytes: &[u8]) -> Result<(), Corrupt> {
        let base = self.index(message, bytes)?;
        let mut before = b'{';
        for (at, field) in message.fields.iter().enumerate() {
            let slot = self.slots[base + at];
            let (field, slot, null) = match field.emit {
                Emit::Plain => (field, slot, false),
                Emit::Hidden => continue,
                Emit::NullWhenUnset => (field, slot, slot.count == 0),
                Emit::OrPacked { packed, also } => {
                    // Bytes and packed lists alike begin with their length.
                    let set = |index: &u16| {
                        let other = self.slots[base + usize::from(*index)];
                        other.count > 0 && bytes.get(other.last) != Some(&0)
                    };
                    if let Some(index) = [Some(packed), also].into_iter().flatten().find(set) {
                        let other = self.slots[base + usize::from(index)];
                        self.out.push(before);
                        before = b',';
                        self.out.extend_from_slice(&field.key);
                        self.value_of(message.field(index), other, bytes)?;
                        continue;
                    }
                    (field, slot, false)
                }
            };
            let optional = self.terse || matches!(field.card, Card::One { presence: true });
            if !null && slot.count == 0 && optional {
                continue;
            }
            self.out.push(before);
            before = b',';
            self.out.extend_from_slice(&field.key);
            if null {
                self.out.extend_from_slice(b"null");
            } else {
                self.value_of(field, slot, bytes)?;
            }
        }
        if before == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
        self.slots.truncate(base);
        Ok(())
    }

    /// Notes where each field of the message lies, on top of the slots.
    fn index(&mut self, message: &Message, bytes: &[u8]) -> Result<usize, Corrupt> {
        let base = self.slots.len();
        self.slots
            .resize(base + message.fields.len(), Slot::default());
        let mut reader = Reader::new(bytes);
        while !reader.done() {
            let first = reader.pos();
            let (number, wire) = reader.tag()?;
            let last = reader.pos();
            reader.skip(number, wire)?;
            let Some(index) = message.numbers.get(number) else {
                continue;
            };
            let field = message.field(index);
            check_wire(field, wire)?;
            if let Some(oneof) = field.oneof {
                // A later member clears the earlier one.
                for &other in message.oneofs.get(usize::from(oneof)).into_iter().flatten() {
                    if other != index {
                        self.slots[base + usize::from(other)] = Slot::default();
                    }
                }
            }
            let slot = &mut self.slots[base + usize::from(index)];
            if slot.count == 0 {
                slot.first = first;
            }
            slot.last = last;
            slot.end = reader.pos();
            slot.count += 1;
        }
        Ok(base)
    }

    fn value_of(&mut self, field: &Field, slot: Slot, bytes: &[u8]) -> Result<(), Corrupt> {
        match field.card {
            Card::List { .. } => self.list(field, slot, bytes),
            Card::Map { key } => self.map(field, key, slot, bytes),
            Card::One { .. } if slot.count == 0 => self.zero(field.kind),
            Card::One { .. } => match field.kind {
                Kind::Message(index) if slot.count > 1 => {
                    // Merging messages is reading them one after the other.
                    let mut merged = Vec::new();
                    records(field, slot, bytes, |record, _| {
                        merged.extend_from_slice(record.len()?);
                        Ok(())
                    })?;
                    self.message(index, &merged)
                }
                kind => self.one(kind, &mut Reader::span(bytes, slot.last, slot.end)),
            },
        }
    }

    /// One value from behind its tag.
    #[inline]
    fn one(&mut self, kind: Kind, reader: &mut Reader<'_>) -> Result<(), Corrupt> {
        match kind {
            Kind::String => {
                let text = str::from_utf8(reader.len()?)
                    .map_err(|_| Corrupt("a string field is not UTF-8"))?;
                put_string(self.out, text);
                Ok(())
            }
            Kind::Message(index) => self.message(index, reader.len()?),
            Kind::Bytes => {
                text::put_base64(self.out, reader.len()?);
                Ok(())
            }
            Kind::Enum(index) => {
                let number = reader.varint()? as i32;
                text::put_enum(self.out, self.plan.enumeration(index), number);
                Ok(())
            }
            _ => text::put_number(self.out, kind, reader),
        }
    }

    /// The value of a field that is not on the wire and has no presence.
    fn zero(&mut self, kind: Kind) -> Result<(), Corrupt> {
        match kind {
            Kind::Message(index) => self.message(index, &[]),
            Kind::String | Kind::Bytes => {
                self.out.extend_from_slice(b"\"\"");
                Ok(())
            }
            Kind::Fixed32 | Kind::Sfixed32 | Kind::Float => {
                self.one(kind, &mut Reader::new(&[0; 4]))
            }
            Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => {
                self.one(kind, &mut Reader::new(&[0; 8]))
            }
            _ => self.one(kind, &mut Reader::new(&[0])),
        }
    }

    fn list(&mut self, field: &Field, slot: Slot, bytes: &[u8]) -> Result<(), Corrupt> {
        self.out.push(b'[');
        let start = self.out.len();
        records(field, slot, bytes, |record, wire| {
            if wire == WireType::Len && field.kind.packable() {
                let payload = record.len()?;
                if field.kind == Kind::Float {
                    return text::put_floats(self.out, payload);
                }
                let mut packed = Reader::new(payload);
                while !packed.done() {
                    self.one(field.kind, &mut packed)?;
                    self.out.push(b',');
                }
            } else {
                self.one(field.kind, record)?;
                self.out.push(b',');
            }
            Ok(())
        })?;
        if self.out.len() > start {
            self.out.pop();
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(&mut self, field: &Field, key: Kind, slot: Slot, bytes: &[u8]) -> Result<(), Corrupt> {
        let mut entries: Vec<(String, Option<Reader<'_>>)> = Vec::new();
        records(field, slot, bytes, |record, _| {
            entries.push(entry(key, field.kind, record.len()?)?);
            Ok(())
        })?;
        // A key may come twice; JSON must hold its last value only.
        let mut last: HashMap<&str, usize> = HashMap::new();
        if entries.len() > 1 {
            last = entries.iter().map(|(key, _)| &**key).zip(0..).collect();
        }
        self.out.push(b'{');
        let start = self.out.len();
        for (at, (key, value)) in entries.iter().enumerate() {
            if last.get(&**key).is_some_and(|&last| last != at) {
                continue;
            }
            put_string(self.out, key);
            self.out.push(b':');
            match value {
                Some(value) => self.one(field.kind, &mut value.clone())?,
                None => self.zero(field.kind)?,
            }
            self.out.push(b',');
        }
        if self.out.len() > start {
            self.out.pop();
        }
        self.out.push(b'}');
        Ok(())
    }
}

/// Runs `read` on every record of one field, from behind its tag.
fn records<'a>(
    field: &Field,
    slot: Slot,
    bytes: &'a [u8],
    mut read: impl FnMut(&mut Reader<'a>, WireType) -> Result<(), Corrupt>,
) -> Result<(), Corrupt> {
    let mut reader = Reader::span(bytes, slot.first, slot.end);
    while !reader.done() {
        let (number, wire) = reader.tag()?;
        if number == field.number {
            read(&mut reader, wire)?;
        } else {
            reader.skip(number, wire)?;
        }
    }
    Ok(())
}

/// A map entry: its key as text, and its value from behind the tag.
fn entry<'a>(
    key: Kind,
    value: Kind,
    bytes: &'a [u8],
) -> Result<(String, Option<Reader<'a>>), Corrupt> {
    let mut found = text::default_key(key);
    let mut value_at = None;
    let mut reader = Reader::new(bytes);
    while !reader.done() {
        let (number, wire) = reader.tag()?;
        let expected = match number {
            1 => Some(key.wire_type()),
            2 => Some(value.wire_type()),
            _ => None,
        };
        if expected.is_some_and(|expected| expected != wire) {
            return Err(Corrupt("a map entry has the wrong wire type"));
        }
        if number == 1 {
            found = text::key(key, &mut reader)?;
            continue;
        }
        if number == 2 {
            value_at = Some(reader);
        }
        reader.skip(number, wire)?;
    }
    Ok((found, value_at))
}

fn check_wire(field: &Field, wire: WireType) -> Result<(), Corrupt> {
    let fits = match field.card {
        Card::Map { .. } => wire == WireType::Len,
        Card::One { .. } => wire == field.kind.wire_type(),
        Card::List { .. } => {
            wire == field.kind.wire_type() || (wire == WireType::Len && field.kind.packable())
        }
    };
    if fits {
        Ok(())
    } else {
        Err(Corrupt("a field has the wrong wire type"))
    }
}
