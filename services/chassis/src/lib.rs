//! What every Signalbox service is bolted to. No business rule lives here.

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod context;
pub mod error;
pub mod run;
pub mod server;
pub mod telemetry;
pub mod tls;

pub use context::RequestContext;
pub use error::ApiError;
