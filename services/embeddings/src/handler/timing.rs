//! Tells a caller where its request's time went, in the header that browsers' tools and
//! proxies read: `server-timing` (<https://www.w3.org/TR/server-timing/>), durations in
//! milliseconds.

use std::fmt::Write as _;

use tonic::metadata::{MetadataMap, MetadataValue};

use crate::scheduler::Phases;

const SERVER_TIMING: &str = "server-timing";

/// Adds the header.
pub(super) fn add(metadata: &mut MetadataMap, phases: &Phases) {
    let mut text = String::new();
    for (name, elapsed) in phases.named() {
        let separator = if text.is_empty() { "" } else { ", " };
        let ms = elapsed.as_secs_f64() * 1e3;
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{name};dur={ms:.3}");
    }
    if let Ok(value) = MetadataValue::try_from(text) {
        metadata.insert(SERVER_TIMING, value);
    }
}
