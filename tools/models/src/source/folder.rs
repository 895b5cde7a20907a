//! A folder on this machine: a shared drive, a USB stick, another cache.

use std::path::Path;

use tokio::{fs::File, io::AsyncReadExt as _};

use super::Wanted;
use crate::{
    error::SourceError,
    partial::{CHUNK, Partial},
};

pub(crate) async fn fetch(wanted: Wanted<'_>, from: &Path) -> Result<(), SourceError> {
    for expected in wanted.files {
        let nested = from.join(&wanted.model.name).join(&expected.name);
        let flat = from.join(&expected.name);
        let path = [&nested, &flat].into_iter().find(|path| path.is_file());
        let Some(path) = path.cloned() else {
            return Err(SourceError::NotInFolder { nested, flat });
        };
        let opened = File::open(&path).await;
        let mut file = opened.map_err(SourceError::io("open", &path))?;
        let origin = path.display().to_string();
        let mut partial = Partial::fresh(wanted.folder, expected, origin).await?;
        let step = format!("{} from {}", expected.name, from.display());
        wanted.progress.begin(&step, expected.bytes);
        let copied = async {
            let mut buffer = vec![0; CHUNK];
            loop {
                let read = file.read(&mut buffer).await;
                let read = read.map_err(SourceError::io("read", &path))?;
                if read == 0 {
                    return partial.place().await;
                }
                partial.push(&buffer[..read]).await?;
                wanted.progress.at(partial.len());
            }
        };
        let copied = copied.await;
        wanted.progress.end(copied.is_ok());
        if copied.is_err() {
            Partial::drop_leftover(wanted.folder, expected).await?;
        }
        copied?;
    }
    Ok(())
}
