//! Where `make setup` put the tools, and how one is run.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// The folder of `tools/setup`.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let folder = match (
        std::env::var_os("SIGNALBOX_TOOLS_DIR"),
        std::env::var_os("XDG_CACHE_HOME"),
    ) {
        (Some(tools), _) => PathBuf::from(tools),
        (None, Some(cache)) => PathBuf::from(cache).join("signalbox/tools"),
        (None, None) => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?)
            .join(".cache/signalbox/tools"),
    };
    ensure!(
        folder.is_dir(),
        "{} is missing; run `make setup`",
        folder.display()
    );
    Ok(std::path::absolute(folder)?)
}

/// A tool by its path below the folder, such as `bin/grpcurl`.
pub(crate) fn tool(path: &str) -> anyhow::Result<Command> {
    let tool = folder()?.join(path);
    ensure!(
        tool.exists(),
        "{} is missing; run `make setup`",
        tool.display()
    );
    let mut command = Command::new(tool);
    command.kill_on_drop(true);
    Ok(command)
}

/// What a command that must succeed prints.
pub(crate) async fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().await?;
    ensure!(
        output.status.success(),
        "{:?} ended with {}\n{}{}",
        command.as_std(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
