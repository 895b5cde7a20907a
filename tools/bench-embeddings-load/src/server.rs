//! The service as a process of its own, and the processor time that it took.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::Failure;

/// Ticks a second of `/proc/PID/stat` (`USER_HZ`, 100 on Linux wherever it has a
/// stable interface, proc(5)).
const TICKS: f64 = 100.0;

/// A running server; ended when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// Starts the binary on a port of its own choice and waits until it serves.
    pub(crate) fn start(binary: &Path, threads: Option<usize>) -> Result<Self, Failure> {
        let mut command = Command::new(binary);
        command.args(["--set", "server.listen=127.0.0.1:0"]);
        command.args(["--set", "server.limits.max_concurrent_requests=100000"]);
        // The texts repeat; what is measured is computing, not remembering.
        command.args(["--set", "embeddings.cache.ttl_seconds=0"]);
        if let Some(threads) = threads {
            command.arg("--set");
            command.arg(format!("embeddings.worker_threads={threads}"));
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(output).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                Some(
                    line[line.find("http://")?..]
                        .split_whitespace()
                        .next()?
                        .to_owned(),
                )
            })
            .ok_or("the server ended before it was ready")?;
        // Its output must go somewhere, or it would block.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, url })
    }

    /// Processor time that it took so far.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        cpu_of(&format!("/proc/{}/stat", self.child.id()))
    }

    /// Memory that it holds, in MiB.
    pub(crate) fn resident_mib(&self) -> Result<f64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
        Ok(kib.ok_or("no VmRSS")?.trim().parse::<f64>()? / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of this process.
pub(crate) fn own_cpu() -> Result<Duration, Failure> {
    cpu_of("/proc/self/stat")
}

fn cpu_of(path: &str) -> Result<Duration, Failure> {
    let stat = fs::read_to_string(path)?;
    // The name, in parentheses, may hold spaces.
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
    let (user, system) = (field(11), field(12));
    let ticks = user.zip(system).ok_or("no times in /proc")?;
    Ok(Duration::from_secs_f64((ticks.0 + ticks.1) / TICKS))
}
