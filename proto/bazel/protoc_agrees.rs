//! protoc reads the contract as protox does, annotations and all: whoever generates a
//! client with protoc gets what the services serve.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, env, fs};

use prost_reflect::{DescriptorPool, DynamicMessage, Value};

/// Every file of a set, by name, without the comments and positions of its source.
fn files(pool: &DescriptorPool, set: &[u8]) -> BTreeMap<String, DynamicMessage> {
    let message = pool
        .get_message_by_name("google.protobuf.FileDescriptorSet")
        .unwrap();
    let set = DynamicMessage::decode(message, set).unwrap();
    let files = set.get_field_by_name("file").unwrap();
    let Value::List(files) = files.as_ref() else {
        panic!("`file` is repeated")
    };
    files
        .iter()
        .map(|file| {
            let mut file = file.as_message().unwrap().clone();
            file.clear_field_by_name("source_code_info");
            let name = file.get_field_by_name("name").unwrap();
            (name.as_str().unwrap().to_owned(), file.clone())
        })
        .collect()
}

#[test]
fn protoc_reads_the_contract_as_protox_does() {
    let served = signalbox_proto::FILE_DESCRIPTOR_SET;
    let pool = DescriptorPool::decode(served).unwrap();
    let served = files(&pool, served);
    let sets = env::var("DESCRIPTOR_SETS").unwrap();
    let mut compared = 0;
    for set in sets.split(' ') {
        for (name, file) in files(&pool, &fs::read(set).unwrap()) {
            assert_eq!(Some(&file), served.get(&name), "{name}");
            compared += 1;
        }
    }
    assert_eq!(compared, 5);
}
