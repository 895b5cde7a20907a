//! The Guardrails service as a process of its own.

#![forbid(unsafe_code)]

use std::{error::Error, net::Ipv4Addr, process::ExitCode, sync::Arc};

use clap::Parser;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_chassis::{
    cli::{self, ConfigArgs},
    run::{Process, ready_line},
    server::{Server, ServerConfig},
    telemetry::TelemetryConfig,
};
use signalbox_guardrails::{Engine, GuardrailsConfig};
use signalbox_proto::FILE_DESCRIPTOR_SET;

const NAME: &str = "signalbox-guardrails";

/// Serves signalbox.guardrails.v1.GuardrailsService.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  signalbox-guardrails --set server.listen=0.0.0.0:7003"
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
    /// Guardrails.
    guardrails: GuardrailsConfig,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: ServerConfig {
                listen: (Ipv4Addr::LOCALHOST, 7003).into(),
                ..ServerConfig::default()
            },
            telemetry: TelemetryConfig::default(),
            guardrails: GuardrailsConfig::default(),
        }
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
        guardrails,
    } = args.config.load()?;
    let limit = server.limits.max_request_bytes;
    let process = Process {
        name: NAME,
        descriptors: FILE_DESCRIPTOR_SET,
        server,
        telemetry,
    };
    let services = async move |server: Server| {
        let engine = Arc::new(Engine::new(&guardrails)?);
        Ok(server.service(signalbox_guardrails::service(engine).max_decoding_message_size(limit)))
    };
    process.run(services, |bound| ready_line(NAME, bound)).await
}
