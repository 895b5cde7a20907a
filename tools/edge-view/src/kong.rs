//! Writes Kong's services and routes from the contract, and puts them below the policy
//! (`k8s/gateway/kong/policy.yaml`), which people write.
//!
//! Each of our services becomes three of Kong's, because the protocol belongs to the
//! service there: `NAME-rest` (its own REST), `NAME-edge` (through `grpc-gateway`) and
//! `NAME-grpc` (native calls). A path is routed once, by its method and whole length.

use std::fmt::Write as _;

use thiserror::Error;

use crate::{
    contract::{Contract, Rpc},
    path::Template,
    way::{Reason, Way, WayError, way},
};

/// RPCs that only the group `operators` may call.
pub const OPERATORS: [&str; 3] = [
    "signalbox.router.v1.RouterService.GetUsage",
    "signalbox.router.v1.RouterService.ReplayPolicy",
    "signalbox.router.v1.RouterService.UpdatePolicy",
];

/// Answers that are the same for every caller. Only plain routes: the plugin turns a
/// request into a POST before the cache sees it.
pub const CACHED: [&str; 1] = ["signalbox.router.v1.RouterService.ListModels"];

/// Where Kong runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// In the cluster.
    Cluster,
    /// On this machine, before `signalbox up`.
    Local,
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum KongError {
    /// A path that needs a person's word.
    #[error(transparent)]
    Way(#[from] WayError),
    /// A package that no host is known for.
    #[error("{0}: say in `Target::upstream` (kong.rs) where its service runs")]
    UnknownPackage(String),
    /// Kong's regular expression for a path is not known.
    #[error("{0}: {1} is a path that the routes cannot say")]
    Path(String, String),
    /// The policy names a value that this target does not have.
    #[error("policy.yaml: no value for {0}")]
    UnknownValue(String),
}

impl Target {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cluster, Self::Local];

    /// The file of its configuration.
    pub fn file(self) -> &'static str {
        match self {
            Self::Cluster => "kong.yaml",
            Self::Local => "kong.local.yaml",
        }
    }

    /// The service's short name, host and port.
    fn upstream(self, package: &str) -> Option<(&'static str, String, u16)> {
        let (name, port) = match package {
            "signalbox.embeddings.v1" => ("embeddings", 7002),
            "signalbox.guardrails.v1" => ("guardrails", 7003),
            "signalbox.router.v1" => ("router", 7001),
            _ => return None,
        };
        Some(match self {
            Self::Cluster => (name, format!("{name}.signalbox.svc.cluster.local"), port),
            Self::Local => (name, "127.0.0.1".to_owned(), 7000),
        })
    }

    /// What a `@name@` of the policy stands for.
    fn value(self, name: &str) -> Option<&'static str> {
        let (cluster, local) = match name {
            "edge" => ("/etc/kong/edge", "/kong/edge"),
            "redis-host" => ("redis.signalbox.svc.cluster.local", "127.0.0.1"),
            "redis-password" => ("'{vault://env/signalbox-redis-password}'", "''"),
            "redis-tls" => ("true", "false"),
            "traces" => (
                "http://otel-collector.observability.svc.cluster.local:4318/v1/traces",
                "http://127.0.0.1:4318/v1/traces",
            ),
            "origin" => ("https://console.signalbox.example", "http://localhost:3000"),
            _ => return None,
        };
        Some(match self {
            Self::Cluster => cluster,
            Self::Local => local,
        })
    }
}

/// The whole declarative configuration of a target.
///
/// # Errors
/// Names what the contract or the policy says that cannot be routed.
pub fn configuration(
    contract: &Contract,
    policy: &str,
    target: Target,
) -> Result<String, KongError> {
    let mut text = String::from(
        "# Written by signalbox-edge-view from policy.yaml and proto/; do not edit.\n",
    );
    // The policy's own comments begin it; its values are between at signs.
    for (at, part) in policy.split('@').enumerate() {
        if at % 2 == 0 {
            text.push_str(part);
        } else {
            let value = target.value(part);
            text.push_str(value.ok_or_else(|| KongError::UnknownValue(part.to_owned()))?);
        }
    }
    text.push_str("\nservices:\n");
    for package in contract.packages() {
        let (name, host, port) = target
            .upstream(&package)
            .ok_or_else(|| KongError::UnknownPackage(package.clone()))?;
        let rpcs: Vec<&Rpc> = contract
            .rpcs
            .iter()
            .filter(|rpc| rpc.method.parent_service().package_name() == package)
            .collect();
        let host = format!("    host: {host}\n    port: {port}\n");
        rest(name, &host, &rpcs, &mut text)?;
        let edge = target.value("edge").unwrap_or_default();
        transcoded(name, &host, edge, &rpcs, &mut text)?;
        native(name, &host, &rpcs, &mut text);
    }
    Ok(text)
}

