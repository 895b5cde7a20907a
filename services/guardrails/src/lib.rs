//! Guardrails: what must not go in or come out of a model.
//!
//! The way of a text through this crate is the list of its modules: `detector`
//! says what to look for, `scan` finds candidates in one pass and lets the
//! detectors judge them, `resolve` settles overlaps, `offsets` counts characters,
//! `redact` writes labels. `engine` joins them behind two plain synchronous calls;
//! `handler` serves those over gRPC.

#![forbid(unsafe_code)]

mod config;
mod detector;
mod engine;
mod finding;
mod handler;
mod offsets;
mod policy;
mod redact;
mod resolve;
mod scan;

pub use config::GuardrailsConfig;
pub use engine::{DetectorInfo, Engine, EngineError, MAX_DETECTORS, Redacted, Report, Selection};
pub use finding::Finding;
pub use handler::{Handler, service};
pub use scan::ScanStats;
