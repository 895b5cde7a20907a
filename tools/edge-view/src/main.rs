//! Writes the edge view, Kong's routes and their tables in the guide, or checks that
//! those in the tree still follow from the contract.

#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use signalbox_edge_view::{contract::Contract, files};

#[derive(Parser)]
#[command(about = "The contract as Kong can read it: the edge view and the gateway's routes")]
struct Arguments {
    /// The tree's root.
    #[arg(long, default_value = ".", global = true)]
    root: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes what differs.
    Write,
    /// Fails where a file differs from what the contract says.
    Check,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let contract = Contract::built_in()?;
    match arguments.command {
        Command::Write => {
            for path in files::write(&contract, &arguments.root)? {
                println!("wrote {path}");
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Check => {
            let drifted = files::drifted(&contract, &arguments.root)?;
            for path in &drifted {
                println!("{path} differs from the contract: signalbox-edge-view write");
            }
            Ok(if drifted.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}
