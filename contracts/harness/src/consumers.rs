//! The generated clients: each language's `run.sh` against the real binaries, and what
//! each of them counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::platform::Platform;

/// One folder of `contracts/consumers` each.
const LANGUAGES: &[&str] = &["rust", "python", "typescript", "go", "java"];

/// What every language must have shown, at least once each on plaintext and on TLS.
const GROUPS: &[&str] = &[
    "unary",
    "server_stream",
    "bidirectional",
    "unimplemented",
    "error_details",
    "cancellation",
    "deadline",
    "metadata",
    "retry",
];

#[derive(Debug, Args)]
pub(crate) struct Consumers {
    /// Only these languages
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(LANGUAGES))]
    only: Vec<String>,
    /// Generate the clients from the .proto files below this folder instead
    #[arg(long)]
    proto: Option<std::path::PathBuf>,
}

/// A consumer's last line.
#[derive(Debug, Deserialize)]
struct Summary {
    passed: BTreeMap<String, u32>,
    failed: u32,
    /// Rows that the contract which the client was generated from does not know.
    #[serde(default)]
    skipped: u32,
}

impl Consumers {
    pub(crate) async fn run(self, binaries: &Path, root: &Path) -> anyhow::Result<()> {
        let wanted =
            |language: &str| self.only.is_empty() || self.only.iter().any(|o| o == language);
        let languages: Vec<_> = LANGUAGES.iter().copied().filter(|l| wanted(l)).collect();
        let mut rows = Vec::new();
        for language in languages {
            // Anew for each: a language must not live off what another left behind.
            let platform = Platform::start(binaries, &[]).await?;
            let summary = consume(language, root, self.proto.as_deref(), &platform)
                .await
                .with_context(|| format!("the {language} consumer"))?;
            rows.push((language, summary));
        }
        println!("\n{}", table(&rows));
        for (language, summary) in &rows {
            ensure!(
                summary.failed == 0,
                "{language}: {} cases failed",
                summary.failed
            );
            ensure!(
                summary.skipped == 0 || self.proto.is_some(),
                "{language} skipped rows of this very contract"
            );
            for group in GROUPS {
                // Plaintext and TLS.
                ensure!(
                    summary.passed.get(*group).is_some_and(|count| *count >= 2),
                    "{language} shows no `{group}` on both plaintext and TLS"
                );
            }
        }
        Ok(())
    }
}

/// Runs one language's cases; its lines are shown as they come.
async fn consume(
    language: &str,
    root: &Path,
    proto: Option<&Path>,
    platform: &Platform,
) -> anyhow::Result<Summary> {
    println!("\n== {language}");
    let mut command = Command::new(
        root.join("contracts/consumers")
            .join(language)
            .join("run.sh"),
    );
    command
        .env("SIGNALBOX_PLAINTEXT", &platform.plaintext)
        .env("SIGNALBOX_TLS", &platform.tls)
        .env("SIGNALBOX_CA", &platform.authority)
        .env("SIGNALBOX_UPSTREAM", &platform.upstream)
        .env("SIGNALBOX_RPCS", root.join("contracts/rpcs.json"))
        .env(
            "SIGNALBOX_PROTO",
            proto.map_or_else(|| root.join("proto"), Path::to_owned),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().context("run.sh does not start")?;
    let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
    let mut summary = None;
    while let Some(line) = lines.next_line().await? {
        match line.strip_prefix("SUMMARY ") {
            Some(json) => summary = Some(serde_json::from_str(json).context("its summary")?),
            None => println!("{line}"),
        }
    }
    let status = child.wait().await?;
    let summary: Summary =
        summary.with_context(|| format!("no summary; it ended with {status}"))?;
    ensure!(
        status.success() == (summary.failed == 0),
        "it ended with {status} after {} failures",
        summary.failed
    );
    Ok(summary)
}

/// Groups down, languages across; what only some languages count comes last.
fn table(rows: &[(&str, Summary)]) -> String {
    let more: BTreeSet<&str> = (rows.iter())
        .flat_map(|(_, summary)| summary.passed.keys().map(String::as_str))
        .filter(|group| !GROUPS.contains(group))
        .collect();
    let mut text = format!("{:<15}", "cases passed");
    for (language, _) in rows {
        text.push_str(&format!("{language:>12}"));
    }
    for group in GROUPS.iter().copied().chain(more) {
        text.push_str(&format!("\n{group:<15}"));
        for (_, summary) in rows {
            text.push_str(&format!("{:>12}", summary.passed.get(group).unwrap_or(&0)));
        }
    }
    for (name, count) in [
        ("skipped", (|s| s.skipped) as fn(&Summary) -> u32),
        ("failed", |s| s.failed),
    ] {
        text.push_str(&format!("\n{name:<15}"));
        for (_, summary) in rows {
            text.push_str(&format!("{:>12}", count(summary)));
        }
    }
    text
}
