//! The provider: the real binaries, started by `signalbox-contracts serve`, whose callers
//! need a key.

use std::{path::Path, process::Stdio};

use anyhow::{Context as _, bail};
use signalbox_pact::KEY_SHA256;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// A running provider; ended by [`Platform::end`].
pub(crate) struct Platform {
    /// `127.0.0.1:PORT`, REST and gRPC.
    pub(crate) address: String,
    child: Child,
}

impl Platform {
    pub(crate) async fn start(binaries: &Path) -> anyhow::Result<Self> {
        let program = binaries.join("signalbox-contracts");
        let keys = format!("server.auth.keys=[{{name: pact-consumer, sha256: \"{KEY_SHA256}\"}}]");
        let mut child = Command::new(&program)
            .arg("--binaries")
            .arg(binaries)
            .args([
                "serve",
                "--set",
                "server.auth.required=true",
                "--set",
                &keys,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let mut address = None;
        while let Some(line) = lines.next_line().await? {
            if let Some(value) = line.strip_prefix("export SIGNALBOX_PLAINTEXT=") {
                address = Some(value.to_owned());
            }
            // The last line: all of it is up.
            if line.starts_with("export SIGNALBOX_UPSTREAM=") {
                break;
            }
        }
        let Some(address) = address else {
            let status = child.wait().await?;
            bail!(
                "{} ended with {status} before it was ready",
                program.display()
            );
        };
        Ok(Self { address, child })
    }

    /// As Ctrl-C does: the program then ends the processes that it started.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("it has ended already")?.to_string();
        Command::new("kill").args(["-INT", &pid]).status().await?;
        self.child.wait().await?;
        Ok(())
    }
}
