//! The command line of the sync check.

use std::{env, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use signalbox_sync::{Error, Tools, check, find_root, mend};

/// How to mend, as the last line of a red check.
const MEND: &str = "mend with: make sync (cargo run -p signalbox-sync -- mend)";

/// Holds the BUILD.bazel files to Cargo.toml.
#[derive(Parser)]
#[command(
    name = "signalbox-sync",
    after_help = "Example, after adding a file, a test or a dependency:
  cargo run -p signalbox-sync -- mend

Kept by hand, and never touched: data, compile_data, env, visibility, tags, size, comments,
labels of targets that are not Cargo's, and rules with the tag \"bazel-only\".

Exit code: 0 in step, 1 out of step, 2 could not tell."
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The workspace's root [default: the nearest one above the current folder]
    #[arg(long, global = true, value_name = "FOLDER")]
    root: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Lists where the two disagree (the default)
    Check,
    /// Edits the BUILD files until they agree, and lists what only a hand can mend
    Mend,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("signalbox-sync: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let root = match &arguments.root {
        Some(root) => find_root(root)?,
        None => find_root(&env::current_dir().unwrap_or_else(|_| PathBuf::from(".")))?,
    };
    let tools = Tools::find()?;
    let mends = matches!(arguments.command, Some(Command::Mend));
    let findings = if mends {
        mend(&root, &tools)?
    } else {
        check(&root, &tools)?
    };
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if !mends && findings.iter().any(|finding| finding.by_hand.is_none()) {
        println!("{MEND}");
    }
    Ok(ExitCode::FAILURE)
}
