//! The view is the contract on the wire: for every message, what one encodes the other
//! reads whole and writes back in the same bytes.
#![allow(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

mod common;

use std::{collections::HashMap, sync::LazyLock};

use proptest::{prelude::*, test_runner::TestCaseError};
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    ReflectMessage, Value, prost::Message as _,
};
use signalbox_edge_view::contract::Contract;

static BOTH: LazyLock<(Contract, DescriptorPool)> =
    LazyLock::new(|| (common::contract(), common::view_pool()));

/// Random numbers that a failing test can shrink.
struct Entropy<'e> {
    numbers: &'e [u64],
    at: usize,
}

impl Entropy<'_> {
    fn next(&mut self) -> u64 {
        let number = self.numbers[self.at % self.numbers.len()];
        self.at += 1;
        number.rotate_left((self.at / self.numbers.len()) as u32)
    }

    fn message(&mut self, of: &MessageDescriptor, depth: usize, most: u64) -> DynamicMessage {
        let mut message = DynamicMessage::new(of.clone());
        for field in of.fields() {
            if self.next().is_multiple_of(4) {
                continue;
            }
            // A message in a message ends somewhere.
            if depth > 3 && matches!(field.kind(), Kind::Message(_)) && !field.is_map() {
                continue;
            }
            message.set_field(&field, self.value(&field, depth, most));
        }
        message
    }

    fn value(&mut self, field: &FieldDescriptor, depth: usize, most: u64) -> Value {
        if field.is_map() {
            let Kind::Message(entry) = field.kind() else {
                unreachable!()
            };
            let mut map = HashMap::new();
            for _ in 0..self.next() % (most + 1) {
                let Some(key) = self.key(&entry.map_entry_key_field().kind()) else {
                    continue;
                };
                map.insert(
                    key,
                    self.scalar(&entry.map_entry_value_field().kind(), depth, most),
                );
            }
            return Value::Map(map);
        }
        if field.is_list() {
            let count = self.next() % 4;
            return Value::List(
                (0..count)
                    .map(|_| self.scalar(&field.kind(), depth, most))
                    .collect(),
            );
        }
        let value = self.scalar(&field.kind(), depth, most);
        // The one thing that the view cannot keep has a test of its own.
        if field.supports_presence() && value.is_default(&field.kind()) {
            return nonzero(&field.kind()).unwrap_or(value);
        }
        value
    }

    fn scalar(&mut self, kind: &Kind, depth: usize, most: u64) -> Value {
        let number = self.next();
        match kind {
            Kind::Double => Value::F64(number as i32 as f64 / 8.0),
            Kind::Float => Value::F32(number as i16 as f32 / 8.0),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(number as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(number as i64),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(number as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(number),
            Kind::Bool => Value::Bool(number % 2 == 1),
            Kind::String => Value::String("aß雪\0"[..].repeat((number % 3) as usize)),
            Kind::Bytes => Value::Bytes(
                number.to_le_bytes()[..(number % 9) as usize]
                    .to_vec()
                    .into(),
            ),
            Kind::Enum(all) => {
                let values: Vec<i32> = all.values().map(|value| value.number()).collect();
                Value::EnumNumber(values[number as usize % values.len()])
            }
            Kind::Message(of) => Value::Message(self.message(of, depth + 1, most)),
        }
    }

    fn key(&mut self, kind: &Kind) -> Option<MapKey> {
        match self.scalar(kind, 9, 0) {
            Value::String(text) => Some(MapKey::String(text)),
            Value::Bool(value) => Some(MapKey::Bool(value)),
            Value::I32(value) => Some(MapKey::I32(value)),
            Value::I64(value) => Some(MapKey::I64(value)),
            Value::U32(value) => Some(MapKey::U32(value)),
            Value::U64(value) => Some(MapKey::U64(value)),
            _ => None,
        }
    }
}

fn nonzero(kind: &Kind) -> Option<Value> {
    Some(match kind {
        Kind::Double => Value::F64(1.5),
        Kind::Float => Value::F32(1.5),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(-1),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(-1),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(1),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(1),
        Kind::Bool => Value::Bool(true),
        Kind::String => Value::String("x".to_owned()),
        Kind::Bytes => Value::Bytes(vec![1].into()),
        Kind::Enum(all) => Value::EnumNumber(all.values().map(|it| it.number()).max()?),
        Kind::Message(_) => return None,
    })
}

fn has_unknown(message: &DynamicMessage) -> bool {
    let nested = |value: &Value| match value {
        Value::Message(message) => has_unknown(message),
        Value::List(list) => list.iter().filter_map(Value::as_message).any(has_unknown),
        Value::Map(map) => map.values().filter_map(Value::as_message).any(has_unknown),
        _ => false,
    };
    message.unknown_fields().next().is_some() || message.fields().any(|(_, value)| nested(value))
}

/// `from` encodes, `through` reads and writes: the same bytes.
fn same_bytes(from: &DynamicMessage, through: &MessageDescriptor) -> Result<(), TestCaseError> {
    let name = from.descriptor().full_name().to_owned();
    let bytes = from.encode_to_vec();
    let read = DynamicMessage::decode(through.clone(), bytes.as_slice()).unwrap();
    prop_assert!(!has_unknown(&read), "{} leaves fields unread", name);
    prop_assert_eq!(read.encode_to_vec(), bytes, "{}", name);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_message_is_the_same_bytes_in_both(numbers in prop::collection::vec(any::<u64>(), 48..200)) {
        let (contract, view) = &*BOTH;
        for ours in contract.messages() {
            let theirs = view.get_message_by_name(ours.full_name()).unwrap();
            // A map has no order: with one entry its bytes are canonical.
            let message = Entropy { numbers: &numbers, at: 0 }.message(&ours, 0, 1);
            same_bytes(&message, &theirs)?;
            let message = Entropy { numbers: &numbers, at: 0 }.message(&theirs, 0, 1);
            same_bytes(&message, &ours)?;
        }
    }

    #[test]
    fn maps_of_many_entries_come_back_equal(numbers in prop::collection::vec(any::<u64>(), 48..200)) {
        let (contract, view) = &*BOTH;
        for ours in contract.messages().filter(|it| it.fields().any(|field| field.is_map())) {
            let theirs = view.get_message_by_name(ours.full_name()).unwrap();
            let message = Entropy { numbers: &numbers, at: 0 }.message(&ours, 0, 5);
            let bytes = message.encode_to_vec();
            // Read back, as a field that is set to its default is not one that is not set.
            let message = DynamicMessage::decode(ours.clone(), bytes.as_slice()).unwrap();
            let read = DynamicMessage::decode(theirs, bytes.as_slice()).unwrap();
            let back = DynamicMessage::decode(ours, read.encode_to_vec().as_slice()).unwrap();
            prop_assert_eq!(back, message);
        }
    }
}

#[test]
fn every_field_keeps_name_number_type_and_repetition() {
    let (contract, view) = &*BOTH;
    let mut open: Vec<(MessageDescriptor, MessageDescriptor)> = Vec::new();
    for ours in contract.messages() {
        let theirs = view.get_message_by_name(ours.full_name());
        let theirs = theirs.unwrap_or_else(|| panic!("the view has no {}", ours.full_name()));
        open.push((ours, theirs));
    }
    assert!(open.len() > 40, "{} messages", open.len());
    let mut seen = std::collections::BTreeSet::new();
    while let Some((ours, theirs)) = open.pop() {
        if !seen.insert((ours.full_name().to_owned(), theirs.full_name().to_owned())) {
            continue;
        }
        assert_eq!(
            ours.fields().len(),
            theirs.fields().len(),
            "{}",
            ours.full_name()
        );
        for field in ours.fields() {
            let other = theirs.get_field(field.number()).unwrap();
            let name = field.full_name();
            assert_eq!(field.name(), other.name(), "{name}");
            let repeated = |field: &FieldDescriptor| field.cardinality() == Cardinality::Repeated;
            assert_eq!(repeated(&field), repeated(&other), "{name}");
            assert_eq!(
                (field.is_map(), field.is_packed()),
                (other.is_map(), other.is_packed())
            );
            match (field.kind(), other.kind()) {
                (Kind::Message(ours), Kind::Message(theirs)) => open.push((ours, theirs)),
                (Kind::Enum(ours), Kind::Enum(theirs)) => {
                    let values = |all: &prost_reflect::EnumDescriptor| {
                        all.values()
                            .map(|it| (it.name().to_owned(), it.number()))
                            .collect::<Vec<_>>()
                    };
                    assert_eq!(values(&ours), values(&theirs), "{name}");
                }
                (ours, theirs) => assert_eq!(ours, theirs, "{name}"),
            }
        }
    }
}

#[test]
fn an_explicit_zero_is_what_the_view_drops_and_nothing_transcoded_has_one() {
    use signalbox_edge_view::way::{Way, reached, way};
    let (contract, view) = &*BOTH;
    let mut dropped = 0;
    for ours in contract.messages() {
        for field in ours
            .fields()
            .filter(|it| it.field_descriptor_proto().proto3_optional())
        {
            let mut message = DynamicMessage::new(ours.clone());
            message.set_field(&field, Value::default_value_for_field(&field));
            let bytes = message.encode_to_vec();
            assert!(!bytes.is_empty(), "{}", field.full_name());
            let theirs = view.get_message_by_name(ours.full_name()).unwrap();
            let read = DynamicMessage::decode(theirs, bytes.as_slice()).unwrap();
            assert!(read.encode_to_vec().is_empty(), "{}", field.full_name());
            dropped += 1;
        }
    }
    assert!(dropped > 0);
    for rpc in contract
        .rpcs
        .iter()
        .filter(|rpc| way(rpc).unwrap() == Way::Transcoded)
    {
        for field in reached(rpc) {
            let optional = field.field_descriptor_proto().proto3_optional();
            assert!(
                !optional,
                "{} reaches {}",
                rpc.full_name(),
                field.full_name()
            );
        }
    }
}
