//! What the promises are proven on: two sidecars, Envoy both, and everything around
//! them. One of each, started at once and used by all promises.

use std::{path::Path, process::Command};

use anyhow::Context as _;
use serde_json::Value;
use signalbox_fault_upstream::FaultUpstream;

use super::{
    collector::Collector,
    identity,
    program::{Program, free_port},
    redis::Redis,
    template::{Templates, merged, without_policies},
    token::TokenIssuer,
};
use crate::{envoy::Envoy, platform::Process, tools};

/// The chat models: `(name, behaviour of the upstream)`. A behaviour is used once, so
/// that the upstream's record tells who asked.
const MODELS: &[(&str, &str)] = &[
    ("steady", "fault/tokens=8"),
    ("slow", "fault/tokens=600,rate=20"),
    ("flaky", "fault/fail-first=2,status=503"),
    ("broken", "fault/status=503"),
    ("overloaded", "fault/latency=500ms,status=503"),
    ("rejecting", "fault/status=400"),
    ("breaking", "fault/tokens=8,error-after=3"),
    ("traced", "fault/as=traced"),
    ("pair", "fault/as=firm"),
];
/// What the second service's `pair` does: it fails exactly as often as it takes to be
/// ejected, and is well afterwards.
const SHAKY: &str = "fault/as=shaky,fail-first=3,status=503";
const FIRM: &str = "fault/as=firm";

/// The callers' identities: `(listener, identity, the service that is expected)`.
const CALLERS: &[(&str, &str, &str)] = &[
    ("mtls-router", identity::ROUTER, identity::GUARDRAILS),
    ("mtls-other", identity::OTHER, identity::GUARDRAILS),
    ("mtls-foreigner", identity::FOREIGNER, identity::GUARDRAILS),
    ("mtls-impostor", identity::IMPOSTOR, identity::GUARDRAILS),
    ("mtls-wrong-service", identity::ROUTER, "embeddings"),
    // Its certificate is taken out.
    (ANONYMOUS, identity::ROUTER, identity::GUARDRAILS),
];
const ANONYMOUS: &str = "mtls-anonymous";
/// Where a configuration holds what a caller shows.
const CALLER_CERTIFICATES: &str =
    "/static_resources/clusters/0/transport_socket/typed_config/common_tls_context";

/// Everything that runs; ended on drop.
pub(super) struct Stage {
    /// The sidecar of the callers.
    pub(super) client: Envoy,
    /// The sidecar of the service.
    pub(super) server: Envoy,
    pub(super) upstream: FaultUpstream,
    pub(super) tokens: TokenIssuer,
    pub(super) redis: Redis,
    /// Envoy's rate limit service.
    pub(super) rate_limiter: Program,
    pub(super) collector: Collector,
    pub(super) service: Process,
    _shaky: Process,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub(super) async fn start(
        binaries: &Path,
        root: &Path,
        unprotected: bool,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        identity::write(folder.path())?;
        let tokens = TokenIssuer::new()?;
        let jwks = folder.path().join("jwks.json");
        std::fs::write(&jwks, tokens.jwks().to_string())?;

        let upstream = FaultUpstream::start().await;
        let (collector, (redis, rate_limiter, rate_limiter_port)) =
            tokio::try_join!(Collector::start(), start_rate_limiter(root))?;
        let otlp = format!(
            "telemetry.otlp.endpoint=http://127.0.0.1:{}",
            collector.port
        );
        let (service, shaky) = tokio::try_join!(
            start_service(binaries, folder.path(), &upstream, FIRM, &otlp),
            start_service(binaries, folder.path(), &upstream, SHAKY, &otlp),
        )?;

        let variables = vec![
            ("LISTEN_PORT", "0".to_owned()),
            ("SERVICE_PORT", port(&service.address)?.to_owned()),
            ("SHAKY_SERVICE_PORT", port(&shaky.address)?.to_owned()),
            ("PLAIN_SERVICE_PORT", upstream.addr.port().to_string()),
            ("RATE_LIMIT_SERVICE_PORT", rate_limiter_port.to_string()),
            ("COLLECTOR_PORT", collector.port.to_string()),
            ("IDENTITIES", folder.path().display().to_string()),
            ("JWKS", jwks.display().to_string()),
        ];
        let templates = Templates::new(root, variables);
        let server = start_sidecar(server_sidecar(&templates)?, unprotected).await?;
        let client = start_sidecar(client_sidecar(&templates, &server)?, unprotected).await?;
        Ok(Self {
            client,
            server,
            upstream,
            tokens,
            redis,
            rate_limiter,
            collector,
            service,
            _shaky: shaky,
            _folder: folder,
        })
    }

    /// How often the upstream was asked for this model of the first service.
    pub(super) fn asked(&self, model: &str) -> usize {
        let behaviour = MODELS.iter().find(|(name, _)| *name == model);
        behaviour.map_or(0, |(_, behaviour)| self.asked_for(behaviour))
    }

    /// How often the upstream was asked by the second service for its `pair`.
    pub(super) fn asked_shaky(&self) -> usize {
        self.asked_for(SHAKY)
    }

    fn asked_for(&self, behaviour: &str) -> usize {
        let records = self.upstream.records();
        records.iter().filter(|r| r.model == behaviour).count()
    }
}

