//! Verifies the pacts of all consumers against the real binaries, and shows that a break
//! of the provider does not stay unseen.

#![forbid(unsafe_code)]

mod broker;
mod drift;
mod harness;
mod mutations;
mod platform;
mod proxy;
mod states;
mod verify;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{bail, ensure};
use clap::{Parser, Subcommand};

use crate::{platform::Platform, states::States};

/// The pacts of Signalbox's consumers
///
/// Example: signalbox-pact verify --provider signalbox-guardrails
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
    /// The folder of the committed pacts
    #[arg(long, default_value = "contracts/pacts", global = true)]
    pacts: PathBuf,
    /// Ask a provider that runs here (HOST:PORT) instead of starting one
    #[arg(long, global = true)]
    at: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verifies every pact, then breaks the provider on purpose
    Check,
    /// Verifies the pacts
    Verify {
        /// Only the pacts with these providers
        #[arg(long)]
        provider: Vec<String>,
    },
    /// Breaks the provider on purpose: each break must turn the verification red
    Mutations,
    /// Compares the pacts with what the consumers' tests have just written
    Drift {
        /// Where they wrote it
        fresh: PathBuf,
        /// Replace the committed pacts instead
        #[arg(long)]
        write: bool,
    },
    /// Works with the pact broker that PACT_BROKER_URL names
    Broker(broker::Broker),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Two TLS stacks are linked, and rustls asks which is meant.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Arguments {
        binaries,
        pacts,
        at,
        command,
    } = Arguments::parse();
    match command {
        Command::Drift { fresh, write } => drift::run(&fresh, &pacts, write),
        Command::Broker(broker) if !broker.needs_provider() => broker.publish(&pacts).await,
        command => match at {
            Some(address) => ask(command, &pacts, &address).await,
            None => {
                let platform = Platform::start(&std::path::absolute(&binaries)?).await?;
                let result = ask(command, &pacts, &platform.address).await;
                platform.end().await?;
                result
            }
        },
    }
}

/// The commands that need a running provider.
async fn ask(command: Command, pacts: &Path, address: &str) -> anyhow::Result<()> {
    match command {
        Command::Check => {
            verify_all(pacts, &[], address).await?;
            mutations::run(pacts, address).await
        }
        Command::Verify { provider } => verify_all(pacts, &provider, address).await,
        Command::Mutations => mutations::run(pacts, address).await,
        Command::Broker(broker) => broker.verify(address).await,
        Command::Drift { .. } => bail!("drift asks no provider"),
    }
}

async fn verify_all(pacts: &Path, providers: &[String], address: &str) -> anyhow::Result<()> {
    let states = Arc::new(States::new(address));
    let outcomes = verify::verify(&verify::files(pacts, providers)?, address, &states).await?;
    print!("{}", verify::failures(&outcomes));
    println!("{}", verify::table(&outcomes));
    let failed = outcomes.iter().filter(|o| o.failure.is_some()).count();
    ensure!(
        failed == 0,
        "{failed} interactions are not as their consumers expect"
    );
    Ok(())
}
