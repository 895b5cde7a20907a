//! JSON text to protobuf bytes, in one pass.
//!
//! The decoder walks the text once and appends records as it goes: there is no
//! tree of values in between. Three rules of protobuf make that possible:
//! records may come in any order, a later singular record wins, and repeated
//! records add up.
//!
//! The one case that bytes alone cannot express is a key given twice whose last
//! value must win: then the text is read once more, this time looking ahead at
//! each object for the last occurrence of every field.

pub(crate) mod scalar;
mod shapes;
pub(crate) mod well_known;

use std::collections::HashMap;

use self::scalar::Scalar;
use crate::{
    fault::{Fault, Read},
    plan::{Accept, Card, Field, Kind, Message, Plan, Shape},
    scan::{Scanner, Text},
    wire,
};

/// Appends the wire form of `json` as the message `index` to `out`.
///
/// # Errors
/// Where the text is not JSON or does not fit; `out` then holds rubbish.
pub(crate) fn message(plan: &Plan, index: u32, json: &str, out: &mut Vec<u8>) -> Read<()> {
    // Null leaves a field unset; the whole text is no field, and a client that sends
    // null for it has lost its request on the way.
    run(plan, json, out, |decoder| decoder.body(index))
}

/// Appends `json` as the field `field`, tag included.
///
/// # Errors
/// As [`message`]; paths start with the field's name.
pub(crate) fn field(plan: &Plan, field: &Field, json: &str, out: &mut Vec<u8>) -> Read<()> {
    run(plan, json, out, |decoder| {
        decoder
            .member(None, field)
            .map(drop)
            .map_err(|fault| fault.in_field(&field.name))
    })
}

fn run(
    plan: &Plan,
    json: &str,
    out: &mut Vec<u8>,
    read: impl Fn(&mut Decoder<'_, '_>) -> Read<()>,
) -> Read<()> {
    let start = out.len();
    let pass = |out: &mut Vec<u8>, last_wins: bool| {
        let scan = Scanner::new(json);
        let mut decoder = Decoder {
            plan,
            scan,
            out,
            last_wins,
        };
        read(&mut decoder)?;
        decoder.scan.end()
    };
    match pass(out, false) {
        Err(fault) if fault.is_duplicate() => {
            out.truncate(start);
            pass(out, true)
        }
        result => result,
    }
}

struct Decoder<'p, 'a> {
    plan: &'p Plan,
    scan: Scanner<'a>,
    out: &'p mut Vec<u8>,
    /// The second reading of a text in which some key occurs twice.
    last_wins: bool,
}

/// A set of field indices; the first 64 need no allocation.
#[derive(Default)]
struct Seen {
    low: u64,
    high: Vec<u64>,
}

impl Seen {
    /// Adds an index; false when it was there.
    #[inline]
    fn insert(&mut self, index: u16) -> bool {
        let (word, bit) = (usize::from(index / 64), 1u64 << (index % 64));
        let slot = if word == 0 {
            &mut self.low
        } else {
            if self.high.len() < word {
                self.high.resize(word, 0);
            }
            &mut self.high[word - 1]
        };
        let new = *slot & bit == 0;
        *slot |= bit;
        new
    }

    fn contains(&self, index: u16) -> bool {
        let (word, bit) = (usize::from(index / 64), 1u64 << (index % 64));
        let slot = if word == 0 {
            self.low
        } else {
            self.high.get(word - 1).copied().unwrap_or(0)
        };
        slot & bit != 0
    }
}

