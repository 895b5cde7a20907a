//! The command line.

mod assemble;
mod describe;
mod verify;

use clap::{Parser, Subcommand};

use crate::OciError;

/// Makes and checks container images: same inputs, same bytes
#[derive(Debug, Parser)]
#[command(name = "signalbox-oci", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Join layers into an OCI image layout
    Image(assemble::ImageArgs),
    /// Write a layer from files and symlinks
    Layer(assemble::LayerArgs),
    /// Assemble a distroless-like base layer from a Debian root
    Base(assemble::BaseArgs),
    /// Refuse an image or layers that hold too much or too little
    Check(verify::CheckArgs),
    /// List what an image is made of, from the crates that were linked and its base
    Inventory(describe::InventoryArgs),
    /// Write an inventory as CycloneDX 1.6 and SPDX 2.3
    Sbom(describe::SbomArgs),
}

impl Cli {
    /// Does what is asked for.
    ///
    /// # Errors
    ///
    /// Whatever kept it from that.
    pub fn run(self) -> Result<(), OciError> {
        match self.command {
            Command::Image(args) => args.run(),
            Command::Layer(args) => args.run(),
            Command::Base(args) => args.run(),
            Command::Check(args) => args.run(),
            Command::Inventory(args) => args.run(),
            Command::Sbom(args) => args.run(),
        }
    }
}

/// A flag's value of the form `NAME=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        assert_eq!(pair("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(pair("A="), Ok(("A".to_owned(), String::new())));
        assert!(pair("=b").is_err() && pair("A").is_err());
    }
}
