//! The Embeddings service: text to vectors.
//!
//! A request takes this way: [`handler`] turns proto messages into the terms of
//! [`request`], [`engine`] checks them, [`cache`] knows what need not be computed,
//! `scheduler` finds room and a thread, [`model`] does the work, [`reduce`] shortens the
//! vectors, [`output`] writes them, and `handler` answers. [`jobs`] do the same in the
//! background, for many thousands of texts.

#![forbid(unsafe_code)]

pub mod cache;
pub mod config;
pub mod engine;
pub mod handler;
pub mod jobs;
pub mod model;
pub mod output;
mod redis_client;
pub mod reduce;
pub mod remote;
pub mod request;
mod revision;
pub mod scheduler;
pub mod telemetry;

pub use config::EmbeddingsConfig;
pub use engine::{Engine, load};
pub use handler::service;
pub use jobs::Jobs;
pub use redis_client::RedisTls;
