//! `check`.

use std::path::PathBuf;

use clap::Args;

use crate::{
    ImagePath, OciError, Tree,
    check::{self, Rules},
    files,
    image::NONROOT,
};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// An image layout to check
    #[arg(long, value_name = "FOLDER", required_unless_present = "layer")]
    layout: Option<PathBuf>,
    /// Layers to check as one file tree, lowest first
    #[arg(long, value_name = "TAR", conflicts_with = "layout")]
    layer: Vec<PathBuf>,
    /// Who will run it, where there is no image yet to say so
    #[arg(long, value_name = "UID:GID", default_value = NONROOT, conflicts_with = "layout")]
    user: String,
    /// A program that may be there beside the entrypoint; may be repeated
    #[arg(long, value_name = "PATH")]
    allow: Vec<ImagePath>,
    /// A file to write when all is well, for build tools
    #[arg(long, value_name = "FILE")]
    stamp: Option<PathBuf>,
}

impl CheckArgs {
    pub(super) fn run(self) -> Result<(), OciError> {
        let findings = match &self.layout {
            Some(root) => check::layout(root, &self.allow)?,
            None => {
                let mut rules = Rules::for_user(&self.user)?;
                rules.executables = self.allow;
                let mut tree = Tree::new();
                for layer in &self.layer {
                    tree.apply_file(layer)?;
                }
                check::tree(&tree, &rules)
            }
        };
        if !findings.is_empty() {
            return Err(OciError::Refused(findings));
        }
        match &self.stamp {
            Some(stamp) => files::write(stamp, b""),
            None => Ok(()),
        }
    }
}