impl<'a> Decoder<'_, 'a> {
    fn expected<T>(&mut self, what: &str) -> Read<T> {
        // Text that is no JSON at all is a syntax error first.
        let mark = self.scan.mark();
        self.scan.skip()?;
        self.scan.reset(mark);
        Err(Fault::field(format!(
            "expected {what}, found {}",
            self.scan.describe()
        )))
    }

    /// The fields of the message `index`, in whatever JSON form it has.
    fn body(&mut self, index: u32) -> Read<()> {
        let plan = self.plan;
        let message = plan.message(index);
        match message.shape {
            Shape::Object => self.object(message),
            _ => self.well_known(message),
        }
    }

    fn object(&mut self, message: &Message) -> Read<()> {
        if self.scan.peek()? != b'{' {
            return self.expected("an object");
        }
        let last = if self.last_wins {
            Some(self.last_positions(message)?)
        } else {
            None
        };
        let (mut seen, mut set) = (Seen::default(), Seen::default());
        let mut more = self.scan.open_object()?;
        while more {
            let key = self.scan.key()?;
            let value_at = self.scan.pos;
            match self.find(message, key)? {
                None => self.scan.skip()?,
                Some(index) => {
                    if let Some(last) = &last {
                        if last.get(&index) != Some(&value_at) {
                            self.scan.skip()?;
                            more = self.scan.next_member()?;
                            continue;
                        }
                    } else if !seen.insert(index) {
                        return Err(Fault::duplicate());
                    }
                    let field = message.field(index);
                    let written = self
                        .member(Some(message), field)
                        .map_err(|fault| fault.in_field(&field.name))?;
                    if written && let Some(oneof) = field.oneof {
                        set.insert(index);
                        only_member(message, oneof, index, &set)?;
                    }
                }
            }
            more = self.scan.next_member()?;
        }
        Ok(())
    }

    #[inline]
    fn find(&self, message: &Message, key: Text<'a>) -> Read<Option<u16>> {
        match key.plain() {
            Some(key) => Ok(message.names.get(key.as_bytes())),
            None => Ok(message.names.get(key.to_text()?.as_bytes())),
        }
    }

    /// Where the last value of every known field of the object ahead begins.
    fn last_positions(&mut self, message: &Message) -> Read<HashMap<u16, usize>> {
        let mark = self.scan.mark();
        let mut last = HashMap::new();
        let mut more = self.scan.open_object()?;
        while more {
            let key = self.scan.key()?;
            if let Some(index) = self.find(message, key)? {
                last.insert(index, self.scan.pos);
            }
            self.scan.skip()?;
            more = self.scan.next_member()?;
        }
        self.scan.reset(mark);
        Ok(last)
    }

    /// Whether JSON null leaves a field of this kind unset.
    fn null_is_unset(&self, kind: Kind) -> bool {
        match kind {
            Kind::Message(index) => self.plan.message(index).shape != Shape::Value,
            Kind::Enum(index) => !self.plan.enumeration(index).null,
            _ => true,
        }
    }

    /// A field's value with its tags; false when it was null, which is unset.
    fn member(&mut self, message: Option<&Message>, field: &Field) -> Read<bool> {
        let first = self.scan.peek()?;
        let singular = matches!(field.card, Card::One { .. });
        if first == b'n' && (!singular || self.null_is_unset(field.kind)) {
            self.scan.word("null")?;
            return Ok(false);
        }
        if let (true, Some(message)) = (field.accept != Accept::Plain, message)
            && self.loose(message, field, first)?
        {
            return Ok(true);
        }
        match field.card {
            Card::One { presence } => self.single(field.kind, field.tag(), !presence)?,
            Card::List { packed } => self.list(field, packed)?,
            Card::Map { key } => self.map(field, key)?,
        }
        Ok(true)
    }

    /// One value with its tag. `skip_zero`: the zero value is the same as none.
    fn single(&mut self, kind: Kind, tag: u64, skip_zero: bool) -> Read<()> {
        match kind {
            Kind::String => self.string(tag, skip_zero),
            Kind::Bytes => self.bytes(tag, skip_zero),
            Kind::Message(index) => {
                wire::put_varint(self.out, tag);
                let mark = wire::open(self.out);
                self.body(index)?;
                wire::close(self.out, mark);
                Ok(())
            }
            _ => {
                let scalar = self.scalar(kind)?;
                if !(skip_zero && scalar.is_zero()) {
                    wire::put_varint(self.out, tag);
                    scalar.put(self.out);
                }
                Ok(())
            }
        }
    }

    #[inline]
    fn string(&mut self, tag: u64, skip_empty: bool) -> Read<()> {
        if self.scan.peek()? != b'"' {
            return self.expected("a string");
        }
        if let Some(plain) = self.scan.plain_string() {
            if !(skip_empty && plain.is_empty()) {
                wire::put_varint(self.out, tag);
                wire::put_len(self.out, plain.as_bytes());
            }
            return Ok(());
        }
        wire::put_varint(self.out, tag);
        let mark = wire::open(self.out);
        self.scan.append_string(self.out)?;
        wire::close(self.out, mark);
        Ok(())
    }

    fn bytes(&mut self, tag: u64, skip_empty: bool) -> Read<()> {
        if self.scan.peek()? != b'"' {
            return self.expected("a base64 string");
        }
        let text = self.scan.string()?.to_text()?;
        if skip_empty && text.is_empty() {
            return Ok(());
        }
        wire::put_varint(self.out, tag);
        let mark = wire::open(self.out);
        scalar::base64(&text, self.out).map_err(Fault::field)?;
        wire::close(self.out, mark);
        Ok(())
    }

    /// A number, boolean or enum; numbers and enums may stand in quotes.
    #[inline]
    fn scalar(&mut self, kind: Kind) -> Read<Scalar> {
        let text = match (kind, self.scan.peek()?) {
            (Kind::Bool, b't') => {
                self.scan.word("true")?;
                return Ok(Scalar::Varint(1));
            }
            (Kind::Bool, b'f') => {
                self.scan.word("false")?;
                return Ok(Scalar::Varint(0));
            }
            (Kind::Enum(index), b'n') if self.plan.enumeration(index).null => {
                self.scan.word("null")?;
                return Ok(Scalar::Varint(0));
            }
            (Kind::Bool, _) => return self.expected("true or false"),
            (_, b'"') => self.scan.string()?.to_text()?,
            (_, b'-' | b'0'..=b'9') => {
                let number = self.scan.number()?;
                if let Some(scalar) = scalar::float_token(kind, number) {
                    return Ok(scalar);
                }
                number.into()
            }
            _ => {
                let expected = scalar::expected(self.plan, kind);
                return self.expected(&expected);
            }
        };
        match scalar::parse(self.plan, kind, &text) {
            Some(parsed) => parsed.map_err(Fault::field),
            None => Err(Fault::field("expected a scalar")),
        }
    }

    fn list(&mut self, field: &Field, packed: bool) -> Read<()> {
        if self.scan.peek()? != b'[' {
            let expected = format!(
                "an array, each element {}",
                scalar::expected(self.plan, field.kind)
            );
            return self.expected(&expected);
        }
        let mut more = self.scan.open_array()?;
        if !more {
            return Ok(());
        }
        let packed = packed && field.kind.packable();
        let mark = if packed {
            wire::put_varint(self.out, field.len_tag());
            Some(wire::open(self.out))
        } else {
            None
        };
        let tag = field.tag();
        let mut index = 0;
        while more {
            let element = if packed {
                self.scalar(field.kind).map(|scalar| scalar.put(self.out))
            } else {
                self.single(field.kind, tag, false)
            };
            element.map_err(|fault| fault.at_index(index))?;
            index += 1;
            more = self.scan.next_element()?;
        }
        if let Some(mark) = mark {
            wire::close(self.out, mark);
        }
        Ok(())
    }

    fn map(&mut self, field: &Field, key_kind: Kind) -> Read<()> {
        if self.scan.peek()? != b'{' {
            return self.expected("an object");
        }
        let value_tag = crate::plan::tag(2, field.kind.wire_type());
        let mut more = self.scan.open_object()?;
        while more {
            let key = self.scan.key()?;
            wire::put_varint(self.out, field.tag());
            let mark = wire::open(self.out);
            let in_entry = |fault: Fault| match key.to_text() {
                Ok(key) => fault.at_key(&key),
                Err(syntax) => syntax,
            };
            self.map_key(key, key_kind).map_err(in_entry)?;
            self.scan.peek()?;
            self.single(field.kind, value_tag, false)
                .map_err(in_entry)?;
            wire::close(self.out, mark);
            more = self.scan.next_member()?;
        }
        Ok(())
    }

    fn map_key(&mut self, key: Text<'a>, kind: Kind) -> Read<()> {
        wire::put_varint(self.out, crate::plan::tag(1, kind.wire_type()));
        if kind == Kind::String {
            let mark = wire::open(self.out);
            key.append(self.out)?;
            wire::close(self.out, mark);
            return Ok(());
        }
        match scalar::parse(self.plan, kind, &key.to_text()?) {
            Some(Ok(scalar)) => {
                scalar.put(self.out);
                Ok(())
            }
            Some(Err(message)) => Err(Fault::field(format!("as a key: {message}"))),
            None => Err(Fault::field("keys of this map cannot be read")),
        }
    }
}

/// Refuses a second member of one oneof.
fn only_member(message: &Message, oneof: u16, index: u16, set: &Seen) -> Read<()> {
    let members = message
        .oneofs
        .get(usize::from(oneof))
        .map_or(&[][..], Vec::as_slice);
    match members
        .iter()
        .find(|&&other| other != index && set.contains(other))
    {
        None => Ok(()),
        Some(&other) => {
            let (this, other) = (&message.field(index).name, &message.field(other).name);
            let text = format!("only one of `{other}` and `{this}` may be set; send one of them");
            Err(Fault::field(text).in_field(this))
        }
    }
}
