//! An OpenAI-compatible HTTP server that fails on demand. Tests and benchmarks of
//! the Router stand on it: what a provider can do to a client, this server does, and
//! it records what really reached it.
//!
//! ```no_run
//! # async fn example() -> Result<(), signalbox_fault_upstream::WaitTimeout> {
//! use std::time::Duration;
//! use signalbox_fault_upstream::{End, FaultUpstream};
//!
//! let upstream = FaultUpstream::start().await;
//! // ... point a client at upstream.base_url() and ask the model
//! // "fault/tokens=20,rate=50", then drop its answer half-way ...
//! let gone = |record: &signalbox_fault_upstream::Record| {
//!     record.outcome.end == End::ClientDisconnected
//! };
//! upstream
//!     .wait_for(|records| records.iter().any(gone), Duration::from_secs(5))
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! ```text
#![doc = include_str!("grammar.md")]
//! ```
#![forbid(unsafe_code)]

mod answer;
mod behaviour;
mod body;
mod connection;
mod record;
mod server;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinSet};

use crate::{behaviour::Behaviour, record::Log};
pub use crate::{
    behaviour::GrammarError,
    record::{End, Outcome, Record, WaitTimeout},
};

/// What a model name may say; `GET /` and `--help` show it too.
pub const GRAMMAR: &str = include_str!("grammar.md");

/// Checks a model name against the grammar, for configuration that is written by
/// hand.
///
/// # Errors
///
/// Names the token that is wrong.
pub fn check_model(model: &str) -> Result<(), GrammarError> {
    model.parse::<Behaviour>().map(drop)
}

/// A running upstream. Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct FaultUpstream {
    /// Where it listens.
    pub addr: SocketAddr,
    log: Arc<Log>,
    tasks: JoinSet<()>,
}

impl FaultUpstream {
    /// Starts an upstream on a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// When no port can be had: a test cannot go on without one.
    pub async fn start() -> Self {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .expect("a free port of 127.0.0.1")
    }

    /// Starts an upstream on this address.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub async fn listen(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let log = Log::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&log)));
        Ok(Self { addr, log, tasks })
    }

    /// The base URL to give to an `OpenAI` client: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// The last 10,000 requests, oldest first.
    pub fn records(&self) -> Vec<Record> {
        self.log.records()
    }

    /// Forgets all requests and starts `fail-first` anew.
    pub fn clear(&self) {
        self.log.clear();
    }

    /// Waits until the records satisfy `matches`, looking again at every change, and
    /// returns them all. `limit` is tokio's time: a test that pauses the clock lets it
    /// pass as soon as nothing else is to be done, even while sockets are busy.
    ///
    /// # Errors
    ///
    /// When `limit` passes first; the error holds what was recorded by then.
    pub async fn wait_for(
        &self,
        matches: impl Fn(&[Record]) -> bool,
        limit: Duration,
    ) -> Result<Vec<Record>, WaitTimeout> {
        self.log.wait_for(matches, limit).await
    }

    /// Serves until the listener fails, which on a bound socket it does not.
    pub async fn run(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn accept(listener: TcpListener, log: Arc<Log>) {
    let router = server::router(log);
    // Ends with this task, and ends its connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Tokens go out one by one; it fails only on a closed socket.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection::serve(stream, router.clone()));
                }
                // Out of file descriptors, as under a load test: they come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
