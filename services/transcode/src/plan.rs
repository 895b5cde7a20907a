//! Message descriptors, compiled.
//!
//! Reflection is for start-up only. Every message that a routed RPC can reach
//! becomes a flat table here: fields by JSON name, by proto name and by number,
//! with the tag and the JSON key already rendered. The codec follows these
//! tables and never touches a descriptor.

mod build;
mod names;

pub(crate) use self::{build::PlanBuilder, names::Names};
use crate::wire::WireType;

/// Everything the codec knows. Indices of [`Kind`] point into it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) messages: Vec<Message>,
    pub(crate) enums: Vec<Enum>,
}

impl Plan {
    pub(crate) fn message(&self, index: u32) -> &Message {
        &self.messages[index as usize]
    }

    pub(crate) fn enumeration(&self, index: u32) -> &Enum {
        &self.enums[index as usize]
    }
}

/// One message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) full_name: Box<str>,
    pub(crate) shape: Shape,
    pub(crate) fields: Vec<Field>,
    /// JSON and proto names to an index of `fields`.
    pub(crate) names: Names,
    /// Field numbers to an index of `fields`.
    pub(crate) numbers: Numbers,
    /// The members of each real oneof, as indices of `fields`.
    pub(crate) oneofs: Vec<Vec<u16>>,
}

impl Message {
    pub(crate) fn field(&self, index: u16) -> &Field {
        &self.fields[usize::from(index)]
    }

    /// The field with this proto or JSON name.
    pub(crate) fn by_name(&self, name: &str) -> Option<(u16, &Field)> {
        let index = self.names.get(name.as_bytes())?;
        Some((index, self.field(index)))
    }
}

/// How a message is written in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An object of its fields.
    Object,
    Timestamp,
    Duration,
    FieldMask,
    Struct,
    Value,
    ListValue,
    /// The value of its one field.
    Wrapper(Kind),
    /// `google.protobuf.Any`: needs types that only run time knows.
    Any,
}

/// One field.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: Box<str>,
    pub(crate) json_name: Box<str>,
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) card: Card,
    /// The real oneof that it is a member of, an index of `Message::oneofs`.
    pub(crate) oneof: Option<u16>,
    /// `"name":`, ready to write.
    pub(crate) key: Box<[u8]>,
    pub(crate) accept: Accept,
    pub(crate) emit: Emit,
}

impl Field {
    /// The tag of a single, unpacked record.
    pub(crate) fn tag(&self) -> u64 {
        tag(
            self.number,
            match self.card {
                Card::Map { .. } => WireType::Len,
                Card::One { .. } | Card::List { .. } => self.kind.wire_type(),
            },
        )
    }

    /// The tag of a packed or length-delimited record.
    pub(crate) fn len_tag(&self) -> u64 {
        tag(self.number, WireType::Len)
    }
}

/// A field number and wire type as they are written.
pub(crate) fn tag(number: u32, wire: WireType) -> u64 {
    u64::from(number << 3 | wire.bits())
}

/// How often a field may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Card {
    /// Once; `presence` when unset differs from the zero value.
    One { presence: bool },
    /// Any number of times.
    List { packed: bool },
    /// Keys to values; the field's `kind` is the value's.
    Map { key: Kind },
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(u32),
    Message(u32),
}

impl Kind {
    pub(crate) fn wire_type(self) -> WireType {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => WireType::Fixed64,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => WireType::Fixed32,
            Self::String | Self::Bytes | Self::Message(_) => WireType::Len,
            _ => WireType::Varint,
        }
    }

    /// Whether a repeated field of this kind may be packed.
    pub(crate) fn packable(self) -> bool {
        self.wire_type() != WireType::Len
    }
}

/// What a field accepts beyond proto3 JSON. See [`crate::openai`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accept {
    Plain,
    /// A list that may be given as its one element.
    WrapScalar,
    /// A string, or a list that fills the field `parts` instead.
    StringOrParts {
        parts: u16,
    },
    /// A string, strings, token ids or lists of token ids; ids fill `tokens`.
    EmbeddingInput {
        tokens: u16,
    },
}

/// How a field is written where that differs from proto3 JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emit {
    Plain,
    NullWhenUnset,
    /// The field `packed`, or else the field `also`, is written in this field's place
    /// when it is not empty.
    OrPacked {
        packed: u16,
        also: Option<u16>,
    },
    /// Written only through another field's `OrPacked`.
    Hidden,
}

/// One enum.
#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) full_name: Box<str>,
    /// Names and numbers as declared; the first name of a number is its own.
    pub(crate) values: Vec<(Box<str>, i32)>,
    /// `google.protobuf.NullValue`: JSON null.
    pub(crate) null: bool,
    /// proto2: numbers that are not declared are refused.
    pub(crate) closed: bool,
}

impl Enum {
    pub(crate) fn number(&self, name: &str) -> Option<i32> {
        self.values
            .iter()
            .find(|(known, _)| **known == *name)
            .map(|(_, number)| *number)
    }

    pub(crate) fn name(&self, number: i32) -> Option<&str> {
        self.values
            .iter()
            .find(|(_, known)| *known == number)
            .map(|(name, _)| &**name)
    }
}

/// Field numbers to indices: an array for the small numbers that nearly all
/// fields have, a sorted list for the rest.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// Index plus one; 0 for none.
    small: Vec<u16>,
    large: Vec<(u32, u16)>,
}

impl Numbers {
    const SMALL: u32 = 256;

    fn new(fields: &[Field]) -> Self {
        let mut numbers = Self::default();
        for (index, field) in (0u16..).zip(fields) {
            if field.number < Self::SMALL {
                let at = field.number as usize;
                if numbers.small.len() <= at {
                    numbers.small.resize(at + 1, 0);
                }
                numbers.small[at] = index + 1;
            } else {
                numbers.large.push((field.number, index));
            }
        }
        numbers.large.sort_unstable();
        numbers
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<u16> {
        match self.small.get(number as usize) {
            Some(&found) => found.checked_sub(1),
            None => {
                let at = self
                    .large
                    .binary_search_by_key(&number, |(known, _)| *known)
                    .ok()?;
                Some(self.large[at].1)
            }
        }
    }
}
