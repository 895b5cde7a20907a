//! Every case of the contract against a running Signalbox, plaintext and TLS.
//!
//! [`client`] is the part to copy: a generated client with the habits that calls over a
//! network need. The rest holds the contract to it.

#![forbid(unsafe_code)]

mod cases;
mod client;

/// What tonic-prost-build wrote.
#[allow(
    missing_docs,
    clippy::all,
    unreachable_pub,
    unused_qualifications,
    reason = "generated"
)]
mod generated {
    pub(crate) mod embeddings {
        tonic::include_proto!("signalbox.embeddings.v1");
    }
    pub(crate) mod guardrails {
        tonic::include_proto!("signalbox.guardrails.v1");
    }
    pub(crate) mod router {
        tonic::include_proto!("signalbox.router.v1");
    }
    /// The encoded `google.protobuf.FileDescriptorSet` of all of it.
    pub(crate) const DESCRIPTORS: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/signalbox.binpb"));
}

use std::process::ExitCode;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let older = std::env::args().any(|argument| argument == "--older");
    Ok(match cases::run(older).await? {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
