//! The committed pacts are what the consumers' tests write: compared as JSON, so that
//! none of them can be stale.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

/// Compares the two folders; with `write`, makes the committed one equal.
pub(crate) fn run(fresh: &Path, committed: &Path, write: bool) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    let names: BTreeSet<OsString> = names(fresh)?.union(&names(committed)?).cloned().collect();
    for name in names {
        let (from, to) = (fresh.join(&name), committed.join(&name));
        let new = read(&from)?;
        if new == read(&to)? {
            continue;
        }
        match (&new, write) {
            (Some(pact), true) => std::fs::write(&to, format!("{pact:#}\n"))?,
            (None, true) => std::fs::remove_file(&to)?,
            (_, false) => stale.push(name.display().to_string()),
        }
    }
    ensure!(
        stale.is_empty(),
        "{} differ from what the consumers' tests write; run contracts/pact/run.sh --write",
        stale.join(", ")
    );
    Ok(())
}

fn names(folder: &Path) -> anyhow::Result<BTreeSet<OsString>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "json") {
            names.extend(path.file_name().map(ToOwned::to_owned));
        }
    }
    Ok(names)
}

/// The pact in its canonical form; none where there is no such file.
fn read(path: &PathBuf) -> anyhow::Result<Option<Value>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path)?;
    let pact = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(Some(canonical(pact)))
}

/// Members sorted, interactions by their description, and nothing of the tool that wrote
/// it: its next version must not make a pact stale.
fn canonical(mut pact: Value) -> Value {
    let specification = pact["metadata"]["pactSpecification"].take();
    pact["metadata"] = json!({"pactSpecification": specification});
    if let Some(interactions) = pact["interactions"].as_array_mut() {
        interactions.sort_by_key(|interaction| interaction["description"].to_string());
    }
    pact.sort_all_objects();
    pact
}