/// A counter or gauge of an Envoy by its full name; 0 before it was first used.
pub(super) async fn stat(envoy: &Envoy, name: &str) -> anyhow::Result<u64> {
    let page = envoy.admin("/stats?format=json").await?;
    let page: Value = serde_json::from_str(&page)?;
    let stats = page["stats"].as_array().context("no stats")?;
    let stat = stats.iter().find(|stat| stat["name"] == name);
    Ok(stat.map_or(0, |stat| stat["value"].as_u64().unwrap_or(0)))
}

fn server_sidecar(templates: &Templates) -> anyhow::Result<Vec<Value>> {
    let service = templates.fill("mtls-server", &[])?;
    let next = [
        ("SIDECAR", "server-sidecar"),
        ("NEXT_PORT", "${SERVICE_PORT}"),
    ];
    Ok(vec![
        service,
        templates.fill("jwt", &[])?,
        templates.fill("rate-limit-local", &[])?,
        templates.fill("rate-limit-global", &[])?,
        templates.fill("tracing", &next)?,
    ])
}

fn client_sidecar(templates: &Templates, server: &Envoy) -> anyhow::Result<Vec<Value>> {
    let mut parts = Vec::new();
    let mtls = port(server.listener("mtls-server")?)?;
    for (listener, identity, service) in CALLERS {
        let mut part = templates.fill(
            "mtls-client",
            &[
                ("NAME", listener),
                ("CLIENT", identity),
                ("SERVER", service),
                ("SERVER_SIDECAR_PORT", mtls),
            ],
        )?;
        if *listener == ANONYMOUS {
            (part.pointer_mut(CALLER_CERTIFICATES))
                .and_then(Value::as_object_mut)
                .and_then(|tls| tls.remove("tls_certificates"))
                .context("mtls-client.yaml: no tls_certificates in its first cluster")?;
        }
        parts.push(part);
    }
    for name in [
        "retries",
        "outlier-detection",
        "circuit-breaking",
        "rate-limit-global",
    ] {
        parts.push(templates.fill(name, &[])?);
    }
    let next = port(server.listener("tracing")?)?;
    let next = [("SIDECAR", "client-sidecar"), ("NEXT_PORT", next)];
    parts.push(templates.fill("tracing", &next)?);
    Ok(parts)
}

async fn start_sidecar(parts: Vec<Value>, unprotected: bool) -> anyhow::Result<Envoy> {
    let mut whole = merged(parts)?;
    if unprotected {
        without_policies(&mut whole);
    }
    Envoy::start(&whole.to_string()).await
}

/// Redis, the rate limit service on it, and the port of the latter.
async fn start_rate_limiter(root: &Path) -> anyhow::Result<(Redis, Program, u16)> {
    let redis = Redis::start().await?;
    let port = free_port()?;
    let limits = root.join("contracts/mesh/rate-limit-global.limits.yaml");
    let limits = std::fs::read_to_string(limits)?;
    let mut command = Command::new(tools::path("bin/ratelimit", "ratelimit.sh")?);
    command.envs([
        ("RUNTIME_ROOT", "."),
        ("RUNTIME_WATCH_ROOT", "false"),
        ("GRPC_HOST", "127.0.0.1"),
        // Two more servers, which nobody asks.
        ("HOST", "127.0.0.1"),
        ("PORT", "0"),
        ("DEBUG_HOST", "127.0.0.1"),
        ("DEBUG_PORT", "0"),
        ("DISABLE_STATS", "true"),
        ("BACKEND_TYPE", "redis"),
        ("REDIS_SOCKET_TYPE", "tcp"),
    ]);
    command.env("GRPC_PORT", port.to_string());
    command.env("REDIS_URL", format!("127.0.0.1:{}", redis.port));
    let files = [("config/limits.yaml", limits)];
    let program = Program::start(command, &files, port).await?;
    Ok((redis, program, port))
}

async fn start_service(
    binaries: &Path,
    folder: &Path,
    upstream: &FaultUpstream,
    pair: &str,
    otlp: &str,
) -> anyhow::Result<Process> {
    let config = tempfile::Builder::new()
        .suffix(".yaml")
        .tempfile_in(folder)?;
    std::fs::write(config.path(), configuration(&upstream.base_url(), pair))?;
    let (binary, otlp) = (binaries.join("signalbox"), otlp.to_owned());
    // It reads the service's banner, and blocks on it.
    tokio::task::spawn_blocking(move || Process::start(&binary, config.path(), &[&otlp])).await?
}

fn configuration(base_url: &str, pair: &str) -> String {
    let mut text = format!(
        "state_dir: null\n\
         models: {{pull: false}}\n\
         telemetry: {{log_filter: error}}\n\
         router:\n  providers:\n    \
         upstream: {{kind: openai_compatible, base_url: \"{base_url}\"}}\n  models:\n"
    );
    for (name, behaviour) in MODELS {
        let behaviour = if *name == "pair" { pair } else { behaviour };
        text.push_str(&format!(
            "    - {{name: {name}, provider: upstream, upstream_name: \"{behaviour}\", price: \
             {{input_usd_per_million_tokens: \"0.15\", output_usd_per_million_tokens: \"0.60\"}}}}\n"
        ));
    }
    text.push_str("  routes:\n    auto: {strategy: cost, models: [steady]}\n");
    text
}

/// The port of `host:port`.
fn port(address: &str) -> anyhow::Result<&str> {
    let (_, port) = address.rsplit_once(':').context("host:port")?;
    Ok(port)
}
