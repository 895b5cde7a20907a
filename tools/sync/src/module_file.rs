//! MODULE.bazel's `crate.from_cargo`, which must read the manifests of all members.

use std::{collections::BTreeSet, path::Path};

use crate::{
    error::Error,
    report::Finding,
    rules::{self, Value},
    tools::Tools,
};

const FILE: &str = "MODULE.bazel";
const CALL: &str = "crate.from_cargo";
const LOCK: &str = "//:Cargo.lock";

/// Compares the call that reads the root's lock file with the members' folders; the
/// commands mend it.
pub(crate) fn compare(
    tools: &Tools,
    root: &Path,
    members: &[&str],
) -> Result<(Vec<Finding>, Vec<String>), Error> {
    let wanted: BTreeSet<String> = std::iter::once("")
        .chain(members.iter().copied())
        .map(|member| format!("//{member}:Cargo.toml"))
        .collect();
    let lacks = |what: &str| {
        let cargo = format!("`{CALL}` of {LOCK}");
        let finding = Finding::of(FILE, cargo, what).attribute("manifests");
        Ok((vec![finding.by_hand("add the call")], Vec::new()))
    };
    if !root.join(FILE).is_file() {
        return lacks("nothing: the file is missing");
    }
    let print = format!("print kind name cargo_lockfile manifests|//{FILE}:all\n");
    let rows = rules::records(&tools.buildozer(root, &print)?)?;
    let text = |value: Option<&Option<Value>>| match value {
        Some(Some(Value::Text(text))) => text.clone(),
        _ => String::new(),
    };
    let call = rows
        .iter()
        .find(|row| text(row.first()) == CALL && text(row.get(2)) == LOCK);
    let Some(row) = call else {
        return lacks("no such call");
    };
    let name = text(row.get(1));
    let now: BTreeSet<String> = match row.get(3) {
        Some(Some(Value::List(items))) => items.iter().cloned().collect(),
        _ => BTreeSet::new(),
    };
    let missing: Vec<_> = wanted.difference(&now).cloned().collect();
    let surplus: Vec<_> = now.difference(&wanted).cloned().collect();
    let mut findings = Vec::new();
    let mut commands = Vec::new();
    if !missing.is_empty() || !surplus.is_empty() {
        let also = |items: &[String]| match items {
            [] => "nothing more".to_owned(),
            items => format!("also {}", items.join(", ")),
        };
        let finding = Finding::of(FILE, also(&missing), also(&surplus));
        findings.push(finding.target(&name).attribute("manifests"));
        for (verb, items) in [("remove", surplus), ("add", missing)] {
            if !items.is_empty() {
                let items = items.join(" ");
                commands.push(format!("{verb} manifests {items}|//{FILE}:{name}"));
            }
        }
    }
    Ok((findings, commands))
}
