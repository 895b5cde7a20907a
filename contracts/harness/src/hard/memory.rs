//! What a process holds in memory, as the kernel counts it.

use std::time::Duration;

use anyhow::Context as _;

use crate::platform::Process;

const SAMPLE: Duration = Duration::from_millis(20);

impl Process {
    /// Resident memory now, in bytes.
    pub(super) fn memory(&self) -> anyhow::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib: u64 = kib.context("no VmRSS")?.parse()?;
        Ok(kib << 10)
    }

    /// The most that it holds while this runs, in bytes.
    pub(super) async fn peak_while<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> anyhow::Result<(T, u64)> {
        let mut peak = self.memory()?;
        let mut ticks = tokio::time::interval(SAMPLE);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok((done, peak.max(self.memory()?))),
                _ = ticks.tick() => peak = peak.max(self.memory()?),
            }
        }
    }
}
