//! Makes and checks container images without an engine, a registry or a network, and
//! states what is in them.
//!
//! A build tool's images are only worth trusting if they can be rebuilt to the same digest,
//! so everything here is a function of its inputs alone: no clock, no environment, no order
//! in which a folder happens to list its files, no path of the machine that builds.
//!
//! The parts, in the order in which an image comes to be:
//!
//! - [`base`] assembles the layer below the program (C library, certificates, time zones)
//!   from a Debian root;
//! - [`layer`] writes the program's own layer;
//! - [`image`] joins layers into an OCI image layout;
//! - [`check`] refuses an image that holds more, or less, than its program needs;
//! - [`inventory`] and [`sbom`] say what it is made of.

#![forbid(unsafe_code)]

pub mod base;
pub mod check;
pub mod cli;
mod digest;
mod elf;
mod error;
mod files;
pub mod image;
pub mod inventory;
pub mod layer;
mod layout;
mod path;
pub mod sbom;
mod spec;
mod tree;

pub use crate::{
    digest::Digest, error::OciError, layout::write_archive, path::ImagePath, tree::Tree,
};
