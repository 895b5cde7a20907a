//! Assembles the layer below a program from a Debian root: what distroless images hold, made
//! here, from packages that are already on the machine.
//!
//! In it are the C library and what else the programs are linked with, the certificates that
//! Mozilla's program trusts, time zones, and the few files of `/etc` that the C library reads.
//! Not in it is anything that the root's owner added: only files that belong to a package are
//! taken, and each one's package, version and copyright notice go along.

mod collector;
mod data;
mod description;
mod dpkg;
mod libraries;
mod root;

use std::path::PathBuf;

pub use self::description::{BaseDescription, BaseFile, BasePackage, Distribution};
use self::{collector::Collector, root::Root};
use crate::{ImagePath, OciError, layer::Layer};

/// What the base is assembled from and for.
#[derive(Clone, Debug)]
pub struct BaseSpec {
    /// The root of a Debian system, such as `/`, or an uncompressed tar of one.
    pub root: PathBuf,
    /// `amd64` or `arm64`.
    pub architecture: Architecture,
    /// Programs whose libraries are taken.
    pub binaries: Vec<PathBuf>,
    /// Libraries to take besides, by file name, such as `libstdc++.so.6`.
    pub libraries: Vec<String>,
}

/// A machine that a base can be assembled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// AArch64.
    Arm64,
}

impl Architecture {
    /// As Debian and OCI both name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The name of its library folder.
    fn triplet(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// Where programs look for the dynamic linker: the processor's ABI fixes it.
    fn loader(self) -> ImagePath {
        ImagePath::literal(match self {
            Self::Amd64 => "lib64/ld-linux-x86-64.so.2",
            Self::Arm64 => "lib/ld-linux-aarch64.so.1",
        })
    }
}

impl std::str::FromStr for Architecture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "amd64" => Ok(Self::Amd64),
            "arm64" => Ok(Self::Arm64),
            other => Err(format!("{other:?} is not known; use amd64 or arm64")),
        }
    }
}

/// Assembles the layer, and says what is in it.
///
/// # Errors
///
/// If the root lacks a library, a package or a notice that belongs into the base.
pub fn assemble(spec: &BaseSpec) -> Result<(Layer, BaseDescription), OciError> {
    let root = Root::open(&spec.root)?;
    let mut collector = Collector::new(&root, spec.architecture)?;
    libraries::collect(&mut collector, spec)?;
    data::collect(&mut collector)?;
    collector.finish()
}
