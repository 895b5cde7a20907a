//! Envoy as a gateway in front of the same servers: its own transcoding from the same
//! descriptors, told to be as near to ours as it can be.

use std::path::Path;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::{Value, json};

/// One server behind Envoy; the listener has its name.
pub(super) struct Upstream<'a> {
    pub(super) name: &'static str,
    /// `host:port`, plaintext gRPC.
    pub(super) address: &'a str,
    /// The file of [`with_error_details`].
    pub(super) descriptors: &'a Path,
    pub(super) services: &'a [&'a str],
    pub(super) max_request: usize,
}

/// The origin that browsers may call from.
pub(super) const ORIGIN: &str = "https://app.example";

/// Envoy's whole configuration.
pub(super) fn configuration(upstreams: &[Upstream<'_>]) -> String {
    let listeners: Vec<_> = upstreams.iter().map(listener).collect();
    let clusters: Vec<_> = upstreams.iter().map(cluster).collect();
    json!({"static_resources": {"listeners": listeners, "clusters": clusters}}).to_string()
}

fn typed(name: &str, mut config: Value) -> Value {
    config["@type"] = format!("type.googleapis.com/{name}").into();
    config
}

fn socket(address: &str) -> Value {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "0"));
    let port: u16 = port.parse().unwrap_or_default();
    json!({"socket_address": {"address": host, "port_value": port}})
}

fn listener(upstream: &Upstream<'_>) -> Value {
    const TRANSCODER: &str = "envoy.filters.http.grpc_json_transcoder";
    const CORS: &str = "envoy.filters.http.cors";
    // A route says how streams are set apart, as a request cannot.
    let transcoder = |sse: bool| {
        let config = json!({
            "proto_descriptor": upstream.descriptors,
            "services": upstream.services,
            "print_options": {
                "preserve_proto_field_names": true,
                "always_print_primitive_fields": true,
                "stream_newline_delimited": !sse,
                "stream_sse_style_delimited": sse,
            },
            "convert_grpc_status": true,
            "ignore_unknown_query_parameters": true,
            "query_param_unescape_plus": true,
            "url_unescape_spec": "ALL_CHARACTERS_EXCEPT_SLASH",
            "match_incoming_request_route": true,
            "max_request_body_size": upstream.max_request,
            // Else our own transcoding, which is behind, would answer what Envoy's does not.
            "request_validation_options": {"reject_unknown_method": true},
        });
        typed(
            "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
            config,
        )
    };
    let events = json!({TRANSCODER: transcoder(true)});
    let action = json!({"cluster": upstream.name, "timeout": "2s"});
    let cors = typed(
        "envoy.extensions.filters.http.cors.v3.CorsPolicy",
        json!({
            "allow_origin_string_match": [{"exact": ORIGIN}],
            "allow_methods": "*",
            "allow_headers": "content-type,authorization",
        }),
    );
    let manager = json!({
        "stat_prefix": upstream.name,
        "http_filters": [
            {"name": CORS, "typed_config":
                typed("envoy.extensions.filters.http.cors.v3.Cors", json!({}))},
            {"name": TRANSCODER, "typed_config": transcoder(false)},
            {"name": "envoy.filters.http.router", "typed_config":
                typed("envoy.extensions.filters.http.router.v3.Router", json!({}))},
        ],
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "typed_per_filter_config": {CORS: cors},
            "routes": [
                {"match": {"path": "/v1/chat/completions:stream"}, "route": action,
                 "typed_per_filter_config": events},
                {"match": {"prefix": "/", "headers": [{"name": "accept",
                    "string_match": {"contains": "text/event-stream"}}]}, "route": action,
                 "typed_per_filter_config": events},
                {"match": {"prefix": "/"}, "route": action},
            ],
        }]},
    });
    let manager = typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        manager,
    );
    json!({
        "name": upstream.name,
        "address": socket("127.0.0.1:0"),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    })
}

fn cluster(upstream: &Upstream<'_>) -> Value {
    let http2 = typed(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        json!({"explicit_http_config": {"http2_protocol_options": {}}}),
    );
    json!({
        "name": upstream.name,
        "type": "STATIC",
        "typed_extension_protocol_options":
            {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "load_assignment": {"cluster_name": upstream.name, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": socket(upstream.address)}}]}]},
    })
}

/// A `google.protobuf.FileDescriptorSet` with the error details added: Envoy writes
/// details only where their types are among the descriptors.
pub(super) fn with_error_details(descriptors: &[u8]) -> anyhow::Result<Vec<u8>> {
    let known = FileDescriptorSet::decode(descriptors)?.file;
    let mut more = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
    more.file
        .retain(|file| known.iter().all(|known| known.name != file.name));
    // Appended as bytes: decoding loses what prost does not know, `google.api.http` too.
    let mut all = descriptors.to_vec();
    more.encode(&mut all)?;
    Ok(all)
}
