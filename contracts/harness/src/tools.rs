//! Where the programs are that `tools/setup` installs.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};

/// A program in the tools' folder, such as `bin/otelcol`, and the script that puts it
/// there.
pub(crate) fn path(program: &str, script: &str) -> anyhow::Result<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let tools = variable("SIGNALBOX_TOOLS_DIR")
        .or_else(|| Some(cache?.join("signalbox/tools")))
        .context("neither SIGNALBOX_TOOLS_DIR nor HOME is set")?;
    let path = tools.join(program);
    ensure!(
        path.exists(),
        "{} is missing; run tools/setup/{script}",
        path.display()
    );
    Ok(path)
}
