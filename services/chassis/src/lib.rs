//! What every Signalbox service is bolted to. No business rule lives here.

#![forbid(unsafe_code)]

pub mod context;
pub mod error;

pub use context::RequestContext;
pub use error::ApiError;
