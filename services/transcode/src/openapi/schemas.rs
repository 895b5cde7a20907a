//! JSON Schema (the 2020-12 dialect of `OpenAPI` 3.1) of messages and enums.

use serde_json::{Map, Value, json};

use super::comments::Comments;
use crate::{
    plan::{Accept, Card, Emit, Field, Kind, Message, Shape},
    transcoder::Inner,
};

/// The components that were referred to so far.
pub(super) struct Schemas<'t> {
    inner: &'t Inner,
    comments: &'t Comments,
    made: Map<String, Value>,
}

impl<'t> Schemas<'t> {
    pub(super) fn new(inner: &'t Inner, comments: &'t Comments) -> Self {
        Self {
            inner,
            comments,
            made: Map::new(),
        }
    }

    pub(super) fn finish(self) -> Map<String, Value> {
        self.made
    }

    /// A reference to a message's schema, or the schema of a well-known type.
    pub(super) fn reference(&mut self, index: u32) -> Value {
        let inner = self.inner;
        let message = inner.plan.message(index);
        match message.shape {
            Shape::Object => {
                self.make(index, message);
                json!({"$ref": format!("#/components/schemas/{}", message.full_name)})
            }
            Shape::Timestamp => json!({"type": "string", "format": "date-time"}),
            Shape::Duration => {
                json!({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$", "examples": ["1.5s"]})
            }
            Shape::FieldMask => {
                json!({"type": "string", "description": "Field paths separated by commas."})
            }
            Shape::Struct => json!({"type": "object", "additionalProperties": true}),
            Shape::ListValue => json!({"type": "array", "items": {}}),
            Shape::Value | Shape::Any => json!({}),
            Shape::Wrapper(kind) => self.plain(kind),
        }
    }

    fn make(&mut self, index: u32, message: &Message) {
        let name = message.full_name.to_string();
        if self.made.contains_key(&name) {
            return;
        }
        // Stands before its fields are made: a message may hold itself.
        self.made.insert(name.clone(), Value::Null);
        let mut properties = Map::new();
        for field in message
            .fields
            .iter()
            .filter(|field| field.emit != Emit::Hidden)
        {
            properties.insert(field.name.to_string(), self.field(index, field));
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if let Some(text) = self.comments.of(&name) {
            schema["description"] = text.into();
        }
        self.made.insert(name, schema);
    }

    /// The schema of a field of the message `index`, in all the forms it takes.
    pub(super) fn field(&mut self, index: u32, field: &Field) -> Value {
        let message = self.inner.plan.message(index);
        let value = self.plain(field.kind);
        let mut schema = match field.card {
            Card::One { .. } => value,
            Card::List { .. } => json!({"type": "array", "items": value}),
            Card::Map { .. } => json!({"type": "object", "additionalProperties": value}),
        };
        schema = self.bent(message, field, schema);
        if let Some(text) = self
            .comments
            .of(&format!("{}.{}", message.full_name, field.name))
        {
            schema["description"] = text.into();
        }
        schema
    }

    /// The schema with what the field's quirks add.
    fn bent(&mut self, message: &Message, field: &Field, schema: Value) -> Value {
        let accepted = match field.accept {
            Accept::Plain => schema,
            Accept::WrapScalar => json!({"oneOf": [self.plain(field.kind), schema]}),
            Accept::StringOrParts { parts } => {
                let parts = self.plain(message.field(parts).kind);
                json!({"oneOf": [schema, {"type": "array", "items": parts}, {"type": "null"}]})
            }
            Accept::EmbeddingInput { .. } => {
                let ids = json!({"type": "array", "items": {"type": "integer"}, "minItems": 1});
                let texts = json!({"type": "array", "items": {"type": "string"}, "minItems": 1});
                let many = json!({"type": "array", "items": ids, "minItems": 1});
                json!({"oneOf": [{"type": "string"}, texts, ids, many]})
            }
        };
        match field.emit {
            Emit::Plain | Emit::Hidden => accepted,
            Emit::NullWhenUnset => json!({"oneOf": [accepted, {"type": "null"}]}),
            Emit::OrPacked { packed, also } => {
                let mut forms = vec![accepted];
                for index in [Some(packed), also].into_iter().flatten() {
                    let other = message.field(index);
                    forms.extend(match (field.kind, other.card) {
                        // A list of whole numbers is one of numbers.
                        (Kind::Float | Kind::Double, Card::List { .. }) => None,
                        (_, Card::List { .. }) => {
                            Some(json!({"type": "array", "items": self.plain(other.kind)}))
                        }
                        _ => Some(json!({"type": "string", "contentEncoding": "base64"})),
                    });
                }
                json!({"oneOf": forms})
            }
        }
    }

    /// One value of this kind.
    pub(super) fn plain(&mut self, kind: Kind) -> Value {
        match kind {
            Kind::Double => json!({"type": "number", "format": "double"}),
            Kind::Float => json!({"type": "number", "format": "float"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({"type": "integer", "format": "int32"})
            }
            Kind::Uint32 | Kind::Fixed32 => {
                json!({"type": "integer", "minimum": 0, "maximum": u32::MAX})
            }
            // Written as a string, which alone keeps all digits in every
            // language; read as either.
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({"type": ["string", "integer"], "format": "int64"})
            }
            Kind::Uint64 | Kind::Fixed64 => {
                json!({"type": ["string", "integer"], "format": "uint64"})
            }
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Message(index) => self.reference(index),
            Kind::Enum(index) => self.enumeration(index),
        }
    }

    fn enumeration(&mut self, index: u32) -> Value {
        let descriptor = self.inner.plan.enumeration(index);
        if descriptor.null {
            return json!({"type": "null"});
        }
        let name = descriptor.full_name.to_string();
        if !self.made.contains_key(&name) {
            let names: Vec<&str> = descriptor.values.iter().map(|(name, _)| &**name).collect();
            let mut schema = json!({"type": "string", "enum": names});
            if let Some(text) = self.comments.of(&name) {
                schema["description"] = text.into();
            }
            self.made.insert(name.clone(), schema);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }
}
