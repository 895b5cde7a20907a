//! What cannot be served is refused at start-up, by name.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use signalbox_transcode::{BuildError, Quirk, Transcoder};

/// A contract of one service whose body is `rpcs`.
fn contract(rpcs: &str) -> Vec<u8> {
    let root = format!(
        "{}/../../proto",
        std::env::var("CARGO_MANIFEST_DIR").unwrap()
    );
    let source = format!(
        "syntax = \"proto3\"; package t;\nimport \"google/api/annotations.proto\";\nimport \"google/protobuf/any.proto\";\n\
         message M {{ string a = 1; repeated string many = 2; M inner = 3; }}\n\
         message Holder {{ google.protobuf.Any any = 1; }}\n\
         service S {{ {rpcs} }}"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.proto"), source).unwrap();
    let mut compiler = protox::Compiler::new([folder.path().to_owned(), root.into()]).unwrap();
    compiler.include_imports(true).open_file("t.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

fn problem(rpcs: &str) -> String {
    Transcoder::builder(&contract(rpcs))
        .build()
        .expect_err(rpcs)
        .to_string()
}

fn rpc(rule: &str) -> String {
    format!("rpc A(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }}")
}

#[test]
fn wrong_rules_name_their_rpc() {
    for (rule, expected) in [
        (
            r#"get: "v1""#,
            "t.S.A: its path `v1` is wrong: it does not start with `/`",
        ),
        (
            r#"get: "/v1/{b}""#,
            "t.S.A: its path `/v1/{b}`: t.M has no field `b`",
        ),
        (
            r#"get: "/v1/{a.b}""#,
            "t.S.A: its path `/v1/{a.b}`: the field before `b` is not a message",
        ),
        (
            r#"get: "/v1/{many}""#,
            "t.S.A: its path binds `many`, which is no single value",
        ),
        (
            r#"get: "/v1/{inner}""#,
            "t.S.A: its path binds `inner`, which is no single value",
        ),
        (
            r#"post: "/v1" body: "b""#,
            "t.S.A: its body: t.M has no field `b`",
        ),
        (
            r#"get: "/v1" response_body: "b""#,
            "t.S.A: its response_body: t.M has no field `b`",
        ),
        (
            r#"custom: { kind: "A B" path: "/v1" }"#,
            "t.S.A: `A B` is not an HTTP method",
        ),
        (
            r#"body: "*""#,
            "t.S.A: its google.api.http rule has no pattern",
        ),
    ] {
        assert_eq!(problem(&rpc(rule)), expected);
    }
}

#[test]
fn two_rpcs_on_one_route_are_both_named() {
    let rpcs = r#"
        rpc A(M) returns (M) { option (google.api.http) = { get: "/v1/{a}" }; }
        rpc B(M) returns (M) { option (google.api.http) = { get: "/v1/{inner.a}" }; }"#;
    assert_eq!(
        problem(rpcs),
        "t.S.B and t.S.A are both reached by GET /v1/{inner.a}"
    );
}

#[test]
fn client_streams_and_any_have_no_rest_form() {
    let stream = r#"rpc A(stream M) returns (M) { option (google.api.http) = { get: "/v1" }; }"#;
    assert!(problem(stream).starts_with("t.S.A: its requests are a stream"));
    let any = r#"rpc A(M) returns (Holder) { option (google.api.http) = { get: "/v1" }; }"#;
    assert_eq!(
        problem(any),
        "t.S.A: t.Holder.any is a google.protobuf.Any, which REST cannot carry"
    );
}

#[test]
fn quirks_must_name_what_exists_and_fits() {
    let contract = contract(&rpc(r#"post: "/v1" body: "*""#));
    let build = |quirk| Transcoder::builder(&contract).quirks(vec![quirk]).build();
    let unknown = build(Quirk::DoneMarker { rpc: "t.S.Z" });
    assert!(matches!(unknown, Err(BuildError::Quirk { .. })));
    let unknown = build(Quirk::WrapScalar {
        message: "t.M",
        field: "z",
    });
    assert!(
        unknown
            .unwrap_err()
            .to_string()
            .ends_with("t.M has no field `z`")
    );
    let unfit = build(Quirk::WrapScalar {
        message: "t.M",
        field: "a",
    });
    assert!(
        unfit
            .unwrap_err()
            .to_string()
            .ends_with("not of the types that it is for")
    );
    let not_streaming = build(Quirk::StreamSwitch {
        unary: "t.S.A",
        streaming: "t.S.A",
        field: "a",
    });
    assert!(
        not_streaming
            .unwrap_err()
            .to_string()
            .ends_with("does not answer in a stream")
    );
    assert!(
        build(Quirk::WrapScalar {
            message: "t.M",
            field: "many"
        })
        .is_ok()
    );
}

#[test]
fn services_can_be_chosen() {
    let contract = contract(&rpc(r#"get: "/v1""#));
    let unknown = Transcoder::builder(&contract).services(&["t.Z"]).build();
    assert!(matches!(unknown, Err(BuildError::UnknownService(name)) if name == "t.Z"));
    assert!(
        Transcoder::builder(&contract)
            .services(&["t.S"])
            .build()
            .is_ok()
    );
    assert!(matches!(
        Transcoder::builder(b"\xff").build(),
        Err(BuildError::Descriptors(_))
    ));
    // Quirks for services that are not routed do no harm.
    let descriptors = signalbox_proto::FILE_DESCRIPTOR_SET;
    let alone = Transcoder::builder(descriptors)
        .services(&["signalbox.guardrails.v1.GuardrailsService"])
        .quirks(signalbox_transcode::openai_quirks())
        .build()
        .unwrap();
    let chat = alone.lookup(&http::Method::POST, "/v1/chat/completions");
    assert_eq!(chat, signalbox_transcode::Lookup::NotFound);
}
