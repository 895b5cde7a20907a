//! The Router: which model answers a prompt, at what price.

#![forbid(unsafe_code)]

mod catalog;
pub mod chat;
pub mod config;
mod ewma;
pub mod guard;
pub mod ledger;
pub mod money;
mod names;
pub mod provider;
mod stats;
mod strategy;
pub mod telemetry;
mod tokens;
