//! Joins layers and what a container runs with into an image layout, over nothing or over
//! another image.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    Digest, OciError,
    layout::{Layout, LayoutWriter},
    spec::{
        CONFIG, Descriptor, Empty, History, ImageConfig, MANIFEST, Manifest, Platform, REF_NAME,
        RootFs,
    },
};

/// The user that images run as: numeric, so that an orchestrator can see that it is not root.
pub const NONROOT: &str = "65532:65532";

/// What an image is made of.
#[derive(Clone, Debug, Default)]
pub struct ImageSpec {
    /// An image layout whose layers come first, byte for byte, and whose environment and
    /// labels are kept where this image does not set its own.
    pub base: Option<PathBuf>,
    /// Uncompressed tar archives, lowest first.
    pub layers: Vec<PathBuf>,
    /// The program and its fixed arguments.
    pub entrypoint: Vec<String>,
    /// Arguments that a user may replace.
    pub cmd: Vec<String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// `uid:gid`, numeric.
    pub user: String,
    /// Labels, such as `org.opencontainers.image.title`.
    pub labels: BTreeMap<String, String>,
    /// TCP ports.
    pub ports: Vec<u16>,
    /// `amd64` or `arm64`, as Go names them.
    pub architecture: String,
    /// Seconds since the epoch that the image says it was made at.
    pub created: i64,
    /// The name that an engine gives the image when it loads the layout.
    pub reference: Option<String>,
}

/// Writes the image layout and returns the digest of its manifest, which is the image's.
///
/// # Errors
///
/// If the user is not numeric or is root, an input cannot be read, or the output is a folder
/// that holds something else.
pub fn build(spec: &ImageSpec, output: &Path) -> Result<Digest, OciError> {
    validate(spec)?;
    let writer = LayoutWriter::create(output)?;
    let created = timestamp(spec.created)?;

    let (mut layers, mut config) = match &spec.base {
        Some(base) => adopt_base(&writer, base, &spec.architecture)?,
        None => (
            Vec::new(),
            ImageConfig {
                architecture: spec.architecture.clone(),
                os: "linux".to_owned(),
                rootfs: RootFs {
                    kind: "layers".to_owned(),
                    diff_ids: Vec::new(),
                },
                ..ImageConfig::default()
            },
        ),
    };
    for layer in &spec.layers {
        let (descriptor, diff_id) = writer.layer(layer)?;
        layers.push(descriptor);
        config.rootfs.diff_ids.push(diff_id);
        config.history.push(History {
            created: Some(created.clone()),
            created_by: Some(format!("signalbox-oci image {diff_id}")),
            ..History::default()
        });
    }
    config.created = Some(created);
    merge(&mut config, spec);

    let config_descriptor = writer.document(CONFIG, &config)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        config: config_descriptor,
        layers,
        annotations: BTreeMap::new(),
    };
    let mut image = writer.document(MANIFEST, &manifest)?;
    let digest = image.digest;
    image.platform = Some(Platform {
        architecture: config.architecture,
        os: config.os,
        other: BTreeMap::new(),
    });
    if let Some(reference) = &spec.reference {
        image
            .annotations
            .insert(REF_NAME.to_owned(), reference.clone());
    }
    writer.finish(image)?;
    Ok(digest)
}

fn validate(spec: &ImageSpec) -> Result<(), OciError> {
    let ids = spec
        .user
        .split_once(':')
        .map(|(uid, gid)| (uid.parse(), gid.parse()));
    match ids {
        Some((Ok(0_u32), _) | (_, Ok(0_u32))) => {
            return Err(OciError::invalid(
                "--user",
                format!("root is refused; use {NONROOT}"),
            ));
        }
        Some((Ok(_), Ok(_))) => {}
        _ => {
            let reason = format!("{:?} is not numeric uid:gid, as in {NONROOT}", spec.user);
            return Err(OciError::invalid("--user", reason));
        }
    }
    match spec.entrypoint.first() {
        Some(program) if program.starts_with('/') => {}
        _ => {
            let reason = "give the program's absolute path in the image, as in /usr/bin/signalbox";
            return Err(OciError::invalid("--entrypoint", reason));
        }
    }
    if !matches!(spec.architecture.as_str(), "amd64" | "arm64") {
        let reason = format!("{:?} is not known; use amd64 or arm64", spec.architecture);
        return Err(OciError::invalid("--architecture", reason));
    }
    if spec
        .env
        .keys()
        .any(|name| name.is_empty() || name.contains('='))
    {
        let reason = "a variable's name is empty or holds `=`; write NAME=VALUE";
        return Err(OciError::invalid("--env", reason));
    }
    Ok(())
}

fn adopt_base(
    writer: &LayoutWriter,
    base: &Path,
    architecture: &str,
) -> Result<(Vec<Descriptor>, ImageConfig), OciError> {
    let layout = Layout::open(base)?;
    let (manifest, config) = layout.image(Some(architecture))?;
    if manifest.layers.len() != config.rootfs.diff_ids.len() {
        let reason = format!(
            "its manifest names {} layers and its configuration {}; pull it again",
            manifest.layers.len(),
            config.rootfs.diff_ids.len()
        );
        return Err(OciError::malformed(base, reason));
    }
    for layer in &manifest.layers {
        writer.adopt(&layout, layer)?;
    }
    Ok((manifest.layers, config))
}

/// Lays the image's own settings over its base's.
fn merge(config: &mut ImageConfig, spec: &ImageSpec) {
    let run = &mut config.config;
    let mut env: BTreeMap<String, String> = run
        .env
        .take()
        .unwrap_or_default()
        .into_iter()
        .map(|entry| match entry.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (entry, String::new()),
        })
        .collect();
    env.extend(spec.env.clone());
    run.env = Some(
        env.into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
    );

    let mut labels = run.labels.take().unwrap_or_default();
    labels.extend(spec.labels.clone());
    run.labels = Some(labels);

    let mut ports = run.exposed_ports.take().unwrap_or_default();
    ports.extend(
        spec.ports
            .iter()
            .map(|port| (format!("{port}/tcp"), Empty {})),
    );
    run.exposed_ports = Some(ports);

    run.user.clone_from(&spec.user);
    // A base's arguments are for the base's own program.
    run.entrypoint = Some(spec.entrypoint.clone());
    run.cmd = Some(spec.cmd.clone());
    if run.working_dir.is_empty() {
        run.working_dir = "/".to_owned();
    }
}

/// RFC 3339, in UTC.
pub(crate) fn timestamp(seconds: i64) -> Result<String, OciError> {
    let timestamp = jiff::Timestamp::from_second(seconds).map_err(|error| {
        OciError::invalid(
            "--source-date-epoch",
            format!("{seconds} is no time: {error}"),
        )
    })?;
    Ok(timestamp.to_string())
}
