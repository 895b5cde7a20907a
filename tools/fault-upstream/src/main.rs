//! The fault-injecting upstream as a program of its own.

#![forbid(unsafe_code)]

use std::{io, net::SocketAddr};

use clap::Parser;
use signalbox_fault_upstream::{FaultUpstream, GRAMMAR};

/// An OpenAI-compatible server that fails on demand
#[derive(Debug, Parser)]
#[command(version, after_long_help = GRAMMAR)]
struct Args {
    /// Where to listen; port 0 takes a free one, which the first line of output names
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let upstream = FaultUpstream::listen(args.listen).await?;
    println!("listening on {}", upstream.base_url());
    tokio::select! {
        () = upstream.run() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}
