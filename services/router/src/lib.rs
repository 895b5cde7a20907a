//! The Router: which model answers a prompt, at what price.

#![forbid(unsafe_code)]

pub mod chat;
pub mod provider;
