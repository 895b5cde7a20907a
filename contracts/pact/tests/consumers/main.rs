//! What consumers of Signalbox rely on, by example: each test is a call of a small client
//! to a server that answers what its pact says. The pacts that they write are verified
//! against the real binaries.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "tests")]

mod grpc;
mod rest;

use std::path::PathBuf;

/// Where the pacts go: `SIGNALBOX_PACTS_OUT`, or nowhere that matters.
fn out() -> PathBuf {
    std::env::var_os("SIGNALBOX_PACTS_OUT").map_or_else(
        || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pacts"),
        PathBuf::from,
    )
}
