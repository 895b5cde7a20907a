//! Where the programs are that `tools/setup` installs, and how one is run.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// The folder of `tools/setup`.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let folder = variable("SIGNALBOX_TOOLS_DIR")
        .or_else(|| Some(cache?.join("signalbox/tools")))
        .context("neither SIGNALBOX_TOOLS_DIR nor HOME is set")?;
    Ok(std::path::absolute(folder)?)
}

/// A program in that folder, such as `bin/otelcol`, and the script that puts it there.
pub(crate) fn path(program: &str, script: &str) -> anyhow::Result<PathBuf> {
    let path = folder()?.join(program);
    ensure!(
        path.exists(),
        "{} is missing; run tools/setup/{script}",
        path.display()
    );
    Ok(path)
}

/// What a command that must succeed prints.
pub(crate) async fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let output = command.kill_on_drop(true).output().await?;
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
