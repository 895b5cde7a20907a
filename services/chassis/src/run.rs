//! The life of a serving process, the same for every binary: telemetry, build,
//! listen, announce, serve, drain.

use std::{error::Error, io::Write as _};

use crate::{
    server::{Bound, Server, ServerConfig, signals},
    telemetry::{Telemetry, TelemetryConfig},
};

/// What makes a process this one.
pub struct Process {
    /// The binary's name, in traces and in what it says.
    pub name: &'static str,
    /// The contract, as an encoded `FileDescriptorSet`.
    pub descriptors: &'static [u8],
    /// The listener.
    pub server: ServerConfig,
    /// Logs, traces and metrics.
    pub telemetry: TelemetryConfig,
}

impl Process {
    /// Serves what `services` adds until SIGTERM or SIGINT, then drains. Once it
    /// listens, what `announce` says goes to standard output.
    ///
    /// # Errors
    /// Whatever keeps it from serving.
    pub async fn run(
        self,
        services: impl AsyncFnOnce(Server) -> Result<Server, Box<dyn Error + Send + Sync>>,
        announce: impl FnOnce(&Bound) -> String,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let telemetry = Telemetry::start(&self.telemetry, self.name)?;
        // Caught from here on, so that Ctrl-C during a long start ends it as well.
        let mut terminated = Box::pin(signals::terminated()?);
        let server = Server::new(self.server, telemetry.metrics(), self.descriptors);
        let server = tokio::select! {
            () = &mut terminated => return Ok(()),
            server = services(server) => server?,
        };
        let bound = server.bind().await?;
        let mut out = std::io::stdout();
        out.write_all(announce(&bound).as_bytes())?;
        out.flush()?;
        bound.serve(terminated).await;
        // Sends what is queued; the exporter blocks.
        tokio::task::spawn_blocking(|| telemetry.shutdown()).await?;
        Ok(())
    }
}

/// What a service that runs alone says when it is ready.
pub fn ready_line(name: &str, bound: &Bound) -> String {
    format!("{name} is ready at {}\n", bound.url())
}
