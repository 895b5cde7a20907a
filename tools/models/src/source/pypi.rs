//! A Python package that carries the files. The ordinary pip downloads it, so that
//! whatever the user has set up for pip (mirror, proxy, certificates, credentials)
//! holds here too. The wheel is only unpacked, never installed: no code of it runs.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufReader, Read as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use bytes::Bytes;
use tokio::{process::Command, sync::mpsc};
use zip::{ZipArchive, result::ZipError};

use super::Wanted;
use crate::{
    error::SourceError,
    manifest::PypiSource,
    partial::{CHUNK, Partial},
    progress::Progress,
};

/// How often the progress of pip is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(crate) async fn fetch(
    wanted: Wanted<'_>,
    source: &PypiSource,
    pip: Option<&Path>,
) -> Result<(), SourceError> {
    let name = format!("{}-{}", source.package, source.version);
    // A whole wheel that an earlier pull could not unpack, for example because the
    // disk was full, is used again.
    let wheel = wanted.downloads.join(format!("{name}.whl"));
    if !wheel.is_file() {
        let folder = wanted.downloads.join(format!("{name}.tmp"));
        remove_folder(&folder)?;
        create_folder(&folder)?;
        wanted
            .progress
            .begin(&format!("{name} by pip"), source.bytes);
        let downloaded = download(wanted.progress, source, pip, &folder, &wheel).await;
        wanted.progress.end(downloaded.is_ok());
        let removed = remove_folder(&folder);
        downloaded?;
        removed?;
    }
    let unpacked = unpack(wanted, source, &name, &wheel).await;
    // Kept only where the wheel is not to blame.
    if !matches!(unpacked, Err(SourceError::Io { .. })) {
        fs::remove_file(&wheel).map_err(SourceError::io("delete", &wheel))?;
    }
    unpacked
}

fn create_folder(folder: &Path) -> Result<(), SourceError> {
    fs::create_dir_all(folder).map_err(SourceError::io("create", folder))
}

fn remove_folder(folder: &Path) -> Result<(), SourceError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(SourceError::io("delete", folder)(error))
        }
        _ => Ok(()),
    }
}

/// Lets pip download into `folder` and moves the finished wheel to `wheel`.
async fn download(
    progress: &dyn Progress,
    source: &PypiSource,
    pip: Option<&Path>,
    folder: &Path,
    wheel: &Path,
) -> Result<(), SourceError> {
    let candidates: Vec<Vec<OsString>> = match pip {
        Some(pip) => vec![vec![pip.into()]],
        None => vec![
            ["python3", "-m", "pip"].map(OsString::from).to_vec(),
            vec!["pip3".into()],
        ],
    };
    let requirement = format!("{}=={}", source.package, source.version);
    for program in candidates {
        if run(progress, &program, &requirement, folder).await? {
            let found = find_wheel(folder).map_err(SourceError::io("read", folder))?;
            let found = found.ok_or_else(|| SourceError::Pip {
                command: format!("pip download {requirement}"),
                detail: "it downloaded no wheel".to_owned(),
            })?;
            return fs::rename(&found, wheel).map_err(SourceError::io("create", wheel));
        }
    }
    Err(SourceError::NoPip)
}

/// Runs one pip; `false` when there is none by this name.
async fn run(
    progress: &dyn Progress,
    program: &[OsString],
    requirement: &str,
    folder: &Path,
) -> Result<bool, SourceError> {
    let arguments = [
        "download",
        "--no-deps",
        // A source package would run its build script.
        "--only-binary=:all:",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar=off",
        "--dest",
    ];
    let child = Command::new(&program[0])
        .args(&program[1..])
        .args(arguments)
        .arg(folder)
        .arg(requirement)
        // pip's temporary files go where there must be room anyway, and where their
        // growth can be seen.
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(SourceError::io("run", Path::new(&program[0]))(error)),
    };
    let output = child.wait_with_output();
    tokio::pin!(output);
    let mut look = tokio::time::interval(LOOK_EVERY);
    let output = loop {
        tokio::select! {
            output = &mut output => break output,
            _ = look.tick() => progress.at(size_of(folder)),
        }
    };
    let output = output.map_err(SourceError::io("run", Path::new(&program[0])))?;
    if output.status.success() {
        return Ok(true);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("No module named pip") {
        return Ok(false);
    }
    let mut last: Vec<&str> = errors.lines().rev().take(3).map(str::trim).collect();
    last.reverse();
    let detail = match last.concat().is_empty() {
        true => output.status.to_string(),
        false => last.join(" | "),
    };
    let words: Vec<_> = program.iter().map(|word| word.to_string_lossy()).collect();
    Err(SourceError::Pip {
        command: format!("{} download {requirement}", words.join(" ")),
        detail,
    })
}

/// Bytes of all files below `folder`; what vanishes meanwhile counts as nothing.
fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

fn find_wheel(folder: &Path) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Unpacks the wanted members, and nothing else.
async fn unpack(
    wanted: Wanted<'_>,
    source: &PypiSource,
    package: &str,
    wheel: &Path,
) -> Result<(), SourceError> {
    for expected in wanted.files {
        // The manifest was checked to name every file.
        let member = source
            .files
            .get(&expected.name)
            .ok_or(SourceError::NotListed)?;
        let origin = format!("{member} of {package}");
        let mut partial = Partial::fresh(wanted.folder, expected, origin).await?;
        let step = format!("{} from {package}", expected.name);
        wanted.progress.begin(&step, expected.bytes);

        // Unzipping blocks, so it has a thread; the queue keeps it from running ahead.
        let (sender, mut chunks) = mpsc::channel(4);
        let (path, name) = (wheel.to_owned(), member.clone());
        let reader = tokio::task::spawn_blocking(move || read_member(&path, &name, &sender));
        let unpacked = async {
            while let Some(chunk) = chunks.recv().await {
                partial.push(&chunk).await?;
                wanted.progress.at(partial.len());
            }
            // Dropped early only by the error above.
            let read = reader
                .await
                .unwrap_or_else(|panic| Err(ZipError::Io(io::Error::other(panic.to_string()))));
            if let Err(error) = read {
                return Err(SourceError::BadWheel {
                    package: package.to_owned(),
                    detail: format!("{member}: {error}"),
                });
            }
            partial.place().await
        };
        let unpacked = unpacked.await;
        wanted.progress.end(unpacked.is_ok());
        if unpacked.is_err() {
            Partial::drop_leftover(wanted.folder, expected).await?;
        }
        unpacked?;
    }
    Ok(())
}

fn read_member(wheel: &Path, name: &str, chunks: &mpsc::Sender<Bytes>) -> Result<(), ZipError> {
    let mut archive = ZipArchive::new(BufReader::new(fs::File::open(wheel)?))?;
    let mut member = archive.by_name(name)?;
    loop {
        let mut buffer = Vec::with_capacity(CHUNK);
        member
            .by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut buffer)?;
        // A closed queue means that the receiver has failed and says why.
        if buffer.is_empty() || chunks.blocking_send(buffer.into()).is_err() {
            return Ok(());
        }
    }
}
