//! An image layout on disk: `oci-layout`, `index.json` and the blobs, each named by its
//! digest; and the same as one archive.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder, bufread::MultiGzDecoder};
use serde::Serialize;

use crate::{
    Digest, OciError, Tree,
    digest::HashingWriter,
    files,
    layer::Archive,
    spec::{
        Descriptor, INDEX, ImageConfig, Index, LAYER_GZIP, LAYER_TAR, MANIFEST, Manifest, Platform,
    },
};

const MARKER: &str = "oci-layout";
const MARKER_TEXT: &[u8] = b"{\"imageLayoutVersion\":\"1.0.0\"}";
const BLOBS: &str = "blobs/sha256";
// zlib's own default: beyond it the time grows faster than the layer shrinks.
const GZIP_LEVEL: u32 = 6;

/// A layout that is being written.
pub(crate) struct LayoutWriter {
    root: PathBuf,
}

impl LayoutWriter {
    /// Begins in an empty folder, or over an earlier layout.
    pub(crate) fn create(root: &Path) -> Result<Self, OciError> {
        fs::create_dir_all(root).map_err(files::at("create", root))?;
        if root.join(MARKER).is_file() {
            for file in [MARKER, "index.json"] {
                let path = root.join(file);
                if path.exists() {
                    fs::remove_file(&path).map_err(files::at("replace", &path))?;
                }
            }
            let blobs = root.join("blobs");
            if blobs.exists() {
                fs::remove_dir_all(&blobs).map_err(files::at("replace", &blobs))?;
            }
        }
        let mut left = fs::read_dir(root).map_err(files::at("list", root))?;
        if left.next().is_some() {
            return Err(OciError::OutputNotEmpty {
                path: root.to_owned(),
            });
        }
        let blobs = root.join(BLOBS);
        fs::create_dir_all(&blobs).map_err(files::at("create", &blobs))?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join(BLOBS).join(digest.hex())
    }

    /// Writes a document.
    pub(crate) fn document<T: Serialize>(
        &self,
        media_type: &str,
        document: &T,
    ) -> Result<Descriptor, OciError> {
        let bytes =
            serde_json::to_vec(document).map_err(|error| OciError::malformed(&self.root, error))?;
        let digest = Digest::of(&bytes);
        files::write(&self.blob(&digest), &bytes)?;
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size: bytes.len() as u64,
            platform: None,
            annotations: BTreeMap::new(),
        })
    }

    /// Compresses a tar: the layer's descriptor and the digest of the tar itself.
    pub(crate) fn layer(&self, tar: &Path) -> Result<(Descriptor, Digest), OciError> {
        let mut input = files::open(tar)?;
        let start = std::io::BufRead::fill_buf(&mut input).map_err(files::at("read", tar))?;
        if start.starts_with(&[0x1f, 0x8b]) || start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            return Err(OciError::CompressedLayer {
                path: tar.to_owned(),
            });
        }
        let unnamed = self.root.join(BLOBS).join("incoming");
        let compressed = HashingWriter::new(files::create(&unnamed)?);
        // No name and no time: the header is the same for all.
        let gzip = GzBuilder::new()
            .mtime(0)
            .write(compressed, Compression::new(GZIP_LEVEL));
        let mut plain = HashingWriter::new(gzip);
        files::copy_evenly(input, &mut plain).map_err(files::at("compress", tar))?;
        let (gzip, diff_id, _) = plain.finish();
        let written = files::at("write", &unnamed);
        let (mut output, digest, size) = gzip.finish().map_err(&written)?.finish();
        output.flush().map_err(&written)?;
        drop(output);
        let named = self.blob(&digest);
        fs::rename(&unnamed, &named).map_err(files::at("write", &named))?;
        let descriptor = Descriptor {
            media_type: LAYER_GZIP.to_owned(),
            digest,
            size,
            platform: None,
            annotations: BTreeMap::new(),
        };
        Ok((descriptor, diff_id))
    }

    /// Takes a blob over from another layout, byte for byte.
    pub(crate) fn adopt(&self, from: &Layout, descriptor: &Descriptor) -> Result<(), OciError> {
        let source = from.blob(&descriptor.digest);
        let target = self.blob(&descriptor.digest);
        let mut copy = HashingWriter::new(files::create(&target)?);
        files::copy_evenly(files::open(&source)?, &mut copy).map_err(files::at("copy", &source))?;
        let (mut output, actual, _) = copy.finish();
        output.flush().map_err(files::at("write", &target))?;
        expect(&descriptor.digest, &actual)
    }

    /// Names the image, which completes the layout.
    pub(crate) fn finish(self, image: Descriptor) -> Result<(), OciError> {
        let index = Index {
            schema_version: 2,
            media_type: Some(INDEX.to_owned()),
            manifests: vec![image],
        };
        let bytes =
            serde_json::to_vec(&index).map_err(|error| OciError::malformed(&self.root, error))?;
        files::write(&self.root.join("index.json"), &bytes)?;
        files::write(&self.root.join(MARKER), MARKER_TEXT)
    }
}

