//! `signalbox embed`: texts to vectors, a few for the eye or a file of millions.

mod file;
mod format;
mod input;
mod journal;
mod progress;
mod requests;
mod texts;

use std::{num::NonZeroUsize, path::PathBuf};

use crate::{Outcome, client::ServerArgs};

/// Turn texts into vectors. On a terminal each is shown in short; in a pipe each
/// is one JSON array a line. With --file, a whole file becomes a .jsonl, .npy or .parquet
/// file; a run that was stopped goes on where it was when it is started again.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  signalbox embed 'a red bicycle' 'a blue car'\n  signalbox embed - < lines.txt > vectors.jsonl\n  signalbox embed --file in.jsonl --out vectors.npy"
)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// The model.
    #[arg(long, short, default_value = "all-MiniLM-L6-v2")]
    model: String,
    /// How many leading dimensions to keep; the model's own size when absent.
    #[arg(long)]
    dimensions: Option<u32>,
    /// What the texts are for, `query` or `document`, for a model that tells them apart.
    #[arg(long, default_value = "", hide_default_value = true)]
    input_type: String,
    /// The texts; `-` reads one a line from standard input.
    #[arg(required_unless_present = "file", value_name = "TEXT")]
    texts: Vec<String>,
    #[command(flatten)]
    from_file: FileArgs,
}

/// From a file, to a file.
#[derive(Clone, Debug, clap::Args)]
struct FileArgs {
    /// The texts: .jsonl or .ndjson has a JSON string or an object with a text a line, any
    /// other file a text a line.
    #[arg(long, conflicts_with = "texts", requires = "out")]
    file: Option<PathBuf>,
    /// Where the vectors go: .jsonl, .npy or .parquet.
    #[arg(long, requires = "file")]
    out: Option<PathBuf>,
    /// The name of the text in a line's object. An `id` beside it comes back with the
    /// vector.
    #[arg(long, default_value = "text", requires = "file")]
    field: String,
    /// Forget what an earlier run of the same files has done.
    #[arg(long, requires = "file")]
    restart: bool,
    /// Texts in one call.
    #[arg(long, default_value = "256", requires = "file")]
    batch: NonZeroUsize,
    /// Calls in flight.
    #[arg(long, default_value = "4", requires = "file")]
    parallel: NonZeroUsize,
}

pub(crate) async fn run(args: Args) -> Outcome {
    match (&args.from_file.file, &args.from_file.out) {
        (Some(file), Some(out)) => file::run(&args, file, out).await,
        _ => texts::run(&args).await,
    }
}
