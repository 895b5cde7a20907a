//! What the tests share: ELF files made byte by byte, and a small Debian root of them, so that
//! no test hangs upon what the machine has installed.

#![allow(dead_code, clippy::unwrap_used, unreachable_pub)]

mod elf;
mod root;

use std::path::{Path, PathBuf};

use clap::Parser;
use signalbox_oci::cli::Cli;

pub use self::{elf::TestElf, root::debian_root};

/// Does what the program does with these arguments; its message if it fails.
pub fn run(arguments: &[&str]) -> Result<(), String> {
    let arguments = std::iter::once("signalbox-oci").chain(arguments.iter().copied());
    let cli = Cli::try_parse_from(arguments).map_err(|error| error.to_string())?;
    cli.run().map_err(|error| error.to_string())
}

/// Writes a file and the folders above it.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    path.to_owned()
}

/// All files below a folder with their bytes, by relative name.
pub fn contents(folder: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}
