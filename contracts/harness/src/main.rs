//! Holds the contract: starts the real binaries and runs what consumes them, from
//! generated clients to gateways.

#![forbid(unsafe_code)]

mod conformance;
mod consumers;
mod envoy;
mod explore;
mod hard;
mod mesh;
mod openapi;
mod platform;
mod readme;
mod tools;
mod web;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// Checks of the contract against the real binaries
///
/// Example: signalbox-contracts consumers --only go
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// The folder of the built programs
    #[arg(
        long,
        env = "SIGNALBOX_BINARIES",
        default_value = "target/debug",
        global = true
    )]
    binaries: PathBuf,
    /// The root of the source tree
    #[arg(long, default_value = ".", global = true)]
    root: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compares our own REST with that of Envoy's transcoding, case by case
    Conformance(conformance::Conformance),
    /// Runs the generated clients in five languages, plaintext and TLS
    Consumers(consumers::Consumers),
    /// Proves the mesh promises with a real Envoy on each side of the service
    Mesh(mesh::Mesh),
    /// Finds every service and message by reflection alone, as grpcurl's users do
    Explore,
    /// Prints the `OpenAPI` document that is served
    Openapi(openapi::OpenApi),
    /// Executes the examples of README.md as they stand
    Readme,
    /// Runs the hard cases of the protocol: limits, floods, 10,000 streams, drains
    Hard(hard::Hard),
    /// Starts the platform of the checks and says where it is, until Ctrl-C
    Serve {
        /// A setting that both servers get, as `signalbox up --set` takes it
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let binaries = std::path::absolute(&arguments.binaries)?;
    let root = std::path::absolute(&arguments.root)?;
    match arguments.command {
        Command::Conformance(conformance) => conformance.run(&binaries, &root).await,
        Command::Consumers(consumers) => consumers.run(&binaries, &root).await,
        Command::Mesh(mesh) => mesh.run(&binaries, &root).await,
        Command::Hard(hard) => hard.run(&binaries).await,
        Command::Explore => explore::run(&binaries).await,
        Command::Openapi(openapi) => openapi.run(&binaries).await,
        Command::Readme => readme::run(&binaries, &root).await,
        Command::Serve { set } => {
            let settings: Vec<&str> = set.iter().map(String::as_str).collect();
            let platform = platform::Platform::start(&binaries, &settings).await?;
            println!("export SIGNALBOX_PLAINTEXT={}", platform.plaintext);
            println!("export SIGNALBOX_TLS={}", platform.tls);
            println!("export SIGNALBOX_CA={}", platform.authority.display());
            println!("export SIGNALBOX_UPSTREAM={}", platform.upstream);
            ended().await
        }
    }
}

/// Until Ctrl-C or SIGTERM; what was started ends with the value that holds it.
async fn ended() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        _ = terminate.recv() => Ok(()),
    }
}
