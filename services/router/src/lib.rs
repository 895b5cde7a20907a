//! The Router: which model answers a prompt, at what price.

#![forbid(unsafe_code)]

pub mod chat;
mod ewma;
pub mod ledger;
pub mod money;
pub mod provider;
mod tokens;
