//! REST transcoding of gRPC services from their `google.api.http` annotations.
//!
//! A [`TranscodeLayer`] stands outermost in front of a gRPC server. A REST
//! request that matches an annotated route becomes a gRPC request, so that
//! authentication, limits and tracing inside see one kind of request; what the
//! server answers becomes JSON, or server-sent events for a stream.
//!
//! Descriptors are read once, at start-up, and compiled into tables. From then on
//! JSON text becomes protobuf bytes, and protobuf bytes JSON text, in one pass
//! each and with no message built in between. `docs/adr/0001-transcoding.md`
//! says why, and `docs/benchmarks/transcoding.md` what it gains.

#![forbid(unsafe_code)]

mod bind;
mod builder;
mod decode;
mod encode;
mod fault;
mod headers;
mod layer;
mod openai;
mod openapi;
mod plan;
mod render;
mod routes;
mod rule;
mod scan;
mod status;
mod template;
mod time;
mod transcoder;
mod wire;

pub use builder::{BuildError, Builder};
pub use layer::{Transcode, TranscodeLayer};
pub use openai::{Quirk, openai_quirks};
pub use openapi::Info;
pub use render::{ErrorShape, error_response};
pub use status::reason;
pub use transcoder::{Lookup, RestRequest, Transcoder};
