//! `inventory` and `sbom`: what says what an image is made of.

use std::path::PathBuf;

use clap::Args;

use super::pair;
use crate::{
    ImagePath, OciError, files,
    inventory::{self, Inputs, Inventory},
    sbom,
};

#[derive(Debug, Args)]
pub(super) struct InventoryArgs {
    /// The image's name
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The link graph: {"root": NAME, "crates": [{"name", "version", "manifest", "depends_on":
    /// ["NAME@VERSION"]}], "components": [...]}
    #[arg(long, value_name = "FILE")]
    crates: PathBuf,
    /// The workspace's Cargo.lock
    #[arg(long, value_name = "FILE")]
    lock: PathBuf,
    /// The workspace's Cargo.toml, from which its crates inherit
    #[arg(long, value_name = "FILE")]
    workspace_manifest: Option<PathBuf>,
    /// What the base layer holds: `base --description-out`
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// A program of the image, whose digest is stated; may be repeated
    #[arg(long, value_name = "PATH=FILE", value_parser = pair)]
    program: Vec<(String, String)>,
    /// The inventory to write, as JSON
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl InventoryArgs {
    pub(super) fn run(self) -> Result<(), OciError> {
        let programs = self.program.into_iter().map(|(path, file)| {
            let path = ImagePath::parse(&path)?;
            Ok((path, PathBuf::from(file)))
        });
        let inventory = inventory::collect(&Inputs {
            name: self.name,
            crates: &self.crates,
            lock: &self.lock,
            workspace_manifest: self.workspace_manifest.as_deref(),
            base: self.base.as_deref(),
            programs: programs.collect::<Result<_, OciError>>()?,
        })?;
        files::write_json(&self.out, &inventory)
    }
}

#[derive(Debug, Args)]
pub(super) struct SbomArgs {
    /// What `inventory` wrote
    #[arg(long, value_name = "FILE")]
    inventory: PathBuf,
    /// The CycloneDX 1.6 document to write
    #[arg(long, value_name = "FILE", required_unless_present = "spdx")]
    cyclonedx: Option<PathBuf>,
    /// The SPDX 2.3 document to write
    #[arg(long, value_name = "FILE")]
    spdx: Option<PathBuf>,
    /// The time that the SPDX document says it was made at, in seconds since 1970
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    source_date_epoch: i64,
}

impl SbomArgs {
    pub(super) fn run(self) -> Result<(), OciError> {
        let inventory: Inventory = files::read_json(&self.inventory)?;
        if let Some(path) = &self.cyclonedx {
            files::write_json(path, &sbom::cyclonedx(&inventory))?;
        }
        if let Some(path) = &self.spdx {
            files::write_json(path, &sbom::spdx(&inventory, self.source_date_epoch)?)?;
        }
        Ok(())
    }
}
