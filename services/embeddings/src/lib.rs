//! The Embeddings service: text to vectors.
//!
//! A request takes this way: [`handler`] turns proto messages into the terms of
//! [`request`], [`engine`] checks them and finds room and a thread, [`model`] does
//! the work, and `handler` answers.

#![forbid(unsafe_code)]

pub mod config;
pub mod engine;
pub mod handler;
pub mod model;
pub mod remote;
pub mod request;
pub mod telemetry;

pub use config::EmbeddingsConfig;
pub use engine::{Engine, load};
pub use handler::service;
