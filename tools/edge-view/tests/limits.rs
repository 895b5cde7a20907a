//! The reader of the view refuses each thing that Kong's plugin cannot read, by name.
#![allow(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

use signalbox_edge_view::limits::{Limit, check};

const GOOD: &str = r#"// A comment.
syntax = "proto3";

package a.v1;

service Jobs {
  rpc Stop(.a.v1.Job) returns (.a.v1.Job) {
    option (google.api.http) = {
      post: "/v1/jobs/{id}:stop"
      body: "*"
      additional_bindings {
        delete: "/v1/jobs/{id}"
      }
    };
  }

  rpc Add(.a.v1.Job) returns (.a.v1.Job) {
    option (google.api.http) = {
      post: "/v1/jobs/{id}"
      body: "*"
    };
  }
}

message Job {
  enum State {
    STATE_UNSPECIFIED = 0;
    STATE_LOST = -1;
  }
  string id = 1;
  repeated uint32 sizes = 2;
  map<string, .a.v1.Job.State> states = 3;
}
"#;

#[test]
fn the_part_of_the_language_that_the_view_uses_is_read() {
    let view = check(GOOD).unwrap();
    assert_eq!(view.package, "a.v1");
    assert_eq!(view.rpcs.len(), 2);
    assert_eq!(view.messages[0].fields.len(), 3);
}

#[test]
fn everything_else_is_refused_by_name() {
    use Limit::*;
    let cases: [(&str, &str, Limit); 39] = [
        ("string id = 1;", "optional string id = 1;", Label),
        ("string id = 1;", "required string id = 1;", Label),
        ("\"proto3\"", "\"proto2\"", Syntax),
        ("syntax = \"proto3\"", "edition = \"2023\"", Syntax),
        ("syntax = \"proto3\";", "", Syntax),
        ("id = 1;", "id = 1 [deprecated = true];", FieldOption),
        ("id = 1;", "id = 1 [json_name = \"ID\"];", FieldOption),
        ("sizes = 2;", "sizes = 2 [packed = false];", FieldOption),
        ("LOST = -1;", "LOST = -1 [deprecated = true];", FieldOption),
        (
            "service Jobs",
            "option java_package = \"a\";\nservice Jobs",
            Option,
        ),
        ("string id", "option deprecated = true;\n string id", Option),
        (
            "STATE_LOST",
            "option allow_alias = true;\nSTATE_LOST",
            Option,
        ),
        ("(google.api.http)", "(other.rule)", Option),
        (
            "    };\n  }\n\n",
            "    };\n    option deprecated = true;\n  }\n\n",
            Option,
        ),
        ("string id = 1;", "oneof one { string id = 1; }", Oneof),
        ("string id", ".google.protobuf.Timestamp id", Foreign),
        ("string id", "google.protobuf.FieldMask id", Foreign),
        (
            "(.a.v1.Job) returns",
            "(.google.protobuf.Empty) returns",
            Foreign,
        ),
        (
            "package a.v1;",
            "package a.v1;\nimport \"google/api/annotations.proto\";",
            Import,
        ),
        ("Stop(.a", "Stop(stream .a", Stream),
        ("returns (.a", "returns (stream .a", Stream),
        ("string id", "reserved 9;\n string id", Other),
        ("string id", "extensions 100 to max;\n string id", Other),
        (
            "message Job",
            "extend Job { string x = 9; }\nmessage Job",
            Other,
        ),
        ("body: \"*\"", "response_body: \"id\"", ResponseBody),
        (
            "      additional_bindings {",
            "      additional_bindings { put: \"/v1/x\" }\n      additional_bindings {",
            Bindings,
        ),
        (
            "delete: \"/v1/jobs/{id}\"",
            "delete: \"/v1/jobs/{id}\" additional_bindings { get: \"/v1/x\" }",
            Bindings,
        ),
        (
            "post: \"/v1/jobs/{id}:stop\"",
            "custom: { kind: \"STOP\" path: \"/v1/x\" }",
            Verb,
        ),
        ("post: \"/v1/jobs/{id}:stop\"", "selector: \"x\"", Verb),
        (
            "post: \"/v1/jobs/{id}:stop\"",
            "get: \"/v1/x\" post: \"/v1/y\"",
            Verb,
        ),
        ("post: \"/v1/jobs/{id}:stop\"", "", Verb),
        ("\"/v1/jobs/{id}:stop\"", "\"/v1/{id=jobs/*}:stop\"", Path),
        ("\"/v1/jobs/{id}:stop\"", "\"/v1.1/jobs\"", Path),
        // Swapped: the path with the variable takes the verb's requests.
        ("\"/v1/jobs/{id}:stop\"", "\"/v1/jobs/{name}\"", Order),
        ("string id", "string jobId", Name),
        ("string id = 1;", "string id = 2;", Type),
        ("string id", "Unknown id", Type),
        ("string id = 1;", "string id = 0x1;", Grammar),
        ("\"/v1/jobs/{id}:stop\"", "\"/v1/jobs\\x2f{id}\"", Grammar),
    ];
    let mut seen = Vec::new();
    for (what, with, limit) in cases {
        assert!(GOOD.contains(what), "{what}");
        let text = GOOD.replacen(what, with, 1);
        match check(&text) {
            Err(error) => assert_eq!(error.limit, limit, "{with}: {error}"),
            Ok(_) => panic!("{with} went through"),
        }
        seen.push(limit);
    }
    seen.sort_unstable();
    seen.dedup();
    let all = [
        Label,
        Syntax,
        FieldOption,
        Option,
        Oneof,
        Foreign,
        Import,
        Stream,
        Other,
        ResponseBody,
        Bindings,
        Verb,
        Path,
        Order,
        Name,
        Type,
        Grammar,
    ];
    assert_eq!(seen, all, "every limit has a case");
}

#[test]
fn a_verb_declared_after_the_variable_is_refused() {
    let (stop, add) = (
        GOOD.find("  rpc Stop").unwrap(),
        GOOD.find("  rpc Add").unwrap(),
    );
    let end = GOOD.find("}\n\nmessage").unwrap();
    let swapped = [
        &GOOD[..stop],
        &GOOD[add..end],
        &GOOD[stop..add],
        &GOOD[end..],
    ]
    .concat();
    assert_eq!(check(&swapped).unwrap_err().limit, Limit::Order);
}
