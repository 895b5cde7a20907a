//! What can be set about a server.

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tls::TlsConfig;

/// Where a server listens, whom it lets in, and how much it takes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// The one address for gRPC, gRPC-Web, REST, health, reflection and metrics.
    pub listen: SocketAddr,
    /// TLS; plain text when absent.
    pub tls: Option<TlsConfig>,
    /// Who may call.
    pub auth: AuthConfig,
    /// How much is taken on at once.
    pub limits: LimitsConfig,
    /// Web origins, such as `https://app.example`, that browsers may call from;
    /// `*` for all.
    pub cors_allowed_origins: Vec<String>,
    /// After a termination signal, how long readiness is off before connections
    /// are refused, in milliseconds: time for load balancers to notice.
    pub drain_delay_ms: u64,
    /// How long requests in flight may go on after that, in milliseconds.
    pub drain_timeout_ms: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7000)),
            tls: None,
            auth: AuthConfig::default(),
            limits: LimitsConfig::default(),
            cors_allowed_origins: Vec::new(),
            drain_delay_ms: 0,
            drain_timeout_ms: 30_000,
        }
    }
}

/// Who may call. A key comes in `authorization: Bearer KEY` or `x-api-key: KEY`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// Whether a call without a known key is refused. Health is always open.
    pub required: bool,
    /// The keys.
    pub keys: Vec<ApiKey>,
}

/// One caller's key, held as a hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// The caller's name, which usage is booked to.
    pub name: String,
    /// The key's SHA-256 in hexadecimal, as `printf %s KEY | sha256sum` prints it.
    /// Keys are long random strings, so a plain hash cannot be reversed.
    pub sha256: String,
}

/// How much is taken on at once; what is over is refused with RESOURCE_EXHAUSTED
/// and a time to come back, never queued without bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Largest request message, in bytes.
    pub max_request_bytes: usize,
    /// Largest response message that REST transcodes, in bytes.
    pub max_response_bytes: usize,
    /// Requests in flight.
    pub max_concurrent_requests: usize,
    /// Open connections.
    pub max_connections: usize,
    /// Calls in flight on one HTTP/2 connection, at least 1; a client keeps what is
    /// over to itself until one ends. A proxy in front may carry all callers on a few
    /// connections.
    pub max_streams_per_connection: u32,
    /// Longest time for one request, in milliseconds; a caller's shorter deadline
    /// wins.
    pub max_timeout_ms: u64,
    /// Rate limit of each caller; unlimited when absent. Callers without a key are
    /// told apart by the network address of their connection, which behind a proxy
    /// is the proxy's: give callers keys there.
    pub per_caller: Option<RateLimit>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_request_bytes: 16 << 20,
            max_response_bytes: 64 << 20,
            max_concurrent_requests: 512,
            max_connections: 4_096,
            max_streams_per_connection: 1_024,
            max_timeout_ms: 600_000,
            per_caller: None,
        }
    }
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests a second in the long run, above 0.
    pub requests_per_second: f64,
    /// Requests at once after a pause, at least 1.
    pub burst: u32,
}
