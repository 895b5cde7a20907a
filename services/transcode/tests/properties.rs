//! The codec agrees with `prost-reflect` on random messages of every kind of field.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{rich, rich_message};
use proptest::{collection::vec, option, prelude::*};
use prost::Message as _;
use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions,
};
use serde_json::{Map, Number, Value, json};

const RICH: &str = "rich.v1.Rich";

/// JSON that fits a message, each field under either of its names.
fn object(message: &MessageDescriptor, depth: u32) -> BoxedStrategy<Value> {
    let fields: Vec<FieldDescriptor> = message
        .fields()
        .filter(|field| depth > 0 || !matches!(field.kind(), Kind::Message(inner) if inner.package_name() == "rich.v1"))
        .collect();
    let mut members: BoxedStrategy<Map<String, Value>> = Just(Map::new()).boxed();
    for field in fields {
        let value = option::weighted(0.3, (any::<bool>(), member(&field, depth)));
        members = (members, value)
            .prop_map(move |(mut members, value)| {
                let taken = field.containing_oneof().is_some_and(|oneof| {
                    oneof.fields().any(|other| {
                        members.contains_key(other.name())
                            || members.contains_key(other.json_name())
                    })
                });
                if let Some((camel, value)) = value
                    && !taken
                {
                    let name = if camel {
                        field.json_name()
                    } else {
                        field.name()
                    };
                    members.insert(name.to_owned(), value);
                }
                members
            })
            .boxed();
    }
    members.prop_map(Value::Object).boxed()
}

fn member(field: &FieldDescriptor, depth: u32) -> BoxedStrategy<Value> {
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else {
            unreachable!("map")
        };
        let key = match entry.map_entry_key_field().kind() {
            Kind::String => any::<String>().boxed(),
            Kind::Bool => any::<bool>().prop_map(|key| key.to_string()).boxed(),
            Kind::Uint32 => any::<u32>().prop_map(|key| key.to_string()).boxed(),
            _ => any::<i64>().prop_map(|key| key.to_string()).boxed(),
        };
        let value = one(&entry.map_entry_value_field().kind(), depth);
        return vec((key, value), 0..4)
            .prop_map(|pairs| pairs.into_iter().collect())
            .boxed();
    }
    if field.cardinality() == Cardinality::Repeated {
        return vec(one(&field.kind(), depth), 0..4)
            .prop_map(Value::Array)
            .boxed();
    }
    let null = 1;
    prop_oneof![9 => one(&field.kind(), depth), null => Just(Value::Null)].boxed()
}

fn float() -> BoxedStrategy<Value> {
    prop_oneof![
        any::<f64>().prop_filter_map("finite", |v| Number::from_f64(v).map(Value::Number)),
        any::<i32>().prop_map(Value::from),
        Just(json!("NaN")),
        Just(json!("Infinity")),
        Just(json!("-Infinity")),
        Just(json!("1.5e3")),
    ]
    .boxed()
}

fn one(kind: &Kind, depth: u32) -> BoxedStrategy<Value> {
    // A number may stand in quotes.
    fn quoted(value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
        (value, any::<bool>())
            .prop_map(|(value, quote)| {
                if quote {
                    json!(value.to_string())
                } else {
                    value
                }
            })
            .boxed()
    }
    match kind {
        Kind::Double => float(),
        Kind::Float => prop_oneof![
            any::<f32>()
                .prop_filter_map("finite", |v| Number::from_f64(v.into()).map(Value::Number)),
            any::<i16>().prop_map(Value::from),
            Just(json!("NaN")),
            Just(json!("-Infinity")),
        ]
        .boxed(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            quoted(any::<i32>().prop_map(Value::from).boxed())
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            quoted(any::<i64>().prop_map(Value::from).boxed())
        }
        Kind::Uint32 | Kind::Fixed32 => quoted(any::<u32>().prop_map(Value::from).boxed()),
        Kind::Uint64 | Kind::Fixed64 => quoted(any::<u64>().prop_map(Value::from).boxed()),
        Kind::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Kind::String => any::<String>().prop_map(Value::from).boxed(),
        Kind::Bytes => base64(),
        Kind::Enum(descriptor) if descriptor.name() == "NullValue" => Just(Value::Null).boxed(),
        Kind::Enum(_) => prop_oneof![
            Just(json!("COLOR_RED")),
            Just(json!(-3)),
            Just(json!(77)),
            Just(json!("COLOR_UNSPECIFIED"))
        ]
        .boxed(),
        Kind::Message(descriptor) => message(descriptor, depth),
    }
}

