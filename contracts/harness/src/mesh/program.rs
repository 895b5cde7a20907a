//! Programs that are not ours, started for one run: on free ports, waited for until they
//! answer, ended on drop.

use std::{
    fs::File,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use tokio::net::TcpStream;

/// How long one may take until it listens; each needs about a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running program; ended on drop.
pub(super) struct Program {
    child: Child,
    log: PathBuf,
    folder: tempfile::TempDir,
}

impl Program {
    /// Starts it in a folder of its own that holds these files, and waits until it
    /// listens on this port.
    pub(super) async fn start(
        mut command: Command,
        files: &[(&str, String)],
        port: u16,
    ) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let folder = tempfile::tempdir()?;
        for (path, text) in files {
            let path = folder.path().join(path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, text)?;
        }
        let log = folder.path().join("log");
        let file = File::create(&log)?;
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        let mut program = Self { child, log, folder };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Some(status) = program.child.try_wait()? {
                bail!("{name} ended with {status}:\n{}", program.log());
            }
            ensure!(
                Instant::now() < deadline,
                "{name} does not listen:\n{}",
                program.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(program)
    }

    /// The text of a file that it wrote in its folder; empty before it did.
    pub(super) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Ends it now.
    pub(super) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that nobody listens on.
pub(super) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