/// A layout that is there.
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn open(root: &Path) -> Result<Self, OciError> {
        let marker = root.join(MARKER);
        if !marker.is_file() {
            return Err(OciError::malformed(
                root,
                "no image layout: it holds no file oci-layout; give the folder that does",
            ));
        }
        Ok(Self {
            root: root.to_owned(),
        })
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join(BLOBS).join(digest.hex())
    }

    fn document<T: serde::de::DeserializeOwned>(&self, digest: &Digest) -> Result<T, OciError> {
        let path = self.blob(digest);
        let bytes = files::read(&path)?;
        expect(digest, &Digest::of(&bytes))?;
        files::parse_json(&path, &bytes)
    }

    /// The image for a platform; any, if the layout holds one image alone and none is asked for.
    pub(crate) fn image(
        &self,
        architecture: Option<&str>,
    ) -> Result<(Manifest, ImageConfig), OciError> {
        let index: Index = files::read_json(&self.root.join("index.json"))?;
        let mut images = Vec::new();
        self.collect(index, &mut images, 0)?;
        let mut available = Vec::new();
        for (digest, platform) in images {
            let manifest: Manifest = self.document(&digest)?;
            let config: ImageConfig = self.document(&manifest.config.digest)?;
            let (os, found) = platform.map_or_else(
                || (config.os.clone(), config.architecture.clone()),
                |platform| (platform.os, platform.architecture),
            );
            if os == "linux" && architecture.is_none_or(|wanted| wanted == found) {
                return Ok((manifest, config));
            }
            available.push(format!("{os}/{found}"));
        }
        Err(OciError::NoSuchPlatform {
            path: self.root.clone(),
            architecture: architecture.unwrap_or("any").to_owned(),
            available: available.join(", "),
        })
    }

    fn collect(
        &self,
        index: Index,
        images: &mut Vec<(Digest, Option<Platform>)>,
        depth: u32,
    ) -> Result<(), OciError> {
        for descriptor in index.manifests {
            if descriptor.media_type == MANIFEST {
                images.push((descriptor.digest, descriptor.platform));
            } else if descriptor.media_type == INDEX && depth < 4 {
                self.collect(self.document(&descriptor.digest)?, images, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Unpacks a layer over those below it.
    pub(crate) fn unpack(&self, layer: &Descriptor, tree: &mut Tree) -> Result<(), OciError> {
        let path = self.blob(&layer.digest);
        let input = files::open(&path)?;
        match layer.media_type.as_str() {
            LAYER_GZIP => tree.apply(MultiGzDecoder::new(input), &path),
            LAYER_TAR => tree.apply(input, &path),
            other => Err(OciError::UnknownLayerType {
                digest: layer.digest,
                media_type: other.to_owned(),
            }),
        }
    }
}

fn expect(expected: &Digest, actual: &Digest) -> Result<(), OciError> {
    if expected == actual {
        return Ok(());
    }
    Err(OciError::WrongBlob {
        expected: *expected,
        actual: *actual,
    })
}

/// Writes a layout as one tar archive, which engines load as `oci-archive:`.
///
/// # Errors
///
/// If the layout cannot be read or the archive not written.
pub fn write_archive(layout: &Path, archive: &Path) -> Result<(), OciError> {
    let layout = Layout::open(layout)?;
    let blobs = layout.root.join(BLOBS);
    let mut names = vec![MARKER.to_owned(), "index.json".to_owned()];
    for entry in fs::read_dir(&blobs).map_err(files::at("list", &blobs))? {
        let entry = entry.map_err(files::at("list", &blobs))?;
        names.push(format!("{BLOBS}/{}", entry.file_name().display()));
    }
    names.sort();

    let written = files::at("write", archive);
    let mut output = Archive::new(files::create(archive)?);
    output.directory("blobs").map_err(&written)?;
    output.directory(BLOBS).map_err(&written)?;
    for name in names {
        let path = layout.root.join(&name);
        let input = files::open(&path)?;
        let metadata = input
            .get_ref()
            .metadata()
            .map_err(files::at("read", &path))?;
        output
            .file(&name, false, metadata.len(), input)
            .map_err(files::at("copy", &path))?;
    }
    output.finish().map_err(&written)
}
