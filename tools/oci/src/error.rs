//! Everything that can go wrong, each with the file or field and the fix.

use std::{io, path::PathBuf};

use crate::{ImagePath, check::Finding, digest::Digest};

/// Why an image, a layer or a document was not made.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// The file system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried: `read`, `write`, `list`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file that should hold JSON, TOML or another format does not.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// A name that no file in an image can have.
    #[error("{path:?} is no path inside an image: {reason}")]
    BadPath {
        /// The name as given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two different things were to have one name.
    #[error("/{path} is put into the layer twice, with different contents; keep one")]
    Duplicate {
        /// The name.
        path: ImagePath,
    },
    /// Something was to be put below a file or a symlink.
    #[error("/{path} lies below /{parent}, which is no directory; use the directory's real path")]
    ParentNotDirectory {
        /// What was put there.
        path: ImagePath,
        /// What is in the way.
        parent: ImagePath,
    },
    /// A layer is not the uncompressed tar that is asked for.
    #[error("{path} is compressed; give the uncompressed tar, whose digest the image config names")]
    CompressedLayer {
        /// The file.
        path: PathBuf,
    },
    /// A layer's compression is not known here.
    #[error("layer {digest} has the media type {media_type}; known are tar and tar+gzip")]
    UnknownLayerType {
        /// The layer.
        digest: Digest,
        /// What it says it is.
        media_type: String,
    },
    /// A blob's bytes are not those that its name promises.
    #[error("blob {expected} holds other bytes, of {actual}; fetch or build the layout again")]
    WrongBlob {
        /// The digest in its name.
        expected: Digest,
        /// That of its bytes.
        actual: Digest,
    },
    /// A layout holds no image for the wanted platform.
    #[error("{path} holds no image for linux/{architecture}; it has: {available}")]
    NoSuchPlatform {
        /// The layout.
        path: PathBuf,
        /// What was asked for.
        architecture: String,
        /// What there is.
        available: String,
    },
    /// An output folder holds something that is not ours to replace.
    #[error("{path} is not empty and is no image layout; remove it or choose another folder")]
    OutputNotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A value on the command line or in a description is not usable.
    #[error("{field}: {reason}")]
    Invalid {
        /// The flag or field.
        field: &'static str,
        /// What is wrong, and what is right.
        reason: String,
    },
    /// A library that a program needs is not in the root.
    #[error("{needed_by} needs {library}, which the root does not hold; install its package there")]
    LibraryNotInRoot {
        /// The library's file name.
        library: String,
        /// Who asks for it.
        needed_by: String,
    },
    /// A file that the base is made of is not in the root.
    #[error("the root holds no /{path}; install {package} there")]
    NotInRoot {
        /// The file or folder.
        path: ImagePath,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A file of the root belongs to no package, so nothing can be said of its origin.
    #[error("/{path} belongs to no package of the root; only packaged files go into a base")]
    Unpackaged {
        /// The file.
        path: ImagePath,
    },
    /// A chain of symlinks does not end.
    #[error("/{path}: too many symlinks")]
    SymlinkLoop {
        /// Where it begins.
        path: ImagePath,
    },
    /// An image or layer breaks the rules.
    #[error("{}", list(.0))]
    Refused(Vec<Finding>),
    /// A crate of the inventory cannot be vouched for.
    #[error("crate {name} {version}: {reason}")]
    Crate {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// What is wrong, and the fix.
        reason: String,
    },
}

impl OciError {
    pub(crate) fn malformed(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Self::Malformed {
            path: path.into(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            reason: reason.into(),
        }
    }
}

fn list(findings: &[Finding]) -> String {
    let mut text = format!("refused, {} finding(s)", findings.len());
    for finding in findings {
        text.push_str("\n  ");
        text.push_str(&finding.to_string());
    }
    text
}
