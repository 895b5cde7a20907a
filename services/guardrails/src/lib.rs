//! Guardrails: what must not go in or come out of a model.
//!
//! The way of a text through this crate is the list of its modules: `detector`
//! says what to look for, `normalise` folds what merely looks different, `scan` finds
//! candidates in one pass and lets the detectors judge them, `resolve` settles overlaps,
//! `offsets` counts characters, `redact` writes labels. `engine` joins them behind two
//! plain synchronous calls, `stream` for a text that arrives in pieces.
//!
//! What is done about findings is `policy`: profiles as data, and the plan for a request.
//! `operator` says what is written in place of a finding, `custom` brings recognizers of
//! the caller's own, `protect` redacts so that `vault` can undo it, `audit` tells of every
//! decision. `handler` serves all of it over gRPC.

#![forbid(unsafe_code)]

mod audit;
mod config;
mod control;
mod custom;
mod detector;
mod engine;
mod finding;
mod handler;
mod keys;
mod normalise;
mod offsets;
mod operator;
mod policy;
mod protect;
mod redact;
mod resolve;
mod reversible;
mod scan;
mod stream;
mod vault;

pub use audit::{AUDIT_TARGET, AuditConfig, AuditError, AuditEvent, AuditValue, EventPublisher};
pub use config::GuardrailsConfig;
pub use control::ConfigError;
pub use custom::{CustomError, DenySpec, RecognizerSpec};
pub use engine::{DetectorInfo, Engine, EngineError, MAX_DETECTORS, Redacted, Report, Selection};
pub use finding::Finding;
pub use handler::{Handler, service};
pub use keys::{KeyConfig, KeyError};
pub use operator::{OperatorSpec, Scope};
pub use policy::{
    Action, ProfileError,
    spec::{CoverageSpec, ProfileSpec, RulesSpec},
};
pub use reversible::{Pseudonymized, SessionError};
pub use scan::ScanStats;
pub use stream::{MAX_DELAY, Piece, StreamCheck};
pub use vault::{RestoreStream, Restorer, VaultConfig, VaultError, VaultStoreConfig};

/// The classifiers there are, by name. None is built yet.
pub(crate) fn classifiers() -> &'static [&'static str] {
    &[]
}
