//! The JSON rules one by one: what is read, what is refused and in which words,
//! what is written.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{rich, rich_message, signalbox};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use signalbox_proto::{
    embeddings::v1::{CreateEmbeddingsRequest, Embedding, TokenArray},
    guardrails::v1::CreateModerationRequest,
    router::v1::{ChunkChoice, ContentPart, CreateChatCompletionRequest},
};

const RICH: &str = "rich.v1.Rich";

fn read(json: &str) -> Result<Value, String> {
    let wire = rich().json_to_wire(RICH, json)?;
    let message = DynamicMessage::decode(rich_message(RICH), wire.as_slice()).unwrap();
    let options = prost_reflect::SerializeOptions::new().use_proto_field_name(true);
    Ok(message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .unwrap())
}

fn problem(json: &str) -> String {
    read(json).expect_err(json)
}

fn write(wire: &[u8]) -> Value {
    serde_json::from_slice(&rich().wire_to_json(RICH, wire).unwrap()).unwrap()
}

#[test]
fn names_may_be_written_either_way_and_unknown_ones_are_ignored() {
    let json =
        r#"{"anInt32":1,"a_uint32":2,"veryOdd":"x","nope":{"deep":[1,{"a":null}]},"text":null}"#;
    let expected = json!({"an_int32": 1, "a_uint32": 2, "oddly_named": "x"});
    assert_eq!(read(json).unwrap(), expected);
    assert_eq!(
        read(r#"{"\u0061n_int32":1}"#).unwrap(),
        json!({"an_int32": 1})
    );
}

#[test]
fn numbers_may_be_quoted_or_fractional_when_whole() {
    let json = r#"{"an_int32":1.0,"an_int64":"9223372036854775807","a_uint64":18446744073709551615,"a_sint32":"-1e2"}"#;
    let expected = json!({"an_int32": 1, "an_int64": "9223372036854775807", "a_uint64": "18446744073709551615", "a_sint32": -100});
    assert_eq!(read(json).unwrap(), expected);
}

#[test]
fn the_last_of_a_repeated_key_wins_whatever_its_kind() {
    let json = r#"{"text":"a","text":"","child":{"name":"a","age":3},"child":{"name":"b"},
        "numbers":[1,2],"numbers":[3],"an_int32":5,"anInt32":6,"children":[{"age":1,"age":2}]}"#;
    let expected =
        json!({"child": {"name": "b"}, "numbers": [3], "an_int32": 6, "children": [{"age": 2}]});
    assert_eq!(read(json).unwrap(), expected);
    assert_eq!(
        read(r#"{"child":{"name":"a"},"child":null}"#).unwrap(),
        json!({})
    );
}

#[test]
fn wrong_values_name_their_path_and_what_was_expected() {
    for (json, expected) in [
        (
            r#"{"children":[{},{},{"age":"x"}]}"#,
            r#"children[2].age: expected a 32-bit integer, found "x""#,
        ),
        (
            r#"{"an_int32":1.5}"#,
            "an_int32: expected a 32-bit integer, found 1.5, which is not a whole number",
        ),
        (
            r#"{"an_int32":2147483648}"#,
            "an_int32: expected a 32-bit integer, found 2147483648, which is out of range",
        ),
        (
            r#"{"a_uint32":-1}"#,
            "a_uint32: expected a 32-bit integer of at least 0, found -1, which is out of range",
        ),
        (r#"{"text":{}}"#, "text: expected a string, found an object"),
        (
            r#"{"texts":["a",null]}"#,
            "texts[1]: expected a string, found null",
        ),
        (
            r#"{"texts":"a"}"#,
            "texts: expected an array, each element a string, found a string",
        ),
        (
            r#"{"counts":{"k":true}}"#,
            r#"counts["k"]: expected a 32-bit integer, found true"#,
        ),
        (
            r#"{"names":{"k":"v"}}"#,
            r#"names["k"]: as a key: expected a 64-bit integer, found "k""#,
        ),
        (
            r#"{"color":"BLUE"}"#,
            r#"color: expected one of COLOR_UNSPECIFIED, COLOR_RED, COLOR_NEGATIVE, found "BLUE""#,
        ),
        (
            r#"{"a_bool":"true"}"#,
            "a_bool: expected true or false, found a string",
        ),
        (
            r#"{"a_float":1e39}"#,
            "a_float: expected a number, found 1e39, which is out of range",
        ),
        (
            r#"{"time":"yesterday"}"#,
            r#"time: expected an RFC 3339 time such as "2024-05-06T07:08:09Z", found "yesterday""#,
        ),
        (
            r#"{"span":5}"#,
            "span: expected a string, found the number 5",
        ),
        (
            r#"{"choice_text":"a","choice_number":1}"#,
            "choice_number: only one of `choice_text` and `choice_number` may be set; send one of them",
        ),
        (
            r#"{"child":[]}"#,
            "child: expected an object, found an array",
        ),
        ("[]", ": expected an object, found an array"),
    ] {
        assert_eq!(problem(json), expected, "{json}");
    }
    assert!(problem(r#"{"data":"*"}"#).starts_with("data: expected a base64 string"));
}

#[test]
fn what_is_not_json_is_told_by_line_and_column() {
    for (json, expected) in [
        (
            "{\n  \"text\": x}",
            "expected a value, found 'x' at line 2, column 11",
        ),
        (
            r#"{"text":"a"} {}"#,
            "expected the end of the JSON, found '{' at line 1, column 14",
        ),
        (
            r#"{"text":"\ud800"}"#,
            "half of a surrogate pair stands alone at line 1, column 10",
        ),
        (
            r#"{"nope":"\udc00"}"#,
            "half of a surrogate pair stands alone at line 1, column 10",
        ),
        (r#"{"text":"#, "the JSON ends too early at line 1, column 9"),
        (
            r#"{"text":"a",}"#,
            "expected a key in double quotes, found '}' at line 1, column 13",
        ),
        (
            r#"{"text" "a"}"#,
            "expected `:` after a key, found '\"' at line 1, column 9",
        ),
        (
            r#"{"an_int32":tru}"#,
            "expected a value, found 't' at line 1, column 13",
        ),
        (
            "{\"text\":\"a\nb\"}",
            "a control character stands in a string; escape it at line 1, column 11",
        ),
    ] {
        assert_eq!(problem(json), expected, "{json}");
    }
}

#[test]
fn depth_is_bounded_for_known_and_unknown_fields() {
    let nested = |levels: usize| {
        format!(
            "{}{{}}{}",
            r#"{"nested":"#.repeat(levels),
            "}".repeat(levels)
        )
    };
    assert!(read(&nested(99)).is_ok());
    assert!(problem(&nested(100)).contains("nested deeper than 100 levels"));
    let unknown = format!(r#"{{"nope":{}"#, "[".repeat(100_000));
    assert!(problem(&unknown).contains("nested deeper than 100 levels"));
}

#[test]
fn fields_without_presence_are_always_written_and_others_only_when_set() {
    let json = write(&[]);
    assert_eq!(json["an_int32"], 0);
    assert_eq!(json["an_int64"], "0");
    assert_eq!(json["a_float"], json!(0.0));
    assert_eq!(json["a_bool"], false);
    assert_eq!(json["data"], "");
    assert_eq!(json["color"], "COLOR_UNSPECIFIED");
    assert_eq!(json["texts"], json!([]));
    assert_eq!(json["counts"], json!({}));
    for absent in [
        "child",
        "maybe_text",
        "choice_text",
        "time",
        "wrapped_text",
        "value",
    ] {
        assert!(json.get(absent).is_none(), "{absent}");
    }
    let json = write(&[0x92, 1, 0, 0x8a, 1, 0]);
    assert_eq!(json["maybe_text"], "");
    assert_eq!(json["child"], json!({"name": "", "age": 0, "children": []}));
}

#[test]
fn records_in_any_order_and_form_are_put_together() {
    // numbers: packed [1, 2], then child, then unpacked 3.
    let wire = [
        0xaa, 1, 2, 1, 2, 0x8a, 1, 2, 16, 7, 0xa8, 1, 3, 0x8a, 1, 3, 10, 1, b'x', 24, 1, 24, 2,
    ];
    let json = write(&wire);
    assert_eq!(json["numbers"], json!([1, 2, 3]));
    assert_eq!(
        json["child"],
        json!({"name": "x", "age": 7, "children": []}),
        "merged"
    );
    assert_eq!(json["an_int32"], 2, "the last one wins");
    // A later member of a oneof clears the earlier one.
    let json = write(&[0xfa, 1, 1, b'a', 0x80, 2, 5]);
    assert_eq!(json.get("choice_text"), None);
    assert_eq!(json["choice_number"], 5);
    // A key of a map that comes twice.
    let json = write(&[
        0xda, 1, 5, 10, 1, b'k', 16, 1, 0xda, 1, 5, 10, 1, b'k', 16, 2,
    ]);
    assert_eq!(json["counts"], json!({"k": 2}));
    // Unknown fields, groups among them, are stepped over.
    let json = write(&[0xc3, 0x3e, 8, 1, 0xc4, 0x3e, 24, 9]);
    assert_eq!(json["an_int32"], 9);
}

#[test]
fn malformed_wire_is_an_error() {
    for wire in [
        &[0x08][..],
        &[0x72, 5, b'a'],
        &[0x72, 1, 0xff],
        &[0x0a, 0],
        &[0x1b],
        &[0x1c],
        &[0],
    ] {
        assert!(rich().wire_to_json(RICH, wire).is_err(), "{wire:?}");
    }
    let mut deep = Vec::new();
    for _ in 0..200 {
        let mut outer = vec![0xe2, 0x12];
        prost::encoding::encode_varint(deep.len() as u64, &mut outer);
        outer.extend_from_slice(&deep);
        deep = outer;
    }
    assert!(rich().wire_to_json(RICH, &deep).is_err());
}

fn chat(json: &str) -> Result<CreateChatCompletionRequest, String> {
    let name = "signalbox.router.v1.CreateChatCompletionRequest";
    let wire = signalbox().json_to_wire(name, json)?;
    Ok(CreateChatCompletionRequest::decode(wire.as_slice()).unwrap())
}

#[test]
fn a_stop_may_be_one_string() {
    assert_eq!(chat(r#"{"stop":"a"}"#).unwrap().stop, ["a"]);
    assert_eq!(chat(r#"{"stop":["a","b"]}"#).unwrap().stop, ["a", "b"]);
    assert_eq!(
        chat(r#"{"stop":""}"#).unwrap().stop,
        [""],
        "for the service to refuse"
    );
    assert!(chat(r#"{"stop":null}"#).unwrap().stop.is_empty());
    let problem = chat(r#"{"stop":5}"#).unwrap_err();
    assert_eq!(
        problem,
        "stop: expected a string or an array of strings, found the number 5"
    );
    let name = "signalbox.guardrails.v1.CreateModerationRequest";
    let wire = signalbox().json_to_wire(name, r#"{"input":"x"}"#).unwrap();
    assert_eq!(
        CreateModerationRequest::decode(wire.as_slice())
            .unwrap()
            .input,
        ["x"]
    );
}

#[test]
fn content_may_be_a_string_or_parts() {
    let request = chat(
        r#"{"messages":[{"role":"user","content":"a\"b"},{"content":null},
        {"content":[{"type":"text","text":"c","cache":{}}]}]}"#,
    )
    .unwrap();
    assert_eq!(request.messages[0].content, "a\"b");
    assert_eq!(request.messages[1].content, "");
    let part = ContentPart {
        r#type: "text".into(),
        text: "c".into(),
    };
    assert_eq!(request.messages[2].content_parts, [part]);
    let problem = chat(r#"{"messages":[{},{"content":7}]}"#).unwrap_err();
    assert_eq!(
        problem,
        "messages[1].content: expected a string or an array of parts, found the number 7"
    );
    let problem = chat(r#"{"messages":[{"content":[{"text":1}]}]}"#).unwrap_err();
    assert!(
        problem.starts_with("messages[0].content[0].text: expected a string"),
        "{problem}"
    );
}

fn embed(json: &str) -> Result<CreateEmbeddingsRequest, String> {
    let name = "signalbox.embeddings.v1.CreateEmbeddingsRequest";
    let wire = signalbox().json_to_wire(name, json)?;
    Ok(CreateEmbeddingsRequest::decode(wire.as_slice()).unwrap())
}

#[test]
fn an_embedding_input_has_four_forms_and_no_mixture() {
    assert_eq!(embed(r#"{"input":"a"}"#).unwrap().input, ["a"]);
    assert_eq!(embed(r#"{"input":["a","b"]}"#).unwrap().input, ["a", "b"]);
    let ids = |ids: &[u32]| TokenArray { ids: ids.to_vec() };
    assert_eq!(
        embed(r#"{"input":[1,2]}"#).unwrap().input_tokens,
        [ids(&[1, 2])]
    );
    let many = embed(r#"{"input":[[1],[],[300]]}"#).unwrap().input_tokens;
    assert_eq!(many, [ids(&[1]), ids(&[]), ids(&[300])]);
    assert_eq!(
        embed(r#"{"input":[]}"#).unwrap(),
        CreateEmbeddingsRequest::default()
    );
    for (json, expected) in [
        (
            r#"{"input":["a",1]}"#,
            "input[1]: expected a string, as the first element is, found the number 1",
        ),
        (
            r#"{"input":[1,"a"]}"#,
            "input[1]: expected a token id, as the first element is, found a string",
        ),
        (
            r#"{"input":[[1],2]}"#,
            "input[1]: expected an array of token ids, as the first element is, found the number 2",
        ),
        (
            r#"{"input":[[1],["a"]]}"#,
            "input[1][0]: expected a token id, found a string",
        ),
        (
            r#"{"input":[true]}"#,
            "input[0]: expected a string, a token id, or an array of token ids, found true",
        ),
        (
            r#"{"input":{}}"#,
            "input: expected a string, an array of strings, an array of token ids, or an array of such arrays, found an object",
        ),
        (
            r#"{"input":[1,-1]}"#,
            "input[1]: expected a 32-bit integer of at least 0, found -1, which is out of range",
        ),
    ] {
        assert_eq!(embed(json).unwrap_err(), expected, "{json}");
    }
}

#[test]
fn a_packed_vector_is_written_as_base64_under_the_vectors_name() {
    let json = |embedding: Embedding| -> Value {
        let wire = embedding.encode_to_vec();
        let name = "signalbox.embeddings.v1.Embedding";
        serde_json::from_slice(&signalbox().wire_to_json(name, &wire).unwrap()).unwrap()
    };
    let packed = Embedding {
        embedding_packed: vec![0, 0, 128, 63].into(),
        ..Embedding::default()
    };
    assert_eq!(
        json(packed),
        json!({"object": "", "index": 0, "embedding": "AACAPw==", "truncated": false})
    );
    let plain = Embedding {
        embedding: vec![0.1, -2.0],
        ..Embedding::default()
    };
    assert_eq!(
        json(plain),
        json!({"object": "", "index": 0, "embedding": [0.1, -2.0], "truncated": false})
    );
    assert_eq!(json(Embedding::default())["embedding"], json!([]));
    let integers = Embedding {
        embedding_integers: vec![-127, 0, 5],
        scale: Some(0.5),
        ..Embedding::default()
    };
    assert_eq!(
        json(integers),
        json!({"object": "", "index": 0, "embedding": [-127, 0, 5], "truncated": false, "scale": 0.5})
    );
}

#[test]
fn numbers_that_json_lacks_are_strings_even_in_wrappers() {
    let json = r#"{"wrapped_double":"NaN","a_float":"-Infinity","a_double":"Infinity"}"#;
    let json = write(&rich().json_to_wire(RICH, json).unwrap());
    assert_eq!(json["wrapped_double"], "NaN");
    assert_eq!(json["a_float"], "-Infinity");
    assert_eq!(json["a_double"], "Infinity");
}

#[test]
fn floats_are_written_as_shortly_as_32_bits_allow() {
    let wire = Embedding {
        embedding: vec![0.1],
        ..Embedding::default()
    }
    .encode_to_vec();
    let json = signalbox()
        .wire_to_json("signalbox.embeddings.v1.Embedding", &wire)
        .unwrap();
    assert!(String::from_utf8(json).unwrap().contains("[0.1]"));
}

#[test]
fn a_finish_reason_is_null_until_there_is_one() {
    let name = "signalbox.router.v1.ChunkChoice";
    let json = signalbox()
        .wire_to_json(name, &ChunkChoice::default().encode_to_vec())
        .unwrap();
    assert_eq!(json, br#"{"index":0,"finish_reason":null}"#);
    let ended = ChunkChoice {
        finish_reason: Some("stop".into()),
        ..ChunkChoice::default()
    };
    let json = signalbox()
        .wire_to_json(name, &ended.encode_to_vec())
        .unwrap();
    assert_eq!(json, br#"{"index":0,"finish_reason":"stop"}"#);
}
