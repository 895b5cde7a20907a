//! Why a request could not be read: where, what was expected, what was found.
//!
//! A fault is boxed, so that the happy path of the decoder moves one pointer,
//! and its path is built only on the way out of a failure.

use std::fmt::Write as _;

/// A result of reading the request.
pub(crate) type Read<T> = Result<T, Fault>;

/// A wrong request.
#[derive(Debug)]
pub(crate) struct Fault(Box<Inner>);

#[derive(Debug)]
enum Inner {
    /// Not JSON, at this byte.
    Syntax { at: usize, message: String },
    /// JSON that does not fit the message. The path is innermost first.
    Field { path: Vec<Step>, message: String },
    /// A field occurs twice: read again, last one wins.
    Duplicate,
}

#[derive(Debug)]
enum Step {
    Name(String),
    Index(usize),
    Key(String),
}

/// A fault in the words of the reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The body is not JSON; the message holds line and column.
    Json(String),
    /// A field, as a path such as `messages[2].role`, and what is wrong with it.
    Field(String, String),
}

impl Fault {
    pub(crate) fn syntax(at: usize, message: impl Into<String>) -> Self {
        Self(Box::new(Inner::Syntax {
            at,
            message: message.into(),
        }))
    }

    pub(crate) fn field(message: impl Into<String>) -> Self {
        Self(Box::new(Inner::Field {
            path: Vec::new(),
            message: message.into(),
        }))
    }

    pub(crate) fn duplicate() -> Self {
        Self(Box::new(Inner::Duplicate))
    }

    pub(crate) fn is_duplicate(&self) -> bool {
        matches!(*self.0, Inner::Duplicate)
    }

    fn step(mut self, step: Step) -> Self {
        if let Inner::Field { path, .. } = &mut *self.0 {
            path.push(step);
        }
        self
    }

    /// The fault lies in this field.
    pub(crate) fn in_field(self, name: &str) -> Self {
        self.step(Step::Name(name.to_owned()))
    }

    /// The fault lies in this element.
    pub(crate) fn at_index(self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    /// The fault lies in this map entry.
    pub(crate) fn at_key(self, key: &str) -> Self {
        self.step(Step::Key(shorten(key)))
    }

    /// What to tell the caller about `text`, the JSON that was read.
    pub(crate) fn report(self, text: &str) -> Report {
        match *self.0 {
            Inner::Syntax { at, message } => {
                let (line, column) = line_and_column(text, at);
                Report::Json(format!("{message} at line {line}, column {column}"))
            }
            Inner::Field { path, message } => Report::Field(render(&path), message),
            // The decoder reads again instead of reporting this one.
            Inner::Duplicate => Report::Json("a field occurs twice".to_owned()),
        }
    }
}

fn render(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path.iter().rev() {
        match step {
            Step::Name(name) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(name);
            }
            Step::Index(index) => drop(write!(out, "[{index}]")),
            Step::Key(key) => drop(write!(out, "[{key:?}]")),
        }
    }
    out
}

/// Both count from 1; a column is a character.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    let line_start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let starts = before[line_start..]
        .iter()
        .filter(|&&byte| byte & 0xc0 != 0x80);
    (line, starts.count() + 1)
}

/// A caller's text, short enough to repeat in an error.
pub(crate) fn shorten(text: &str) -> String {
    const LIMIT: usize = 48;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_from_the_outside_in() {
        let fault = Fault::field("wrong")
            .in_field("role")
            .at_index(2)
            .in_field("messages");
        let report = fault.report("");
        assert_eq!(
            report,
            Report::Field("messages[2].role".into(), "wrong".into())
        );
        let fault = Fault::field("wrong").at_key("a b").in_field("labels");
        assert_eq!(
            fault.report(""),
            Report::Field("labels[\"a b\"]".into(), "wrong".into())
        );
    }

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let fault = Fault::syntax(8, "bad");
        assert_eq!(
            fault.report("{\n\u{e9}\u{e9}: x"),
            Report::Json("bad at line 2, column 5".into())
        );
        let fault = Fault::syntax(99, "bad");
        assert_eq!(
            fault.report("ab"),
            Report::Json("bad at line 1, column 3".into())
        );
    }
}
