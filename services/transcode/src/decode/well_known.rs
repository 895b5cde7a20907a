//! The well-known types whose JSON is not an object of their fields.

use super::{Decoder, scalar};
use crate::{
    fault::{Fault, Read},
    plan::{Kind, Message, Plan, Shape, tag},
    time,
    wire::{self, WireType},
};

/// Field numbers of `google.protobuf.Value`.
mod value {
    pub(super) const NULL: u32 = 1;
    pub(super) const NUMBER: u32 = 2;
    pub(super) const STRING: u32 = 3;
    pub(super) const BOOL: u32 = 4;
    pub(super) const STRUCT: u32 = 5;
    pub(super) const LIST: u32 = 6;
}

/// Appends the fields of a well-known type from the text of its JSON string.
/// `None`: this type has no such form.
pub(crate) fn from_text(
    plan: &Plan,
    shape: Shape,
    text: &str,
    out: &mut Vec<u8>,
) -> Option<Result<(), String>> {
    let found = || crate::fault::shorten(text);
    Some(match shape {
        Shape::Timestamp => match time::parse_timestamp(text) {
            Some(parsed) => {
                seconds_and_nanos(parsed, out);
                Ok(())
            }
            None => Err(format!(
                "expected an RFC 3339 time such as \"2024-05-06T07:08:09Z\", found {:?}",
                found()
            )),
        },
        Shape::Duration => match time::parse_duration(text) {
            Some(parsed) => {
                seconds_and_nanos(parsed, out);
                Ok(())
            }
            None => Err(format!(
                "expected seconds such as \"1.5s\", found {:?}",
                found()
            )),
        },
        Shape::FieldMask => field_mask(text, out),
        Shape::Wrapper(Kind::String) => {
            wire::put_varint(out, tag(1, WireType::Len));
            wire::put_len(out, text.as_bytes());
            Ok(())
        }
        Shape::Wrapper(Kind::Bytes) => {
            wire::put_varint(out, tag(1, WireType::Len));
            let mark = wire::open(out);
            let decoded = scalar::base64(text, out);
            wire::close(out, mark);
            decoded
        }
        Shape::Wrapper(kind) => match scalar::parse(plan, kind, text)? {
            Ok(scalar) => {
                wire::put_varint(out, tag(1, kind.wire_type()));
                scalar.put(out);
                Ok(())
            }
            Err(message) => Err(message),
        },
        Shape::Object | Shape::Struct | Shape::Value | Shape::ListValue | Shape::Any => {
            return None;
        }
    })
}

fn seconds_and_nanos((seconds, nanos): (i64, i32), out: &mut Vec<u8>) {
    for (number, value) in [(1, seconds), (2, i64::from(nanos))] {
        if value != 0 {
            wire::put_varint(out, tag(number, WireType::Varint));
            wire::put_varint(out, value as u64);
        }
    }
}

/// Paths separated by commas, in lowerCamelCase; `snake_case`, which the rest of
/// this API speaks, is as good.
fn field_mask(text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    for path in text.split(',') {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if path.is_empty() || !path.chars().all(known) {
            let found = crate::fault::shorten(text);
            return Err(format!(
                "expected field paths such as \"a,b.c\", found {found:?}"
            ));
        }
        wire::put_varint(out, tag(1, WireType::Len));
        let mark = wire::open(out);
        for byte in path.bytes() {
            if byte.is_ascii_uppercase() {
                out.push(b'_');
            }
            out.push(byte.to_ascii_lowercase());
        }
        wire::close(out, mark);
    }
    Ok(())
}

impl Decoder<'_, '_> {
    pub(super) fn well_known(&mut self, message: &Message) -> Read<()> {
        match message.shape {
            Shape::Struct => self.structure(),
            Shape::Value => self.value(),
            Shape::ListValue => self.list_value(),
            Shape::Wrapper(kind) => self.single(kind, tag(1, kind.wire_type()), true),
            Shape::Timestamp | Shape::Duration | Shape::FieldMask => {
                if self.scan.peek()? != b'"' {
                    return self.expected("a string");
                }
                let text = self.scan.string()?.to_text()?;
                match from_text(self.plan, message.shape, &text, self.out) {
                    Some(parsed) => parsed.map_err(Fault::field),
                    None => Err(Fault::field("expected a string")),
                }
            }
            Shape::Object => self.object(message),
            // The builder refuses contracts that reach one.
            Shape::Any => Err(Fault::field(
                "google.protobuf.Any is not accepted over REST",
            )),
        }
    }

    fn structure(&mut self) -> Read<()> {
        if self.scan.peek()? != b'{' {
            return self.expected("an object");
        }
        let mut more = self.scan.open_object()?;
        while more {
            let key = self.scan.key()?;
            wire::put_varint(self.out, tag(1, WireType::Len));
            let entry = wire::open(self.out);
            wire::put_varint(self.out, tag(1, WireType::Len));
            let name = wire::open(self.out);
            key.append(self.out)?;
            wire::close(self.out, name);
            self.nested(2, Self::value)?;
            wire::close(self.out, entry);
            more = self.scan.next_member()?;
        }
        Ok(())
    }

    fn list_value(&mut self) -> Read<()> {
        if self.scan.peek()? != b'[' {
            return self.expected("an array");
        }
        let mut more = self.scan.open_array()?;
        while more {
            self.nested(1, Self::value)?;
            more = self.scan.next_element()?;
        }
        Ok(())
    }

    fn value(&mut self) -> Read<()> {
        match self.scan.peek()? {
            b'n' => {
                self.scan.word("null")?;
                self.varint(value::NULL, 0);
            }
            b't' => {
                self.scan.word("true")?;
                self.varint(value::BOOL, 1);
            }
            b'f' => {
                self.scan.word("false")?;
                self.varint(value::BOOL, 0);
            }
            b'"' => self.string(tag(value::STRING, WireType::Len), false)?,
            b'{' => self.nested(value::STRUCT, Self::structure)?,
            b'[' => self.nested(value::LIST, Self::list_value)?,
            _ => self.single(Kind::Double, tag(value::NUMBER, WireType::Fixed64), false)?,
        }
        Ok(())
    }

    fn varint(&mut self, number: u32, value: u64) {
        wire::put_varint(self.out, tag(number, WireType::Varint));
        wire::put_varint(self.out, value);
    }

    fn nested(&mut self, number: u32, read: fn(&mut Self) -> Read<()>) -> Read<()> {
        wire::put_varint(self.out, tag(number, WireType::Len));
        let mark = wire::open(self.out);
        read(self)?;
        wire::close(self.out, mark);
        Ok(())
    }
}
