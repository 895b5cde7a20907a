//! The files that are written, and whether those in the tree still say the same.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::{
    contract::Contract,
    emit,
    kong::{self, Target},
    limits,
    path::Template,
    way::{WIDE, Way, is_wide, reached, way},
};

/// Kong's folder.
pub const FOLDER: &str = "k8s/gateway/kong";

const GUIDE: &str = "docs/gateway.md";
const BEGIN: &str = "<!-- written by signalbox-edge-view: ";
const END: &str = "<!-- end -->";

/// Every file with what it has to hold, by its path from the tree's root.
///
/// # Errors
/// Says what the contract holds that the edge cannot, or which file cannot be read.
pub fn expected(contract: &Contract, root: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for package in contract.packages() {
        let text = emit::package(contract, &package)?;
        limits::check(&text).with_context(|| format!("the view of {package}"))?;
        files.push((format!("{FOLDER}/edge/{}.proto", short(&package)), text));
    }
    let policy = read(root, &format!("{FOLDER}/policy.yaml"))?;
    for target in Target::ALL {
        let text = kong::configuration(contract, &policy, target)?;
        files.push((format!("{FOLDER}/{}", target.file()), text));
    }
    let guide = read(root, GUIDE)?;
    let guide = fill(&guide, "ways", &ways(contract)?)?;
    files.push((GUIDE.to_owned(), fill(&guide, "wide", &wide(contract))?));
    Ok(files)
}

/// Writes the files that differ; returns their paths.
///
/// # Errors
/// As [`expected`], or a file cannot be written.
pub fn write(contract: &Contract, root: &Path) -> Result<Vec<String>> {
    let mut written = Vec::new();
    for (path, text) in expected(contract, root)? {
        let file = root.join(&path);
        if fs::read_to_string(&file).is_ok_and(|found| found == text) {
            continue;
        }
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        fs::write(&file, text).with_context(|| path.clone())?;
        written.push(path);
    }
    Ok(written)
}

/// The files that do not say what they should; a view of a package that is gone counts.
///
/// # Errors
/// As [`expected`].
pub fn drifted(contract: &Contract, root: &Path) -> Result<Vec<String>> {
    let expected = expected(contract, root)?;
    let mut drifted: Vec<String> = expected
        .iter()
        .filter(|(path, text)| !fs::read_to_string(root.join(path)).is_ok_and(|it| it == *text))
        .map(|(path, _)| path.clone())
        .collect();
    let folder = format!("{FOLDER}/edge");
    for entry in fs::read_dir(root.join(&folder)).with_context(|| folder.clone())? {
        let path = format!("{folder}/{}", entry?.file_name().to_string_lossy());
        if !expected.iter().any(|(known, _)| *known == path) {
            drifted.push(path);
        }
    }
    Ok(drifted)
}

/// The short name of a package's view: `router` of `signalbox.router.v1`.
pub fn short(package: &str) -> &str {
    package.split('.').nth(1).unwrap_or(package)
}

fn read(root: &Path, path: &str) -> Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| path.to_owned())
}

/// Puts a table between its marks.
fn fill(guide: &str, name: &str, table: &str) -> Result<String> {
    let begin = format!("{BEGIN}{name} -->\n");
    let Some((before, rest)) = guide.split_once(&begin) else {
        bail!("{GUIDE} has no line {begin:?}");
    };
    let Some((_, after)) = rest.split_once(END) else {
        bail!("{GUIDE}: {name} does not end in {END:?}");
    };
    Ok(format!("{before}{begin}{table}{END}{after}"))
}

/// One row for each REST path: how it reaches its service.
fn ways(contract: &Contract) -> Result<String> {
    let mut table = String::from("| RPC | REST | through Kong |\n|---|---|---|\n");
    for rpc in &contract.rpcs {
        let way = match way(rpc)? {
            Way::Transcoded => "`grpc-gateway`".to_owned(),
            Way::Plain(reason) => format!("the service's REST: {reason}"),
            Way::GrpcOnly => "gRPC only".to_owned(),
        };
        let paths = rpc
            .bindings
            .iter()
            .map(|it| format!("`{} {}`", it.verb, it.path));
        let paths = paths.collect::<Vec<_>>().join(", ");
        let service = rpc.method.parent_service();
        let way = way.replace("signalbox.", "");
        table.push_str(&format!(
            "| {}.{} | {paths} | {way} |\n",
            service.name(),
            rpc.method.name()
        ));
    }
    Ok(table)
}

/// One row for each 64-bit field that a row of [`WIDE`] speaks of.
fn wide(contract: &Contract) -> String {
    let mut table = String::from("| 64-bit field | reached by | safe |\n|---|---|---|\n");
    for (field, safe, why) in WIDE {
        let rpcs = contract.rpcs.iter().filter(|rpc| {
            crate::way::in_view(rpc)
                && reached(rpc)
                    .iter()
                    .any(|it| it.full_name() == field && is_wide(&it.kind()))
        });
        let rpcs = rpcs
            .map(|rpc| rpc.method.name().to_owned())
            .collect::<Vec<_>>()
            .join(", ");
        let safe = if safe { "yes" } else { "no, goes around" };
        let field = field.trim_start_matches("signalbox.");
        table.push_str(&format!("| `{field}` | {rpcs} | {safe}: {why} |\n"));
    }
    table
}

/// The REST paths of an RPC, filled with a sample for each variable.
pub fn samples(rpc: &crate::contract::Rpc) -> Vec<(String, String)> {
    let samples = rpc.bindings.iter().filter_map(|binding| {
        Some((
            binding.verb.clone(),
            Template::parse(&binding.path)?.filled("01JB"),
        ))
    });
    samples.collect()
}
