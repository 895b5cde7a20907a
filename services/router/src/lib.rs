//! The Router: which model answers a prompt, at what price.

#![forbid(unsafe_code)]

mod assemble;
mod catalog;
pub mod chat;
pub mod config;
mod ewma;
pub mod guard;
mod handler;
pub mod ledger;
pub mod money;
mod names;
mod pipeline;
pub mod provider;
mod router;
mod stats;
mod strategy;
pub mod telemetry;
#[cfg(test)]
mod testing;
mod tokens;

pub use assemble::build;
pub use handler::{Handler, service};
pub use router::{Backends, BuildError, Router};
