//! The view of the tree holds every RPC that it should, once, and keeps within what
//! Kong's plugin reads; and it changes when the contract does.
#![allow(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

mod common;

use std::collections::BTreeMap;

use signalbox_edge_view::{
    contract::Contract,
    files, limits,
    way::{self, OPENAI, WayError},
};

#[test]
fn the_tree_follows_from_the_contract() {
    let drifted = files::drifted(&common::contract(), &common::root()).unwrap();
    assert_eq!(
        drifted,
        Vec::<String>::new(),
        "run `signalbox-edge-view write`"
    );
}

#[test]
fn every_view_keeps_within_what_the_plugin_reads() {
    let views = common::views();
    assert_eq!(views.len(), common::contract().packages().len());
    for (name, text) in views {
        limits::check(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_unary_rpc_that_is_not_openais_is_in_the_view_once_with_its_paths() {
    let contract = common::contract();
    let view = Contract::of(common::view_pool()).unwrap();
    let mut found = BTreeMap::new();
    for rpc in &view.rpcs {
        assert!(
            found.insert(rpc.full_name(), &rpc.bindings).is_none(),
            "{}",
            rpc.full_name()
        );
    }
    let mut wanted = 0;
    for rpc in &contract.rpcs {
        let unary = !rpc.method.is_client_streaming() && !rpc.method.is_server_streaming();
        let expected = unary && !OPENAI.contains(&rpc.full_name());
        assert_eq!(
            found.contains_key(rpc.full_name()),
            expected,
            "{}",
            rpc.full_name()
        );
        if let Some(bindings) = found.get(rpc.full_name()) {
            assert_eq!(**bindings, rpc.bindings, "{}", rpc.full_name());
            wanted += 1;
        }
    }
    assert_eq!(found.len(), wanted);
    assert!(wanted > 10);
}

#[test]
fn a_request_reaches_its_own_rpc_by_the_first_path_that_matches() {
    use signalbox_edge_view::path::Template;
    for (name, text) in common::views() {
        let view = limits::check(&text).unwrap();
        for rpc in &view.rpcs {
            for (verb, path, _) in &rpc.bindings {
                let sample = Template::parse(path).unwrap().filled("01JB");
                let first = view.rpcs.iter().find(|other| {
                    other.bindings.iter().any(|(method, path, _)| {
                        method == verb && Template::parse(path).unwrap().plugin_matches(&sample)
                    })
                });
                assert_eq!(first.unwrap().name, rpc.name, "{name}: {verb} {sample}");
            }
        }
    }
}

#[test]
fn openais_paths_are_those_that_our_own_transcoding_treats_so() {
    use signalbox_transcode::{Quirk, openai_quirks};
    let quirks = openai_quirks();
    let mut known: Vec<&str> = quirks
        .iter()
        .filter_map(|quirk| match quirk {
            Quirk::OpenAiErrors { rpc } => Some(*rpc),
            _ => None,
        })
        .collect();
    known.sort_unstable();
    assert_eq!(known, OPENAI);
}

#[test]
fn the_table_of_64_bit_fields_names_only_fields_that_there_are() {
    let contract = common::contract();
    for (name, ..) in way::WIDE {
        let (message, field) = name.rsplit_once('.').unwrap();
        let message = contract.pool.get_message_by_name(message).unwrap();
        assert!(
            way::is_wide(&message.get_field_by_name(field).unwrap().kind()),
            "{name}"
        );
    }
}

#[test]
fn a_new_rpc_turns_the_view_both_configurations_and_the_guide_red() {
    let with = "rpc ForgetPolicy(GetPolicyRequest) returns (RoutingPolicy) {\n    \
                option (google.api.http) = {delete: \"/v1/router/policy\"};\n  }\n\n  \
                // Changes the routing policy.\n";
    let edited = common::edited("router", "// Changes the routing policy.\n", with);
    let mut drifted = files::drifted(&edited, &common::root()).unwrap();
    drifted.sort();
    assert_eq!(
        drifted,
        [
            "docs/gateway.md",
            "k8s/gateway/kong/edge/router.proto",
            "k8s/gateway/kong/kong.local.yaml",
            "k8s/gateway/kong/kong.yaml",
        ]
    );
}

#[test]
fn a_new_field_turns_only_its_view_red() {
    let edited = common::edited(
        "guardrails",
        "string session_id = 2;",
        "string session_id = 2;\n  bool keep = 3;",
    );
    let drifted = files::drifted(&edited, &common::root()).unwrap();
    assert_eq!(drifted, ["k8s/gateway/kong/edge/guardrails.proto"]);
}

#[test]
fn a_new_64_bit_field_asks_whether_it_stays_small() {
    let edited = common::edited(
        "guardrails",
        "bool default_on = 4;",
        "bool default_on = 4;\n  uint64 hits = 5;",
    );
    let rpc = edited
        .rpcs
        .iter()
        .find(|rpc| rpc.method.name() == "ListDetectors")
        .unwrap();
    let unknown = WayError::UnknownWide {
        rpc: "signalbox.guardrails.v1.GuardrailsService.ListDetectors".to_owned(),
        field: "signalbox.guardrails.v1.Detector.hits".to_owned(),
    };
    assert_eq!(way::way(rpc), Err(unknown));
    assert!(files::expected(&edited, &common::root()).is_err());
}

#[test]
fn what_the_plugin_would_change_goes_around_it() {
    use signalbox_edge_view::way::{Reason, Way};
    let field = |name: &str| format!("signalbox.guardrails.v1.{name}");
    let cases = [
        (
            "bool default_on = 4;",
            "bytes icon = 4;",
            "ListDetectors",
            Reason::Bytes(field("Detector.icon")),
        ),
        (
            "bool default_on = 4;",
            "oneof state { bool default_on = 4; string off = 5; }",
            "ListDetectors",
            Reason::Oneof(field("Detector.default_on")),
        ),
        (
            "bool default_on = 4;",
            "optional bool default_on = 4;",
            "ListDetectors",
            Reason::Presence(field("Detector.default_on")),
        ),
        (
            "message ListDetectorsRequest {}",
            "message ListDetectorsRequest { repeated string names = 1; }",
            "ListDetectors",
            Reason::QueryKind(field("ListDetectorsRequest.names")),
        ),
        (
            "{get: \"/v1/guardrails/policies\"}",
            "{get: \"/v1/guardrails/policies\" response_body: \"policies\"}",
            "ListPolicies",
            Reason::Binding("response_body"),
        ),
        (
            "{get: \"/v1/guardrails/policies\"}",
            "{get: \"/v1/{name=guardrails/**}\"}",
            "ListPolicies",
            Reason::Binding("a pattern in the path"),
        ),
        (
            "{get: \"/v1/guardrails/policies\"}",
            "{custom: {kind: \"HEAD\" path: \"/v1/guardrails/policies\"}}",
            "ListPolicies",
            Reason::Binding("a custom method"),
        ),
    ];
    for (what, with, rpc, reason) in cases {
        let edited = common::edited("guardrails", what, with);
        let rpc = edited
            .rpcs
            .iter()
            .find(|it| it.method.name() == rpc)
            .unwrap();
        assert_eq!(way::way(rpc), Ok(Way::Plain(reason)), "{with}");
    }
}
