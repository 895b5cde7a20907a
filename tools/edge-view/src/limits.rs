//! What Kong's `grpc-gateway` plugin can read, as a strict reader of one `.proto` file:
//! whatever is not on the short list of what the view may use is refused by name.
//!
//! It shares nothing with the writer (`emit.rs`), so that a mistake there is found here.
//! Sources of each limit: docs/gateway.md.

mod reader;
mod rules;

use std::fmt;

use thiserror::Error;

pub use reader::{Message, Rpc, View};

/// What the plugin does not read, or reads wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// `optional` and `required`: refused in proto3, or refused for their lack in proto2.
    Label,
    /// Anything but proto3, editions among it.
    Syntax,
    /// `[...]` after a field or a value: gives the field the default value `nil`.
    FieldOption,
    /// `option` of a file, message, enum or service: never needed.
    Option,
    /// `oneof`: every member is written.
    Oneof,
    /// A type of `google.*`: has a meaning of its own, or is not there.
    Foreign,
    /// `import`: no `google/api` file is shipped.
    Import,
    /// `stream`: answers would be run together without a separator.
    Stream,
    /// `extend`, `extensions`, `group`, `reserved`: never needed.
    Other,
    /// `response_body`: ignored.
    ResponseBody,
    /// A second additional binding: overwrites the first.
    Bindings,
    /// A binding that is not GET, PUT, POST, PATCH or DELETE, or not one of them.
    Verb,
    /// A path that the plugin's regular expression would read differently.
    Path,
    /// A path that an earlier declaration takes.
    Order,
    /// A name in camelCase: only the name as written is read from JSON.
    Name,
    /// A type, field or number that is not there or is there twice.
    Type,
    /// Not the grammar of the view at all.
    Grammar,
}

/// A file is outside of what the plugin can read.
#[derive(Debug, Error, PartialEq, Eq)]
pub struct LimitError {
    /// The limit.
    pub limit: Limit,
    /// The line, from 1.
    pub line: usize,
    /// What stands there.
    pub what: String,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {} ({:?})", self.line, self.what, self.limit)
    }
}

impl LimitError {
    fn new(limit: Limit, line: usize, what: impl Into<String>) -> Self {
        Self {
            limit,
            line,
            what: what.into(),
        }
    }
}

/// Reads a view and checks every limit.
///
/// # Errors
/// Names the first limit that the file does not keep.
pub fn check(text: &str) -> Result<View, LimitError> {
    let view = reader::read(text)?;
    rules::check(&view)?;
    Ok(view)
}
