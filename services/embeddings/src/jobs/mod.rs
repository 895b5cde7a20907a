//! Jobs: many thousands of texts, embedded in the background and kept until they are
//! read or expire.
//!
//! A job is cut into chunks. A worker claims a chunk for a while ([`store::Claim`]),
//! embeds it, and stores its results together with the job's progress in one atomic
//! step. So a worker that is killed loses at most the chunks in its hands, which
//! another claims once the lease has run out, and nothing that was stored is embedded
//! again.
//!
//! [`service`] holds the rules, [`store`] keeps jobs (in a file of this machine, or in
//! Redis with Kafka handing out the work), `worker` does the work through an
//! [`embedder`].

pub mod config;
pub mod embedder;
pub mod error;
pub mod job;
mod page;
mod record;
pub mod service;
pub mod store;
mod worker;

pub use config::JobsConfig;
pub use error::JobError;
pub use service::Jobs;
