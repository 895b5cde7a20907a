//! From descriptors to a [`Plan`]: each message once, however it is reached.

use std::collections::HashMap;

use prost_reflect::{
    EnumDescriptor, FieldDescriptor, Kind as ProtoKind, MessageDescriptor, Syntax,
};

use super::{Accept, Card, Emit, Enum, Field, Kind, Message, Names, Numbers, Plan, Shape};

/// Collects messages; indices that it gives out stay valid in the plan.
#[derive(Default)]
pub(crate) struct PlanBuilder {
    messages: Vec<Option<Message>>,
    enums: Vec<Enum>,
    message_index: HashMap<String, u32>,
    enum_index: HashMap<String, u32>,
}

impl PlanBuilder {
    /// Compiles a message and all that it reaches.
    ///
    /// # Errors
    /// What JSON cannot carry, named by its full name.
    pub(crate) fn message(&mut self, descriptor: &MessageDescriptor) -> Result<u32, String> {
        if let Some(&index) = self.message_index.get(descriptor.full_name()) {
            return Ok(index);
        }
        let index = self.messages.len() as u32;
        self.message_index
            .insert(descriptor.full_name().to_owned(), index);
        self.messages.push(None);

        let mut fields = Vec::new();
        for field in descriptor.fields() {
            fields.push(self.field(&field)?);
        }
        let mut oneofs: Vec<Vec<u16>> = Vec::new();
        for oneof in descriptor.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let number = oneofs.len() as u16;
            let mut members = Vec::new();
            for member in oneof.fields() {
                let at = fields
                    .iter()
                    .position(|field: &Field| field.number == member.number());
                if let Some(at) = at {
                    fields[at].oneof = Some(number);
                    members.push(at as u16);
                }
            }
            oneofs.push(members);
        }
        let proto_names = fields.iter().map(|field| &*field.name).zip(0u16..);
        let json_names = fields.iter().map(|field| &*field.json_name).zip(0u16..);
        let message = Message {
            full_name: descriptor.full_name().into(),
            shape: shape(descriptor.full_name(), &fields),
            names: Names::new(proto_names.chain(json_names)),
            numbers: Numbers::new(&fields),
            fields,
            oneofs,
        };
        self.messages[index as usize] = Some(message);
        Ok(index)
    }

    fn field(&mut self, descriptor: &FieldDescriptor) -> Result<Field, String> {
        if descriptor.is_group() {
            return Err(format!(
                "{} is a group, which JSON has no form for",
                descriptor.full_name()
            ));
        }
        let (kind, card) = if descriptor.is_map() {
            let ProtoKind::Message(entry) = descriptor.kind() else {
                return Err(format!(
                    "{} is a map without entries",
                    descriptor.full_name()
                ));
            };
            let key = self.kind(entry.map_entry_key_field().kind())?;
            (
                self.kind(entry.map_entry_value_field().kind())?,
                Card::Map { key },
            )
        } else if descriptor.is_list() {
            let packed = descriptor.is_packed();
            (self.kind(descriptor.kind())?, Card::List { packed })
        } else {
            let presence = descriptor.supports_presence();
            (self.kind(descriptor.kind())?, Card::One { presence })
        };
        Ok(Field {
            name: descriptor.name().into(),
            json_name: descriptor.json_name().into(),
            number: descriptor.number(),
            kind,
            card,
            oneof: None,
            key: format!("\"{}\":", descriptor.name()).into_bytes().into(),
            accept: Accept::Plain,
            emit: Emit::Plain,
        })
    }

    fn kind(&mut self, kind: ProtoKind) -> Result<Kind, String> {
        Ok(match kind {
            ProtoKind::Double => Kind::Double,
            ProtoKind::Float => Kind::Float,
            ProtoKind::Int32 => Kind::Int32,
            ProtoKind::Int64 => Kind::Int64,
            ProtoKind::Uint32 => Kind::Uint32,
            ProtoKind::Uint64 => Kind::Uint64,
            ProtoKind::Sint32 => Kind::Sint32,
            ProtoKind::Sint64 => Kind::Sint64,
            ProtoKind::Fixed32 => Kind::Fixed32,
            ProtoKind::Fixed64 => Kind::Fixed64,
            ProtoKind::Sfixed32 => Kind::Sfixed32,
            ProtoKind::Sfixed64 => Kind::Sfixed64,
            ProtoKind::Bool => Kind::Bool,
            ProtoKind::String => Kind::String,
            ProtoKind::Bytes => Kind::Bytes,
            ProtoKind::Enum(descriptor) => Kind::Enum(self.enumeration(&descriptor)),
            ProtoKind::Message(descriptor) => Kind::Message(self.message(&descriptor)?),
        })
    }

    fn enumeration(&mut self, descriptor: &EnumDescriptor) -> u32 {
        if let Some(&index) = self.enum_index.get(descriptor.full_name()) {
            return index;
        }
        let index = self.enums.len() as u32;
        self.enum_index
            .insert(descriptor.full_name().to_owned(), index);
        // As declared: the first name of a number is the one that is written.
        let declared = &descriptor.enum_descriptor_proto().value;
        let values = declared
            .iter()
            .map(|value| (value.name().into(), value.number()));
        self.enums.push(Enum {
            full_name: descriptor.full_name().into(),
            values: values.collect(),
            null: descriptor.full_name() == "google.protobuf.NullValue",
            closed: descriptor.parent_file().syntax() == Syntax::Proto2,
        });
        index
    }

    /// The compiled message with this full name, to apply a quirk to.
    pub(crate) fn message_mut(&mut self, full_name: &str) -> Option<&mut Message> {
        let index = *self.message_index.get(full_name)?;
        self.messages.get_mut(index as usize)?.as_mut()
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Message> {
        self.messages.get(index as usize)?.as_ref()
    }

    pub(crate) fn finish(self) -> Plan {
        Plan {
            messages: self.messages.into_iter().flatten().collect(),
            enums: self.enums,
        }
    }
}

fn shape(full_name: &str, fields: &[Field]) -> Shape {
    let Some(name) = full_name.strip_prefix("google.protobuf.") else {
        return Shape::Object;
    };
    match name {
        "Timestamp" => Shape::Timestamp,
        "Duration" => Shape::Duration,
        "FieldMask" => Shape::FieldMask,
        "Struct" => Shape::Struct,
        "Value" => Shape::Value,
        "ListValue" => Shape::ListValue,
        "Any" => Shape::Any,
        "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value"
        | "UInt32Value" | "BoolValue" | "StringValue" | "BytesValue" => match fields {
            [field] => Shape::Wrapper(field.kind),
            _ => Shape::Object,
        },
        _ => Shape::Object,
    }
}
