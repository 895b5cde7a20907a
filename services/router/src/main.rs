//! The Router service as a process of its own.

#![forbid(unsafe_code)]

use std::{env, error::Error, net::Ipv4Addr, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_chassis::{
    cli::{self, ConfigArgs},
    run::{Process, ready_line},
    server::{Server, ServerConfig},
    telemetry::TelemetryConfig,
};
use signalbox_models::Store;
use signalbox_proto::FILE_DESCRIPTOR_SET;
use signalbox_router::{config::RouterConfig, guard::remote::RemoteGuard};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

const NAME: &str = "signalbox-router";

/// Serves signalbox.router.v1.RouterService.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  signalbox-router --set guardrails.url=http://guardrails:7003"
)]
struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// The listener, its callers and its limits.
    server: ServerConfig,
    /// Logs, traces and metrics.
    telemetry: TelemetryConfig,
    /// The Router.
    router: RouterConfig,
    /// The Guardrails service that checks prompts and answers.
    guardrails: RemoteGuardrails,
}

/// Where Guardrails are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RemoteGuardrails {
    /// The service's URL; `https` is checked against the system's authorities.
    url: String,
    /// The policy profile to decide by; the service's default when empty.
    policy: String,
}

impl Default for RemoteGuardrails {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:7003".to_owned(),
            policy: String::new(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: ServerConfig {
                listen: (Ipv4Addr::LOCALHOST, 7001).into(),
                ..ServerConfig::default()
            },
            telemetry: TelemetryConfig::default(),
            router: RouterConfig::default(),
            guardrails: RemoteGuardrails::default(),
        }
    }
}

impl RemoteGuardrails {
    fn endpoint(&self) -> Result<Endpoint, Box<dyn Error + Send + Sync>> {
        let endpoint = Channel::from_shared(self.url.clone())
            .map_err(|error| format!("guardrails.url: `{}` is no URL: {error}", self.url))?;
        if !self.url.starts_with("https://") {
            return Ok(endpoint);
        }
        signalbox_chassis::tls::install_crypto();
        Ok(endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::exit(run(Args::parse()).await)
}

async fn run(args: Args) -> Result<(), Box<dyn Error + Send + Sync>> {
    let Settings {
        server,
        telemetry,
        router: config,
        guardrails,
    } = args.config.load()?;
    let limit = server.limits.max_request_bytes;
    let process = Process {
        name: NAME,
        descriptors: FILE_DESCRIPTOR_SET,
        server,
        telemetry,
    };
    let mut built = None;
    let services = async |server: Server| {
        let timeout = Duration::from_millis(config.guardrails.timeout_ms);
        let guard = RemoteGuard::new(&guardrails.endpoint()?, timeout, guardrails.policy.clone());
        let models = Store::default_location()?;
        let environment = |name: &str| env::var(name).ok();
        let router =
            signalbox_router::build(&config, Arc::new(guard), models.root(), environment).await?;
        let router = Arc::clone(built.insert(Arc::new(router)));
        Ok(server.service(signalbox_router::service(router).max_decoding_message_size(limit)))
    };
    process
        .run(services, |bound| ready_line(NAME, bound))
        .await?;
    if let Some(router) = built {
        router.close().await;
    }
    Ok(())
}
