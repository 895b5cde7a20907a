//! The Embeddings service as a process of its own.

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
use signalbox_embeddings::{EmbeddingsConfig, Jobs};
use signalbox_models::Store;
use signalbox_proto::FILE_DESCRIPTOR_SET;

const NAME: &str = "signalbox-embeddings";

/// Serves signalbox.embeddings.v1.EmbeddingsService.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  signalbox-embeddings --set server.listen=0.0.0.0:7002"
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
    /// Embeddings.
    embeddings: EmbeddingsConfig,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: ServerConfig {
                listen: (Ipv4Addr::LOCALHOST, 7002).into(),
                ..ServerConfig::default()
            },
            telemetry: TelemetryConfig::default(),
            embeddings: EmbeddingsConfig::default(),
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
        embeddings,
    } = args.config.load()?;
    let limit = server.limits.max_request_bytes;
    let process = Process {
        name: NAME,
        descriptors: FILE_DESCRIPTOR_SET,
        server,
        telemetry,
    };
    let mut started = None;
    let services = async |server: Server| {
        let models = match &embeddings.models_dir {
            Some(dir) => Store::open(dir),
            None => Store::default_location()?,
        };
        let engine =
            signalbox_embeddings::load(&embeddings, models.root(), |name| std::env::var(name).ok())
                .await?;
        let jobs = Arc::new(Jobs::start(&embeddings.jobs, Arc::new(engine.clone())).await?);
        started = Some(Arc::clone(&jobs));
        let service = signalbox_embeddings::service(engine, jobs);
        Ok(server.service(service.max_decoding_message_size(limit)))
    };
    process
        .run(services, |bound| ready_line(NAME, bound))
        .await?;
    if let Some(jobs) = started {
        jobs.close().await;
    }
    Ok(())
}
