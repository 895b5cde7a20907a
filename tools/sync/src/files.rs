//! The Rust files of a package's folder.

use std::{collections::BTreeSet, fs};

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

use crate::error::{At as _, Error};

/// Names of BUILD files, as Bazel looks for them.
const BUILD_FILES: [&str; 2] = ["BUILD.bazel", "BUILD"];

/// Every `.rs` below `package`, relative to it. A folder with a manifest or a BUILD file of
/// its own is another package's; hidden folders, links and build outputs are nobody's.
pub(crate) fn rust_files(package: &Utf8Path) -> Result<BTreeSet<Utf8PathBuf>, Error> {
    let mut files = BTreeSet::new();
    let mut folders = vec![package.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().at(folder.as_std_path())? {
            let entry = entry.at(folder.as_std_path())?;
            let path = entry.path();
            let kind = entry.file_type().at(path.as_std_path())?;
            if kind.is_dir() {
                if !is_foreign(path, folder == package) {
                    folders.push(path.to_owned());
                }
            } else if kind.is_file() && path.extension() == Some("rs") {
                files.insert(path.strip_prefix(package).unwrap_or(path).to_owned());
            }
        }
    }
    Ok(files)
}

/// Whether Bazel knows `folder` as a package.
pub(crate) fn is_package(folder: &Utf8Path) -> bool {
    BUILD_FILES.iter().any(|name| folder.join(name).is_file())
}

fn is_foreign(folder: &Utf8Path, top: bool) -> bool {
    let name = folder.file_name().unwrap_or_default();
    name.starts_with('.')
        || (top && name == "target")
        || is_package(folder)
        || fs::exists(folder.join("Cargo.toml")).unwrap_or(false)
}
