//! The image tool as a program: see [`signalbox_oci`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use signalbox_oci::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("signalbox-oci: {error}");
            ExitCode::FAILURE
        }
    }
}
