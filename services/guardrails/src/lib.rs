//! Guardrails: what must not go in or come out of a model.
//!
//! The way of a text through this crate is the list of its modules: `detector`
//! says what to look for, `normalise` folds what merely looks different, `scan` finds
//! candidates in one pass and lets the detectors judge them, `resolve` settles overlaps,
//! `offsets` counts characters, `redact` writes labels. `engine` joins them behind two
//! plain synchronous calls, `stream` for a text that arrives in pieces; `handler`
//! serves those over gRPC.

#![forbid(unsafe_code)]

mod config;
mod detector;
mod engine;
mod finding;
mod handler;
mod normalise;
mod offsets;
mod policy;
mod redact;
mod resolve;
mod scan;
mod stream;

pub use config::GuardrailsConfig;
pub use engine::{Engine, EngineError, MAX_DETECTORS, Redacted, Report, Selection};
pub use finding::Finding;
pub use handler::{Handler, service};
pub use scan::ScanStats;
pub use stream::{MAX_DELAY, Piece, StreamCheck};