fn base64() -> BoxedStrategy<Value> {
    use base64::{Engine as _, engine::general_purpose};
    (vec(any::<u8>(), 0..9), 0..4)
        .prop_map(|(bytes, form)| {
            json!(match form {
                0 => general_purpose::STANDARD.encode(bytes),
                1 => general_purpose::STANDARD_NO_PAD.encode(bytes),
                2 => general_purpose::URL_SAFE.encode(bytes),
                _ => general_purpose::URL_SAFE_NO_PAD.encode(bytes),
            })
        })
        .boxed()
}

fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |v| Number::from_f64(v).map(Value::Number)),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((any::<String>(), inner), 0..4).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
    .boxed()
}

fn message(descriptor: &MessageDescriptor, depth: u32) -> BoxedStrategy<Value> {
    match descriptor.name() {
        "Timestamp" => (-62_135_596_800i64..253_402_300_799, 0..1_000_000_000i32)
            .prop_map(|(seconds, nanos)| {
                json!(prost_types::Timestamp { seconds, nanos }.to_string())
            })
            .boxed(),
        "Duration" => (any::<bool>(), 0..315_576_000_000i64, 0..1_000_000_000i32)
            .prop_map(|(negative, seconds, nanos)| {
                json!(format!(
                    "{}{seconds}.{nanos:09}s",
                    if negative { "-" } else { "" }
                ))
            })
            .boxed(),
        "FieldMask" => vec("[a-z]{1,4}([A-Z][a-z]{1,3}){0,2}", 0..4)
            .prop_map(|paths| json!(paths.join(",")))
            .boxed(),
        "Struct" => vec((any::<String>(), any_json()), 0..4)
            .prop_map(|pairs| pairs.into_iter().collect())
            .boxed(),
        "Value" => any_json(),
        "ListValue" => vec(any_json(), 0..4).prop_map(Value::Array).boxed(),
        "StringValue" => any::<String>().prop_map(Value::from).boxed(),
        "Int64Value" => any::<i64>().prop_map(Value::from).boxed(),
        "BoolValue" => any::<bool>().prop_map(Value::from).boxed(),
        "BytesValue" => base64(),
        // Finite: prost-reflect writes a wrapped NaN as null, which is unset.
        "DoubleValue" => any::<f64>()
            .prop_filter_map("finite", |v| Number::from_f64(v).map(Value::Number))
            .boxed(),
        "Empty" => Just(json!({})).boxed(),
        _ if depth == 0 => Just(json!({})).boxed(),
        _ => object(descriptor, depth - 1),
    }
}

fn reflect(json: &Value) -> DynamicMessage {
    DynamicMessage::deserialize(rich_message(RICH), json).unwrap()
}

fn reflected_json(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new()
        .skip_default_fields(false)
        .use_proto_field_name(true);
    // By way of text, where a 32-bit float is as short as it can be.
    let mut text = serde_json::Serializer::new(Vec::new());
    message.serialize_with_options(&mut text, &options).unwrap();
    serde_json::from_slice(&text.into_inner()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_becomes_the_same_message_as_by_reflection(json in object(&rich_message(RICH), 2)) {
        let ours = rich().json_to_wire(RICH, &json.to_string()).unwrap();
        let ours = DynamicMessage::decode(rich_message(RICH), ours.as_slice()).unwrap();
        // Compared as JSON, where NaN equals itself.
        prop_assert_eq!(reflected_json(&ours), reflected_json(&reflect(&json)));
    }

    #[test]
    fn a_message_becomes_the_same_json_as_by_reflection(json in object(&rich_message(RICH), 2)) {
        let message = reflect(&json);
        let ours = rich().wire_to_json(RICH, &message.encode_to_vec()).unwrap();
        let ours: Value = serde_json::from_slice(&ours).unwrap();
        prop_assert_eq!(ours, reflected_json(&message));
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error_and_never_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(json) = rich().wire_to_json(RICH, &bytes) {
            prop_assert!(serde_json::from_slice::<Value>(&json).is_ok());
        }
    }

    #[test]
    fn any_text_is_an_answer_or_an_error_and_never_a_panic(text in "[\\[\\]{}:,\"a-z0-9\\\\ .eE+-]{0,60}") {
        if let Ok(wire) = rich().json_to_wire(RICH, &text) {
            prop_assert!(DynamicMessage::decode(rich_message(RICH), wire.as_slice()).is_ok());
        }
    }

    #[test]
    fn cut_json_is_an_error(json in object(&rich_message(RICH), 1), at in any::<prop::sample::Index>()) {
        let text = json.to_string();
        let cut: String = text.chars().take(at.index(text.chars().count())).collect();
        prop_assert!(rich().json_to_wire(RICH, &cut).is_err(), "{}", cut);
    }
}
