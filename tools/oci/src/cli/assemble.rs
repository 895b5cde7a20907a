//! `image`, `layer` and `base`: what writes layers and images.

use std::path::PathBuf;

use clap::Args;

use super::pair;
use crate::{
    ImagePath, OciError,
    base::{self, Architecture, BaseSpec},
    files,
    image::{self, ImageSpec, NONROOT},
    layer::{Content, Layer},
    layout,
};

#[derive(Debug, Args)]
pub(super) struct ImageArgs {
    /// An image layout to build upon; its layers are kept byte for byte
    #[arg(long, value_name = "LAYOUT")]
    base: Option<PathBuf>,
    /// An uncompressed tar, lowest first; may be repeated
    #[arg(long = "layer", value_name = "TAR")]
    layers: Vec<PathBuf>,
    /// The program, then its fixed arguments; may be repeated
    #[arg(long, value_name = "WORD", required = true, allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// An argument that users may replace; may be repeated
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    cmd: Vec<String>,
    /// An environment variable; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// Who runs it: numeric, never root
    #[arg(long, value_name = "UID:GID", default_value = NONROOT)]
    user: String,
    /// A label; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// A TCP port that it listens on; may be repeated
    #[arg(long, value_name = "PORT")]
    port: Vec<u16>,
    /// amd64 or arm64
    #[arg(long, value_name = "NAME", default_value = "amd64")]
    architecture: Architecture,
    /// The time that the image says it was made at, in seconds since 1970
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    source_date_epoch: i64,
    /// The name that an engine gives the image when it loads it, as in localhost/router:0.1.0
    #[arg(long, value_name = "NAME:TAG")]
    reference: Option<String>,
    /// The folder to write: empty, absent, or an earlier layout
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// The same layout as one tar, for `podman load` and `skopeo`
    #[arg(long, value_name = "TAR")]
    archive: Option<PathBuf>,
    /// Where to write the image's digest, sha256:...
    #[arg(long, value_name = "FILE")]
    digest_out: Option<PathBuf>,
}

impl ImageArgs {
    pub(super) fn run(self) -> Result<(), OciError> {
        let spec = ImageSpec {
            base: self.base,
            layers: self.layers,
            entrypoint: self.entrypoint,
            cmd: self.cmd,
            env: self.env.into_iter().collect(),
            user: self.user,
            labels: self.label.into_iter().collect(),
            ports: self.port,
            architecture: self.architecture.name().to_owned(),
            created: self.source_date_epoch,
            reference: self.reference,
        };
        let digest = image::build(&spec, &self.out)?;
        if let Some(archive) = &self.archive {
            layout::write_archive(&self.out, archive)?;
        }
        if let Some(path) = &self.digest_out {
            files::write(path, format!("{digest}\n").as_bytes())?;
        }
        Ok(())
    }
}

#[derive(Debug, Args)]
pub(super) struct LayerArgs {
    /// A file to put in, mode 0644; may be repeated
    #[arg(long, value_name = "PATH=FILE", value_parser = pair)]
    file: Vec<(String, String)>,
    /// A program to put in, mode 0755; may be repeated
    #[arg(long, value_name = "PATH=FILE", value_parser = pair)]
    executable: Vec<(String, String)>,
    /// A symlink to put in; may be repeated
    #[arg(long, value_name = "PATH=TARGET", value_parser = pair)]
    symlink: Vec<(String, String)>,
    /// An empty directory to put in; may be repeated
    #[arg(long, value_name = "PATH")]
    directory: Vec<ImagePath>,
    /// A file or directory of the layers underneath to hide, as a pulled base's tmp; may be
    /// repeated
    #[arg(long, value_name = "PATH")]
    remove: Vec<ImagePath>,
    /// The tar to write
    #[arg(long, value_name = "TAR")]
    out: PathBuf,
}

impl LayerArgs {
    pub(super) fn run(self) -> Result<(), OciError> {
        let mut layer = Layer::new();
        for (files, executable) in [(self.file, false), (self.executable, true)] {
            for (path, file) in files {
                let content = Content::File(PathBuf::from(file));
                layer.file(ImagePath::parse(&path)?, executable, content)?;
            }
        }
        for (path, target) in self.symlink {
            layer.symlink(ImagePath::parse(&path)?, &target)?;
        }
        for path in self.directory {
            layer.directory(path)?;
        }
        for path in &self.remove {
            layer.remove(path)?;
        }
        layer.write(&self.out)
    }
}

#[derive(Debug, Args)]
pub(super) struct BaseArgs {
    /// The root of a Debian system: a folder, or a tar of one
    #[arg(long, value_name = "FOLDER|TAR", default_value = "/")]
    root: PathBuf,
    /// amd64 or arm64
    #[arg(long, value_name = "NAME", default_value = "amd64")]
    architecture: Architecture,
    /// A program whose shared libraries to take; may be repeated
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
    /// A shared library to take besides, as in libstdc++.so.6; may be repeated
    #[arg(long, value_name = "NAME")]
    library: Vec<String>,
    /// The tar to write
    #[arg(long, value_name = "TAR")]
    out: PathBuf,
    /// Where to write, as JSON, which package each file is of
    #[arg(long, value_name = "FILE")]
    description_out: PathBuf,
}

impl BaseArgs {
    pub(super) fn run(self) -> Result<(), OciError> {
        let (layer, description) = base::assemble(&BaseSpec {
            root: self.root,
            architecture: self.architecture,
            binaries: self.binary,
            libraries: self.library,
        })?;
        layer.write(&self.out)?;
        files::write_json(&self.description_out, &description)
    }
}