/// What every service begins with. A request may take as long as the services allow.
fn begin(name: &str, protocol: &str, host: &str, out: &mut String) {
    let _ = write!(
        out,
        "  - name: {name}\n    protocol: {protocol}\n{host}    retries: 1\n    \
         connect_timeout: 2000\n    read_timeout: 600000\n    write_timeout: 600000\n"
    );
}

fn rest(name: &str, host: &str, rpcs: &[&Rpc], out: &mut String) -> Result<(), KongError> {
    let mut routes = String::new();
    for rpc in rpcs {
        if let Way::Plain(reason) = way(rpc)? {
            let _ = writeln!(routes, "      # {reason}");
            // Chat streams too where its body says so.
            let streams = rpc.is_streaming() || matches!(reason, Reason::OpenAi);
            route(name, rpc, streams, &mut routes)?;
        }
    }
    if routes.is_empty() {
        return Ok(());
    }
    begin(&format!("{name}-rest"), "http", host, out);
    out.push_str(
        "    plugins:\n      - name: request-size-limiting\n        config:\n          \
         allowed_payload_size: 16\n          size_unit: megabytes\n    routes:\n",
    );
    out.push_str(&routes);
    Ok(())
}

fn transcoded(
    name: &str,
    host: &str,
    edge: &str,
    rpcs: &[&Rpc],
    out: &mut String,
) -> Result<(), KongError> {
    let mut routes = String::new();
    for rpc in rpcs {
        if way(rpc)? == Way::Transcoded {
            route(name, rpc, false, &mut routes)?;
        }
    }
    if routes.is_empty() {
        return Ok(());
    }
    begin(&format!("{name}-edge"), "grpc", host, out);
    let _ = write!(
        out,
        "    plugins:\n      - name: grpc-gateway\n        config:\n          \
         proto: {edge}/{name}.proto\n{SIZE_GUARD}    routes:\n"
    );
    out.push_str(&routes);
    Ok(())
}

/// `grpc-gateway` runs before `request-size-limiting` and takes a body that is not in
/// memory for an empty one, so the size is checked before both.
const SIZE_GUARD: &str = r#"      - name: pre-function
        config:
          access:
            - |
              local method = kong.request.get_method()
              if method == "POST" or method == "PUT" or method == "PATCH" then
                local size = tonumber(kong.request.get_header("content-length"))
                if not size then
                  return kong.response.exit(411, { code = 3, message = "send a Content-Length" })
                end
                if size > 16 * 1024 * 1024 then
                  return kong.response.exit(413, { code = 8, message = "the body is over 16 MiB" })
                end
              end
"#;

fn route(service: &str, rpc: &Rpc, streams: bool, out: &mut String) -> Result<(), KongError> {
    for (at, binding) in rpc.bindings.iter().enumerate() {
        let template = Template::parse(&binding.path)
            .ok_or_else(|| KongError::Path(rpc.full_name().to_owned(), binding.path.clone()))?;
        let suffix = if at == 0 {
            String::new()
        } else {
            format!("-{}", at + 1)
        };
        let _ = write!(
            out,
            "      - name: {service}-{}{suffix}\n        protocols: [http, https]\n        \
             methods: [{}, OPTIONS]\n        paths: ['{}']\n        strip_path: false\n",
            kebab(rpc.method.name()),
            binding.verb,
            template.kong_route(),
        );
        if streams {
            out.push_str("        response_buffering: false\n");
        }
        let operators = OPERATORS.contains(&rpc.full_name());
        let cached = CACHED.contains(&rpc.full_name());
        if operators || cached {
            out.push_str("        plugins:\n");
        }
        if operators {
            out.push_str(OPERATORS_ONLY);
        }
        if cached {
            out.push_str(
                "          - name: proxy-cache\n            config:\n              \
                 strategy: memory\n              request_method: [GET]\n              \
                 response_code: [200]\n              content_type: [application/json]\n              \
                 cache_ttl: 30\n",
            );
        }
    }
    Ok(())
}

const OPERATORS_ONLY: &str = "          - name: acl\n            config:\n              \
     allow: [operators]\n              hide_groups_header: true\n";

fn native(name: &str, host: &str, rpcs: &[&Rpc], out: &mut String) {
    begin(&format!("{name}-grpc"), "grpc", host, out);
    out.push_str("    routes:\n");
    for (group, wanted) in [("", false), ("-operators", true)] {
        let mut paths = String::new();
        for rpc in rpcs
            .iter()
            .filter(|rpc| OPERATORS.contains(&rpc.full_name()) == wanted)
        {
            let _ = writeln!(
                paths,
                "          - '~{}$'",
                rpc.grpc_path().replace('.', "\\.")
            );
        }
        if paths.is_empty() {
            continue;
        }
        let _ = write!(
            out,
            "      - name: {name}-grpc{group}\n        protocols: [grpc, grpcs]\n        \
             strip_path: false\n        paths:\n{paths}"
        );
        if wanted {
            let _ = write!(out, "        plugins:\n{OPERATORS_ONLY}");
        }
    }
}

/// `GetUsage` is `get-usage`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}
