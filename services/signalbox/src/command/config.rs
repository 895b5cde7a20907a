//! `signalbox config`: what is set, and what can be.

use std::io::Write as _;

use signalbox_chassis::{cli::ConfigArgs, config};

use crate::{Outcome, settings::Settings};

/// What to show.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// The effective configuration as YAML, secrets redacted.
    #[command(after_help = "Example:\n  signalbox config print --set server.listen=127.0.0.1:8000")]
    Print,
    /// The configuration's JSON Schema, for editors and validators.
    #[command(after_help = "Example:\n  signalbox config schema > signalbox.schema.json")]
    Schema,
}

pub(crate) fn run(args: &ConfigArgs, command: &Command) -> Outcome {
    let text = match command {
        Command::Print => config::print(&args.load::<Settings>()?),
        Command::Schema => format!("{:#}\n", config::schema::<Settings>()),
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
