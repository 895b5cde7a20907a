//! What stands under a plugin's `config` is a field of that plugin: deck does not look,
//! and Kong would refuse the whole file.
//!
//! Only what the policy may use is listed. The names of `grpc-gateway`, `opentelemetry` and
//! rate limiting's Redis were read in Kong's source; the others are of common knowledge,
//! and Kong itself is yet to confirm them.
#![allow(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

mod common;

use serde_json::Value;
use signalbox_edge_view::{files::FOLDER, kong::Target};

/// Plugin, and the paths of its fields.
const FIELDS: [(&str, &[&str]); 13] = [
    (
        "acl",
        &[
            "allow",
            "deny",
            "hide_groups_header",
            "always_use_authenticated_groups",
        ],
    ),
    (
        "correlation-id",
        &["header_name", "generator", "echo_downstream"],
    ),
    (
        "cors",
        &[
            "origins",
            "methods",
            "headers",
            "exposed_headers",
            "credentials",
            "max_age",
            "preflight_continue",
            "private_network",
        ],
    ),
    ("grpc-gateway", &["proto"]),
    (
        "jwt",
        &[
            "key_claim_name",
            "claims_to_verify",
            "maximum_expiration",
            "header_names",
            "uri_param_names",
            "cookie_names",
            "anonymous",
            "run_on_preflight",
            "secret_is_base64",
            "realm",
        ],
    ),
    (
        "key-auth",
        &[
            "key_names",
            "key_in_header",
            "key_in_query",
            "key_in_body",
            "hide_credentials",
            "anonymous",
            "run_on_preflight",
            "realm",
        ],
    ),
    (
        "opentelemetry",
        &[
            "traces_endpoint",
            "logs_endpoint",
            "resource_attributes.service.name",
            "propagation.extract",
            "propagation.inject",
            "propagation.clear",
            "propagation.default_format",
            "sampling_rate",
        ],
    ),
    ("pre-function", &["access"]),
    (
        "prometheus",
        &[
            "per_consumer",
            "status_code_metrics",
            "latency_metrics",
            "bandwidth_metrics",
            "upstream_health_metrics",
            "ai_metrics",
        ],
    ),
    (
        "proxy-cache",
        &[
            "strategy",
            "request_method",
            "response_code",
            "content_type",
            "cache_ttl",
            "cache_control",
            "storage_ttl",
            "memory.dictionary_name",
            "vary_headers",
            "vary_query_params",
            "ignore_uri_case",
            "response_headers",
        ],
    ),
    (
        "rate-limiting",
        &[
            "second",
            "minute",
            "hour",
            "day",
            "month",
            "year",
            "limit_by",
            "header_name",
            "path",
            "policy",
            "fault_tolerant",
            "hide_client_headers",
            "error_code",
            "error_message",
            "sync_rate",
            "redis.host",
            "redis.port",
            "redis.username",
            "redis.password",
            "redis.database",
            "redis.timeout",
            "redis.ssl",
            "redis.ssl_verify",
            "redis.server_name",
        ],
    ),
    (
        "request-size-limiting",
        &[
            "allowed_payload_size",
            "size_unit",
            "require_content_length",
        ],
    ),
    (
        "request-termination",
        &[
            "status_code",
            "message",
            "content_type",
            "body",
            "echo",
            "trigger",
        ],
    ),
];

/// Fields that take one of a few words.
const WORDS: [(&str, &str, &[&str]); 8] = [
    (
        "correlation-id",
        "generator",
        &["uuid", "uuid#counter", "tracker"],
    ),
    (
        "opentelemetry",
        "propagation.extract",
        &["w3c", "b3", "jaeger", "ot", "datadog", "aws", "gcp"],
    ),
    (
        "opentelemetry",
        "propagation.inject",
        &["preserve", "w3c", "b3", "b3-single", "jaeger", "ot"],
    ),
    ("proxy-cache", "strategy", &["memory"]),
    (
        "proxy-cache",
        "request_method",
        &["GET", "HEAD", "POST", "PATCH", "PUT"],
    ),
    (
        "rate-limiting",
        "limit_by",
        &["consumer", "credential", "ip", "service", "header", "path"],
    ),
    ("rate-limiting", "policy", &["local", "cluster", "redis"]),
    (
        "request-size-limiting",
        "size_unit",
        &["megabytes", "kilobytes", "bytes"],
    ),
];

fn plugins(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::Array(all)) = fields.get("plugins") {
                found.extend(all.iter().cloned());
            }
            fields.values().for_each(|value| plugins(value, found));
        }
        Value::Array(all) => all.iter().for_each(|value| plugins(value, found)),
        _ => {}
    }
}

fn leaves(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    let Value::Object(fields) = value else {
        found.push((path.to_owned(), value.clone()));
        return;
    };
    for (name, value) in fields {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        leaves(value, &path, found);
    }
}

/// What is wrong with a plugin.
fn wrong(plugin: &Value) -> Option<String> {
    let name = plugin["name"].as_str()?;
    let Some((_, fields)) = FIELDS.iter().find(|(known, _)| *known == name) else {
        return Some(format!("{name} is not in the table"));
    };
    let mut found = Vec::new();
    leaves(&plugin["config"], "", &mut found);
    for (path, value) in found {
        if !fields.contains(&path.as_str()) {
            return Some(format!("{name} has no field {path}"));
        }
        let words = WORDS
            .iter()
            .find(|(plugin, field, _)| (*plugin, *field) == (name, &path));
        let Some((.., words)) = words else { continue };
        let given = match value {
            Value::Array(all) => all,
            single => vec![single],
        };
        if let Some(word) = given
            .iter()
            .find(|it| !words.contains(&it.as_str().unwrap_or("")))
        {
            return Some(format!("{name}: {path} cannot be {word}"));
        }
    }
    None
}

#[test]
fn every_plugin_is_given_fields_that_it_has() {
    for target in Target::ALL {
        let text = common::read(&format!("{FOLDER}/{}", target.file()));
        let configuration: Value = serde_saphyr::from_str(&text).unwrap();
        let mut found = Vec::new();
        plugins(&configuration, &mut found);
        assert!(found.len() > 15, "{}", found.len());
        let wrong: Vec<String> = found.iter().filter_map(wrong).collect();
        assert_eq!(wrong, Vec::<String>::new(), "{}", target.file());
    }
}

#[test]
fn a_misspelt_field_or_word_is_found() {
    let plugin = |text: &str| -> Value { serde_saphyr::from_str(text).unwrap() };
    let cases = [
        (
            "{name: grpc-gateway, config: {protoz: x}}",
            "grpc-gateway has no field protoz",
        ),
        (
            "{name: rate-limiting, config: {policy: redis, redis: {hosts: x}}}",
            "rate-limiting has no field redis.hosts",
        ),
        (
            "{name: rate-limiting, config: {policy: rediss}}",
            "rate-limiting: policy cannot be \"rediss\"",
        ),
        (
            "{name: openid-connect}",
            "openid-connect is not in the table",
        ),
    ];
    for (text, says) in cases {
        assert_eq!(wrong(&plugin(text)).as_deref(), Some(says));
    }
    assert_eq!(
        wrong(&plugin("{name: grpc-gateway, config: {proto: x}}")),
        None
    );
}
