//! The cache folder: what is there, whether it is right, and bringing what is not.
//!
//! ```text
//! ROOT/MODEL/FILE          a file whose checksum was right when it got this name
//! ROOT/MODEL/.ok           what was checked: sum, length and time of each file
//! ROOT/MODEL/.lock         held by the one process that pulls this model
//! ROOT/MODEL/.FILE.part    a file on its way, kept when a download can be resumed
//! ROOT/.downloads/         wheels between their download and their unpacking
//! ```

use std::{
    collections::BTreeMap,
    env, fmt,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{ModelsError, SourceFailure},
    manifest::{Model, ModelFile},
    partial::sha256_of,
    progress::Progress,
    source::{self, PullOptions, Wanted},
};

/// How often a pull that waits for another process looks again.
const LOCK_EVERY: Duration = Duration::from_millis(200);

/// What the cache holds of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All files, and they are the manifest's.
    Present,
    /// A file is not there.
    Missing,
    /// All files are there, but something other than a pull put or changed them. A
    /// pull checks them, and keeps those that are right.
    Unchecked,
    /// A file is there whose length or checksum is wrong.
    Corrupt,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Present => "present",
            Self::Missing => "missing",
            Self::Unchecked => "unchecked",
            Self::Corrupt => "corrupt",
        })
    }
}

/// What a pull has checked, in `.ok`: a later look need not hash 190 MB again.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
struct Checked(BTreeMap<String, Mark>);

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Mark {
    sha256: String,
    bytes: u64,
    /// Time of the last change, since the Unix epoch.
    modified_ns: u128,
}

impl Checked {
    /// What is noted of this folder; nothing where no pull has been.
    fn of(folder: &Path) -> Self {
        let marks = fs::read(folder.join(".ok")).unwrap_or_default();
        serde_json::from_slice(&marks).unwrap_or_default()
    }
}

/// The SHA-256 of each file in a model's folder that a pull has checked and that has
/// the length and the time of change, to the nanosecond, that it had then. Files that
/// something else put there are left out. No file of the model is read.
pub fn checked_sums(folder: &Path) -> BTreeMap<String, String> {
    let Checked(marks) = Checked::of(folder);
    let untouched = |(name, mark): (String, Mark)| {
        let now = Mark::of(&folder.join(&name), &mark.sha256).ok()?;
        (now == mark).then_some((name, mark.sha256))
    };
    marks.into_iter().filter_map(untouched).collect()
}

impl Mark {
    fn of(path: &Path, sha256: &str) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH);
        Ok(Self {
            sha256: sha256.to_owned(),
            bytes: metadata.len(),
            // A time before 1970 is as good a mark as any.
            modified_ns: modified.unwrap_or_default().as_nanos(),
        })
    }
}

