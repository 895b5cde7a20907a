//! A running Envoy, as an operator would start it: a configuration in, addresses out.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use http_body_util::Full;
use hyper::{Request, body::Bytes};
use serde_json::Value;

use crate::{tools, web};

/// How long Envoy may take until it serves; it needs well under a second when idle.
const PATIENCE: Duration = Duration::from_secs(60);

/// Envoy on free ports; ended on drop.
pub(crate) struct Envoy {
    /// `127.0.0.1:PORT` of the admin pages.
    admin: String,
    /// By name.
    listeners: BTreeMap<String, String>,
    log: PathBuf,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Envoy {
    /// Starts Envoy with a bootstrap configuration (YAML or JSON; the admin address is
    /// added) and waits until all is ready. Listeners are best given port 0; see
    /// [`Self::listener`].
    pub(crate) async fn start(config: &str) -> anyhow::Result<Self> {
        let binary = binary()?;
        let folder = tempfile::tempdir()?;
        let config_path = folder.path().join("envoy.yaml");
        std::fs::write(&config_path, config)?;
        let log = folder.path().join("envoy.log");
        let admin_path = folder.path().join("admin");
        let child = Command::new(&binary)
            .arg("--config-path")
            .arg(&config_path)
            // Merged over the file.
            .arg("--config-yaml")
            .arg("admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}")
            .arg("--admin-address-path")
            .arg(&admin_path)
            .args(["--concurrency", "1", "--disable-hot-restart"])
            .args(["--log-level", "warning"])
            // Where a core dump may land, so paths in a configuration are absolute.
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("{} does not start", binary.display()))?;
        let mut envoy = Self {
            admin: String::new(),
            listeners: BTreeMap::new(),
            log,
            child,
            _folder: folder,
        };
        match envoy.ready(&admin_path).await {
            Ok(()) => Ok(envoy),
            Err(error) => Err(error.context(format!("Envoy says:\n{}", envoy.log()))),
        }
    }

    /// `127.0.0.1:PORT` of the listener with this name.
    pub(crate) fn listener(&self, name: &str) -> anyhow::Result<&str> {
        let address = self.listeners.get(name).map(String::as_str);
        address.with_context(|| format!("Envoy has no listener `{name}`"))
    }

    /// The text of an admin page, such as `/stats?filter=retry`.
    pub(crate) async fn admin(&self, path: &str) -> anyhow::Result<String> {
        let request = Request::get(path).body(Full::<Bytes>::default())?;
        let answer = web::send(&self.admin, request).await?;
        ensure!(
            answer.status().is_success(),
            "Envoy's {path} answers {}",
            answer.status()
        );
        Ok(String::from_utf8_lossy(answer.body()).into_owned())
    }

    /// Such as `1.40.0`.
    pub(crate) async fn version(&self) -> anyhow::Result<String> {
        let info: Value = serde_json::from_str(&self.admin("/server_info").await?)?;
        // COMMIT/VERSION/STATE/BUILD/TLS
        let version = info["version"].as_str().and_then(|v| v.split('/').nth(1));
        Ok(version
            .context("Envoy does not say its version")?
            .to_owned())
    }

    /// What Envoy logged so far, warnings and worse. It quotes whole configurations in
    /// one line, so lines are cut.
    pub(crate) fn log(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines = text.lines().map(|line| line.chars().take(500).collect());
        lines.collect::<Vec<String>>().join("\n")
    }

    /// Whether Envoy has ended by itself, and how. After a connection that broke off:
    /// its sockets close a moment before the process is gone.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        for _ in 0..100 {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(None)
    }

    async fn ready(&mut self, admin_path: &Path) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status} before it was ready");
            }
            if let Ok(address) = std::fs::read_to_string(admin_path)
                && !address.is_empty()
            {
                self.admin = address;
                if self.admin("/ready").await.is_ok() {
                    break;
                }
            }
            ensure!(Instant::now() < deadline, "it is not ready in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let all: Value = serde_json::from_str(&self.admin("/listeners?format=json").await?)?;
        for listener in all["listener_statuses"].as_array().into_iter().flatten() {
            let socket = &listener["local_address"]["socket_address"];
            let (Some(name), Some(host), Some(port)) = (
                listener["name"].as_str(),
                socket["address"].as_str(),
                socket["port_value"].as_u64(),
            ) else {
                continue;
            };
            self.listeners
                .insert(name.to_owned(), format!("{host}:{port}"));
        }
        Ok(())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `SIGNALBOX_ENVOY`, or what `tools/setup/envoy.sh` installs.
fn binary() -> anyhow::Result<PathBuf> {
    match std::env::var_os("SIGNALBOX_ENVOY") {
        Some(chosen) => Ok(chosen.into()),
        None => tools::path("envoy/bin/envoy", "envoy.sh"),
    }
}
