//! README's examples, executed as they stand: an example that has rotted is worse than none.
//!
//! Every fenced block of README.md is run, or an HTML comment above it says why not:
//! `<!-- not run: WHY -->`. In the other documents those with `<!-- run -->` above them are.
//! The only change is the address, 127.0.0.1:7000, because the platform of the check
//! listens on a free port.

mod block;
mod same;

use std::{ffi::OsString, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;

use crate::{platform::Process, tools};
use block::{Block, Language};

/// Where the documents say that Signalbox listens.
const ADDRESS: &str = "127.0.0.1:7000";

/// More than any example takes on a busy machine, less than for ever.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the examples are run with: a platform by its defaults, and the tools in reach.
struct Stage {
    _process: Process,
    address: String,
    path: OsString,
    folder: tempfile::TempDir,
}

pub(crate) async fn run(binaries: &Path, root: &Path) -> anyhow::Result<()> {
    let blocks = collect(root)?;
    let stage = Stage::set(binaries)?;
    let (mut ran, mut left) = (0, 0);
    for block in &blocks {
        if let Some(reason) = &block.not_run {
            println!("left {}: {reason}", block.place);
            left += 1;
            continue;
        }
        let lines = tokio::time::timeout(PATIENCE, stage.play(block))
            .await
            .with_context(|| format!("{}: no end within {PATIENCE:?}", block.place))?
            .with_context(|| block.place.clone())?;
        for line in lines {
            println!("ok   {}: {line}", block.place);
            ran += 1;
        }
    }
    ensure!(ran > 0, "no example was run");
    println!("{ran} examples executed, {left} blocks left out for the reason that each names");
    Ok(())
}

/// The blocks of README.md, and those of the other documents that ask to be run.
fn collect(root: &Path) -> anyhow::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut add = |name: &str, strict: bool| -> anyhow::Result<()> {
        let text = std::fs::read_to_string(root.join(name)).with_context(|| name.to_owned())?;
        blocks.extend(block::blocks(name, &text, strict)?);
        Ok(())
    };
    add("README.md", true)?;
    let mut others = Vec::new();
    for (folder, below) in [("docs", ""), ("contracts/consumers", "README.md")] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            continue;
        };
        for entry in entries {
            let name = Path::new(folder).join(entry?.file_name()).join(below);
            if name.extension().is_some_and(|e| e == "md") && root.join(&name).is_file() {
                others.push(name.to_string_lossy().into_owned());
            }
        }
    }
    others.sort();
    for name in others {
        add(name.trim_end_matches('/'), false)?;
    }
    Ok(blocks)
}

impl Stage {
    /// Starts `signalbox up` with its defaults; only what would leave this machine or
    /// outlive the check is off.
    fn set(binaries: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("defaults.yaml");
        std::fs::write(
            &config,
            "state_dir: null\nmodels: {pull: false}\ntelemetry: {log_filter: error}\n",
        )?;
        let process = Process::start(&binaries.join("signalbox"), &config, &[])?;
        std::fs::remove_file(&config)?;
        // A status of 400 or more ends curl with 22: a path that is gone must not pass.
        let curlrc = "fail-with-body\nsilent\nshow-error\n";
        std::fs::write(folder.path().join(".curlrc"), curlrc)?;
        let tools = tools::folder()?;
        let mut folders = vec![
            binaries.to_owned(),
            tools.join("bin"),
            tools.join("python/bin"),
        ];
        folders.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        Ok(Self {
            address: process.address.clone(),
            _process: process,
            path: std::env::join_paths(folders)?,
            folder,
        })
    }

    /// Runs one block; gives a line for each example in it.
    async fn play(&self, block: &Block) -> anyhow::Result<Vec<String>> {
        let text = block.text.replace(ADDRESS, &self.address);
        Ok(match block.language {
            Language::Shell => {
                let mut lines = Vec::new();
                for command in block::commands(&text) {
                    self.must("bash", &["-euo", "pipefail", "-c", &command])
                        .await?;
                    lines.push(self.as_written(&command));
                }
                lines
            }
            Language::Python => {
                let printed = self.must("python", &["-c", &text]).await?;
                vec![format!("python printed {} characters", printed.len())]
            }
            Language::Config => {
                let file = self.folder.path().join("example.yaml");
                std::fs::write(&file, &text)?;
                let path = file.display().to_string();
                self.must("signalbox", &["config", "print", "--config", &path])
                    .await?;
                vec!["signalbox accepts the configuration".to_owned()]
            }
            Language::Console => {
                let mut lines = Vec::new();
                for (command, printed) in block::session(&text)? {
                    lines.push(self.replay(&command, &printed).await?);
                }
                lines
            }
        })
    }

    /// One command of a console session, and whether it prints what the document shows.
    async fn replay(&self, command: &str, printed: &str) -> anyhow::Result<String> {
        // On a terminal, as the reader is: some commands write for people only there.
        let words = ["-qefc", command, "/dev/null"];
        let (success, said) = self.execute("script", &words).await?;
        let fails = printed.starts_with("ERROR:");
        ensure!(
            success != fails,
            "`{command}` {}:\n{said}",
            if fails { "succeeds" } else { "fails" }
        );
        let said = said.replace(&self.address, ADDRESS).replace('\r', "");
        let verdict = same::compare(command, printed, &said).map_err(|difference| {
            anyhow::anyhow!("`{command}`: {difference}\nprinted here:\n{said}")
        })?;
        Ok(format!("{}{verdict}", self.as_written(command)))
    }

    async fn must(&self, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let (success, said) = self.execute(program, arguments).await?;
        ensure!(
            success,
            "`{program} {}` fails:\n{said}",
            arguments.join(" ")
        );
        if said.trim().is_empty() {
            bail!("`{program} {}` prints nothing", arguments.join(" "));
        }
        Ok(said)
    }

    /// Whether it succeeds, and what it says on either stream.
    async fn execute(&self, program: &str, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
        let output = Command::new("/usr/bin/env")
            .arg(program)
            .args(arguments)
            .env("PATH", &self.path)
            .env("SIGNALBOX_URL", format!("http://{}", self.address))
            .env("CURL_HOME", self.folder.path())
            .env("SHELL", "/bin/bash")
            .env("TERM", "dumb")
            .env_remove("SIGNALBOX_CONFIG")
            .env_remove("SIGNALBOX_API_KEY")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        let mut said = String::from_utf8(output.stdout)?;
        said.push_str(&String::from_utf8(output.stderr)?);
        Ok((output.status.success(), said))
    }

    fn as_written(&self, command: &str) -> String {
        let command = command.replace(&self.address, ADDRESS).replace('\\', "");
        command.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