/// A cache folder of models. Any number of processes may share one.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store in this folder, which a pull creates.
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The user's store: `SIGNALBOX_MODELS_DIR`, or `signalbox/models` in
    /// `XDG_CACHE_HOME`, or in `HOME/.cache`.
    ///
    /// # Errors
    ///
    /// When none of the three is set.
    pub fn default_location() -> Result<Self, ModelsError> {
        Self::located(|name| env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn located(set: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<Self, ModelsError> {
        if let Some(root) = set("SIGNALBOX_MODELS_DIR") {
            return Ok(Self::open(root));
        }
        let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")));
        let cache = cache.ok_or(ModelsError::NoCacheFolder)?;
        Ok(Self::open(cache.join("signalbox").join("models")))
    }

    /// The folder that holds one folder for each model.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The model's folder, whether it is there or not.
    pub fn folder(&self, model: &Model) -> PathBuf {
        self.root.join(&model.name)
    }

    /// A quick look: lengths and times against what the last pull has checked. It
    /// reads no file of the model; [`Store::verify`] does.
    pub fn status(&self, model: &Model) -> Status {
        let folder = self.folder(model);
        let Checked(marks) = Checked::of(&folder);
        let mut status = Status::Present;
        for file in &model.files {
            let Ok(now) = Mark::of(&folder.join(&file.name), &file.sha256) else {
                return Status::Missing;
            };
            if now.bytes != file.bytes {
                status = Status::Corrupt;
            } else if marks.get(&file.name) != Some(&now) && status == Status::Present {
                status = Status::Unchecked;
            }
        }
        status
    }

    /// A full look: hashes every file. Never answers `Unchecked`.
    ///
    /// # Errors
    ///
    /// When a file that is there cannot be read.
    pub async fn verify(&self, model: &Model) -> Result<Status, ModelsError> {
        let mut status = Status::Present;
        for file in &model.files {
            match self.check(model, file).await? {
                Status::Missing => return Ok(Status::Missing),
                Status::Corrupt => status = Status::Corrupt,
                Status::Present | Status::Unchecked => {}
            }
        }
        Ok(status)
    }

    async fn check(&self, model: &Model, file: &ModelFile) -> Result<Status, ModelsError> {
        let path = self.folder(model).join(&file.name);
        match sha256_of(&path).await {
            Ok(found) if found == file.sha256 => Ok(Status::Present),
            Ok(_) => Ok(Status::Corrupt),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Status::Missing),
            Err(error) => Err(ModelsError::io("read", &path)(error)),
        }
    }

    /// Brings the model's files, unless they are there, and returns their folder.
    /// Files that are there and right are kept; wrong ones are deleted. Dropping the
    /// future stops the pull and leaves nothing but what the next one resumes.
    ///
    /// # Errors
    ///
    /// [`ModelsError::NotFetched`] tells of every source why it failed.
    pub async fn pull(
        &self,
        model: &Model,
        options: &PullOptions,
        progress: &dyn Progress,
    ) -> Result<PathBuf, ModelsError> {
        let folder = self.folder(model);
        if self.status(model) == Status::Present {
            return Ok(folder);
        }
        let downloads = self.root.join(".downloads");
        let created = [&folder, &downloads]
            .into_iter()
            .try_for_each(|path| fs::create_dir_all(path).map_err(ModelsError::io("create", path)));
        let locked = match created {
            Ok(()) => lock(&folder, &model.name, progress).await,
            Err(error) => Err(error),
        };
        let _lock = match locked {
            Ok(lock) => lock,
            // A store that cannot be written to, such as a volume mounted read-only, is as
            // good as its files.
            Err(error) => match self.verify(model).await {
                Ok(Status::Present) => return Ok(folder),
                _ => return Err(error),
            },
        };
        if self.status(model) == Status::Present {
            return Ok(folder); // another process brought it
        }

        let mut failures = Vec::new();
        for kind in options.order() {
            let missing = self.missing(model).await?;
            if missing.is_empty() {
                break;
            }
            let wanted = Wanted {
                model,
                files: &missing,
                folder: &folder,
                downloads: &downloads,
                progress,
            };
            match source::fetch(kind, wanted, options).await {
                Ok(()) => break,
                Err(error) => {
                    progress.note(&format!("{}: {kind} failed: {error}", model.name));
                    failures.push(SourceFailure {
                        source: kind,
                        error,
                    });
                }
            }
        }
        // Each file was hashed on its way in or by the look for missing ones.
        if failures.len() == options.order().len() && !self.missing(model).await?.is_empty() {
            return Err(ModelsError::NotFetched {
                model: model.name.clone(),
                failures,
            });
        }
        self.mark(model)?;
        Ok(folder)
    }

    /// The files that must be fetched. Wrong ones are deleted, lest they be used.
    async fn missing<'a>(&self, model: &'a Model) -> Result<Vec<&'a ModelFile>, ModelsError> {
        let mut missing = Vec::new();
        for file in &model.files {
            let status = self.check(model, file).await?;
            if status == Status::Corrupt {
                let path = self.folder(model).join(&file.name);
                fs::remove_file(&path).map_err(ModelsError::io("delete", &path))?;
            }
            if status != Status::Present {
                missing.push(file);
            }
        }
        Ok(missing)
    }

    /// Notes that all files are right.
    fn mark(&self, model: &Model) -> Result<(), ModelsError> {
        let folder = self.folder(model);
        let mut marks = BTreeMap::new();
        for file in &model.files {
            let path = folder.join(&file.name);
            let mark = Mark::of(&path, &file.sha256).map_err(ModelsError::io("read", &path))?;
            marks.insert(file.name.clone(), mark);
        }
        if let Some(card) = &model.card {
            write_json(&folder, "signalbox.json", card)?;
        }
        write_json(&folder, ".ok", &Checked(marks))
    }
}

/// Writes a file whole or not at all.
fn write_json(folder: &Path, name: &str, value: &impl Serialize) -> Result<(), ModelsError> {
    let path = folder.join(name);
    let temporary = folder.join(format!("{name}.tmp"));
    let json = serde_json::to_vec(value).map_err(io::Error::from);
    json.and_then(|json| fs::write(&temporary, json))
        .and_then(|()| fs::rename(&temporary, &path))
        .map_err(ModelsError::io("write", &path))
}

/// Waits until no other process pulls the model. The system frees the lock when its
/// holder dies.
async fn lock(folder: &Path, model: &str, progress: &dyn Progress) -> Result<File, ModelsError> {
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(ModelsError::io("create", &path))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    progress.note(&format!("{model}: another process pulls it; waiting"));
                    told = true;
                }
                tokio::time::sleep(LOCK_EVERY).await;
            }
            Err(TryLockError::Error(error)) => return Err(ModelsError::io("lock", &path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_default_folder_follows_the_environment() {
        let root = |all: &[(&str, &str)]| {
            let all: BTreeMap<_, _> = all.iter().copied().collect();
            Store::located(|name| all.get(name).map(Into::into)).map(|store| store.root)
        };
        let home = ("HOME", "/home/a");
        let xdg = ("XDG_CACHE_HOME", "/cache");
        let own = ("SIGNALBOX_MODELS_DIR", "/models");
        assert_eq!(root(&[home, xdg, own]).unwrap(), Path::new("/models"));
        assert_eq!(
            root(&[home, xdg]).unwrap(),
            Path::new("/cache/signalbox/models")
        );
        assert_eq!(
            root(&[home]).unwrap(),
            Path::new("/home/a/.cache/signalbox/models")
        );
        assert!(matches!(root(&[]), Err(ModelsError::NoCacheFolder)));
    }
}
