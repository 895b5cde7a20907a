//! Holds the contract: starts the real binaries and runs what consumes them, from
//! generated clients to gateways.

#![forbid(unsafe_code)]

mod consumers;
mod hard;
mod platform;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

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
    /// Runs the generated clients in five languages, plaintext and TLS
    Consumers(consumers::Consumers),
    /// Runs the hard cases of the protocol: limits, floods, 10,000 streams, drains
    Hard(hard::Hard),
    /// Starts the platform of the checks and says where it is, until Ctrl-C
    Serve,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let binaries = std::path::absolute(&arguments.binaries)?;
    let root = std::path::absolute(&arguments.root)?;
    match arguments.command {
        Command::Consumers(consumers) => consumers.run(&binaries, &root).await,
        Command::Hard(hard) => hard.run(&binaries).await,
        Command::Serve => {
            let platform = platform::Platform::start(&binaries, &[]).await?;
            println!("export SIGNALBOX_PLAINTEXT={}", platform.plaintext);
            println!("export SIGNALBOX_TLS={}", platform.tls);
            println!("export SIGNALBOX_CA={}", platform.authority.display());
            println!("export SIGNALBOX_UPSTREAM={}", platform.upstream);
            Ok(tokio::signal::ctrl_c().await?)
        }
    }
}
