//! The `OpenAPI` document: the one that the real binary serves, or the one that a
//! descriptor set would give, so that an edited contract can be judged without building it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use signalbox_transcode::{Info, Transcoder, openai_quirks};
use tokio::process::Command;

use crate::{platform::Platform, tools};

#[derive(Debug, Args)]
pub(crate) struct OpenApi {
    /// Made from this encoded `FileDescriptorSet`; nothing is started
    #[arg(long)]
    descriptors: Option<PathBuf>,
}

impl OpenApi {
    pub(crate) async fn run(self, binaries: &Path) -> anyhow::Result<()> {
        let document = match self.descriptors {
            Some(path) => made_from(&path)?,
            None => served(&Platform::start(binaries, &[]).await?.plaintext).await?,
        };
        println!("{document:#}");
        Ok(())
    }
}

/// What the server at `host:port` serves.
async fn served(address: &str) -> anyhow::Result<Value> {
    let url = format!("http://{address}/openapi.json");
    let text = tools::output_of(Command::new("curl").args(["-sSf", &url])).await?;
    Ok(serde_json::from_str(&text)?)
}

fn made_from(path: &Path) -> anyhow::Result<Value> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let transcoder = Transcoder::builder(&bytes)
        .quirks(openai_quirks())
        .build()?;
    Ok(transcoder.openapi(&Info {
        title: "Signalbox".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: format!("Made from {}.", path.display()),
    }))
}
