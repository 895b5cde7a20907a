//! The Signalbox command line, and all three services in one process.

#![forbid(unsafe_code)]

mod banner;
mod client;
mod command;
mod guard;
mod platform;
mod settings;

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};
use signalbox_chassis::cli::{self, ConfigArgs};
use signalbox_models::cli::ModelsArgs;

use crate::settings::Settings;

/// The end of a command: nothing, or an error to show.
type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// A gRPC-first AI platform: routes prompts to models, embeds texts, and keeps
/// personal data in.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  signalbox up                      # all three services on 127.0.0.1:7000\n  signalbox ask 'Why is the sky blue?'"
)]
struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve Router, Embeddings and Guardrails on one port.
    Up(command::up::Args),
    /// Ask a model and print its answer as it comes.
    Ask(command::ask::Args),
    /// Turn texts into vectors.
    Embed(command::embed::Args),
    /// Find and redact personal data in a text.
    Check(command::check::Args),
    /// Check this machine, the configuration, the models and a running server.
    Doctor(command::doctor::Args),
    /// Show the effective configuration or its JSON Schema.
    #[command(subcommand)]
    Config(command::config::Command),
    /// List and pull model files.
    Models(ModelsArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { config, command } = Args::parse();
    cli::exit(match command {
        Command::Up(args) => command::up::run(&config, args).await,
        Command::Ask(args) => command::ask::run(args).await,
        Command::Embed(args) => command::embed::run(args).await,
        Command::Check(args) => command::check::run(args).await,
        Command::Doctor(args) => command::doctor::run(&config, args).await,
        Command::Config(command) => command::config::run(&config, &command),
        Command::Models(args) => models(&config, args).await,
    })
}

async fn models(config: &ConfigArgs, args: ModelsArgs) -> Outcome {
    let store = config.load::<Settings>()?.store()?;
    Ok(signalbox_models::cli::run(args, &store).await?)
}
