//! The contract as Kong can read it.
//!
//! Kong's `grpc-gateway` plugin reads `.proto` files with a small parser of its own,
//! which refuses or misreads much of what our contract uses. This crate writes the
//! *edge view*: the same messages, services and field numbers in the part of the
//! language that the plugin reads, and Kong's routes from the same source. What the
//! plugin would change without a word goes around it ([`way`]). docs/gateway.md says
//! where each limit was read.

#![forbid(unsafe_code)]

pub mod contract;
pub mod emit;
pub mod files;
pub mod kong;
pub mod limits;
pub mod path;
pub mod token;
pub mod way;
