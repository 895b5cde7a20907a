//! The Signalbox contract: the messages, clients and servers generated from the
//! `.proto` files beside this crate, and their descriptors.
//!
//! This is the one crate that holds generated types. Its build needs neither a
//! `protoc` binary nor the network.

#![forbid(unsafe_code)]
// Generated code carries the comments of the `.proto` files, not rustdoc's rules.
#![allow(
    missing_docs,
    clippy::doc_markdown,
    clippy::missing_errors_doc,
    unreachable_pub,
    unused_qualifications
)]

/// Embeddings: text to vectors.
pub mod embeddings {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("signalbox.embeddings.v1");
    }
}

/// Guardrails: what must not go in or come out.
pub mod guardrails {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("signalbox.guardrails.v1");
    }
}

/// Router: which model answers a prompt, at what price.
pub mod router {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("signalbox.router.v1");
    }
}

/// The encoded `google.protobuf.FileDescriptorSet` of the contract and all that
/// it imports, with comments and `google.api.http` options.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/signalbox.binpb"));
