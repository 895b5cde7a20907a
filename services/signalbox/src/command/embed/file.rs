//! A file of texts to a file of vectors: reads ahead, keeps several calls in flight, writes
//! in order, and goes on where an earlier run was stopped.
//!
//! What is done lies in a journal beside the output. The output itself is written from it
//! at the end and takes its name in one step, so that a file of that name is always whole.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use signalbox_proto::embeddings::v1::embeddings_service_client::EmbeddingsServiceClient;

use super::{
    Args,
    format::{self, Shape},
    input::{Item, Items},
    journal::{Journal, Row, Settings},
    progress::Progress,
    requests,
};
use crate::Outcome;

/// How many refused texts are shown one by one.
const SHOWN: u64 = 10;

pub(super) async fn run(args: &Args, file: &Path, out: &Path) -> Outcome {
    let options = &args.from_file;
    let create = format::of(out)?;
    let name = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("{path}: {error}")
    };
    let size = fs::metadata(file).map_err(name(file))?.len();
    let mut items = Items::open(file, &options.field).map_err(name(file))?;
    let settings = Settings {
        signalbox_embed: 1,
        model: args.model.clone(),
        dimensions: args.dimensions,
        input_type: args.input_type.clone(),
        field: options.field.clone(),
    };
    let path = Journal::path(out);
    let (mut journal, answered) =
        Journal::open(path.clone(), &settings, options.restart).map_err(name(&path))?;
    let mut progress = Progress::new(size);
    if !answered.is_empty() {
        skip(&mut items, &answered, file)?;
        progress.resumed(items.bytes());
        progress.note(&format!("going on behind {} texts", answered.len()));
    }

    embed(args, items, &mut journal, &mut progress).await?;

    let done = finish(&mut journal, create, out).map_err(name(out))?;
    journal.delete().map_err(name(&path))?;
    let out = out.display();
    progress.end(&format!(
        "{out}: {} vectors of {}",
        done.vectors, done.dimensions
    ));
    match done.refused {
        0 => Ok(()),
        refused => Err(format!(
            "{refused} texts have no vector, each with its reason above or in the output"
        )
        .into()),
    }
}

/// Reads over the lines that are answered; each must still be the one that was.
fn skip(
    items: &mut Items<io::BufReader<File>>,
    answered: &[u32],
    file: &Path,
) -> Result<(), String> {
    for (index, checksum) in answered.iter().enumerate() {
        let same = match items.next() {
            Some(Ok(item)) => item.checksum == *checksum,
            Some(Err(error)) => return Err(format!("{}: {error}", file.display())),
            None => false,
        };
        if !same {
            return Err(format!(
                "{}: text {index} is not the one that an earlier run has embedded; start anew \
                 with --restart",
                file.display()
            ));
        }
    }
    Ok(())
}

async fn embed(
    args: &Args,
    mut items: Items<io::BufReader<File>>,
    journal: &mut Journal,
    progress: &mut Progress,
) -> Outcome {
    let client = EmbeddingsServiceClient::new(args.server.connect().await?)
        .max_decoding_message_size(64 << 20);
    let batches = std::iter::from_fn(|| {
        let batch: io::Result<Vec<Item>> =
            items.by_ref().take(args.from_file.batch.get()).collect();
        match batch {
            Ok(batch) if batch.is_empty() => None,
            other => Some(other.map(|batch| (batch, items.bytes()))),
        }
    });
    let mut answers = stream::iter(batches)
        .map(|batch| {
            let client = client.clone();
            async move {
                let (batch, at) = batch.map_err(|error| error.to_string())?;
                let mut texts = Vec::with_capacity(batch.len());
                let mut lines = Vec::with_capacity(batch.len());
                for item in batch {
                    texts.push(item.text);
                    lines.push((item.checksum, item.id));
                }
                let answers = requests::embed(client, args, texts).await?;
                Ok::<_, String>((lines, answers, at))
            }
        })
        .buffered(args.from_file.parallel.get());
    while let Some((lines, answers, at)) = answers.try_next().await? {
        let texts = answers.len() as u64;
        for ((line, id), vector) in lines.into_iter().zip(answers) {
            journal.append(line, &Row { id, vector })?;
        }
        journal.flush()?;
        progress.done(texts, at);
    }
    Ok(())
}

/// What the output holds.
#[derive(Default)]
struct Done {
    vectors: u64,
    dimensions: usize,
    refused: u64,
}

/// Writes the output from the journal.
fn finish(journal: &mut Journal, create: format::Create, out: &Path) -> io::Result<Done> {
    let mut done = Done::default();
    for row in journal.rows()? {
        match row?.vector {
            Ok(vector) => {
                done.vectors += 1;
                done.dimensions = vector.len() / 4;
            }
            Err(reason) => {
                let index = done.vectors + done.refused;
                done.refused += 1;
                match done.refused {
                    1..=SHOWN => eprintln!("text {index}: {reason}"),
                    more if more == SHOWN + 1 => eprintln!("and more"),
                    _ => {}
                }
            }
        }
    }
    let shape = Shape {
        rows: done.vectors + done.refused,
        dimensions: done.dimensions,
    };
    let unfinished = unfinished(out);
    let mut format = create(File::create(&unfinished)?, shape)?;
    for row in journal.rows()? {
        format.write(&row?)?;
    }
    format.finish()?.sync_all()?;
    fs::rename(&unfinished, out)?;
    Ok(done)
}

/// The output's name while it is being written.
fn unfinished(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".writing");
    name.into()
}
