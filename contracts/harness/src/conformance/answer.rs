//! An answer in a form that can be compared: what varies is masked, numbers are equal
//! however they are written, and events and lines are lists of what they hold.

use std::process::ExitStatus;

use anyhow::Context as _;
use hyper::{Response, body::Bytes};
use serde_json::{Map, Value, json};

use super::table::Expect;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: hyper::HeaderMap,
    /// The media type, without its parameters.
    pub(super) media: String,
    text: String,
    /// JSON, or a list of it for a stream; a string where it is neither.
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn of(response: Response<Bytes>, masked: &[String]) -> Self {
        let (parts, body) = response.into_parts();
        let text = String::from_utf8_lossy(&body).into_owned();
        let header = parts.headers.get(hyper::header::CONTENT_TYPE);
        let media = header
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .unwrap_or_default()
            .to_owned();
        let mut body = match media.as_str() {
            "text/event-stream" => text.split_terminator("\n\n").map(event).collect(),
            "application/x-ndjson" => text.lines().map(json_or_text).collect(),
            _ if text.is_empty() => Value::Null,
            _ => json_or_text(&text),
        };
        mask(&mut body, masked);
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            media,
            text,
            body,
        }
    }

    /// There is none: the server ended. Its status is 0.
    pub(super) fn ended(how: ExitStatus) -> Self {
        let text = format!("it ended: {how}");
        Self {
            status: 0,
            headers: hyper::HeaderMap::new(),
            media: String::new(),
            body: text.as_str().into(),
            text,
        }
    }

    /// What the answer lacks of what is expected.
    pub(super) fn lacks(&self, expect: &Expect) -> Option<String> {
        if self.status != expect.status {
            let (status, found) = (expect.status, self.status);
            return Some(format!(
                "status {found} instead of {status}: {}",
                self.text()
            ));
        }
        for (name, value) in &expect.headers {
            let found = self.headers.get(name).and_then(|value| value.to_str().ok());
            if found != value.as_deref() {
                return Some(format!("header {name} is {found:?} instead of {value:?}"));
            }
        }
        if let Some(part) = &expect.body
            && let Some(problem) = lacks(&self.body, part, "")
        {
            return Some(problem);
        }
        if let Some(whole) = &expect.exact
            && !same(&self.body, whole)
        {
            return Some(format!("the JSON is {} instead of {whole}", self.body));
        }
        if let Some(part) = &expect.text
            && !self.text.contains(part)
        {
            return Some(format!("{part:?} is not in {}", self.text()));
        }
        None
    }

    /// What differs between two answers.
    pub(super) fn differs(&self, other: &Self) -> Option<String> {
        if self.status != other.status {
            return Some(format!("status {} and {}", self.status, other.status));
        }
        if self.media != other.media {
            return Some(format!("{} and {}", self.media, other.media));
        }
        difference(&self.body, &other.body, "")
    }

    /// The text, no longer than a line.
    pub(super) fn text(&self) -> String {
        shortened(&self.text, 200)
    }
}

pub(super) fn shortened(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

fn event(text: &str) -> Value {
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    let members: Map<String, Value> = lines
        .map(|(name, value)| (name.to_owned(), json_or_text(value)))
        .collect();
    members.into()
}

fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

fn mask(value: &mut Value, names: &[String]) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if names.contains(name) && !value.is_null() {
                    *value = json!("(varies)");
                } else {
                    mask(value, names);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|e| mask(e, names)),
        _ => {}
    }
}

fn same(left: &Value, right: &Value) -> bool {
    difference(left, right, "").is_none()
}

/// The first place where two values differ.
fn difference(left: &Value, right: &Value, path: &str) -> Option<String> {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            names.into_iter().find_map(|name| {
                let path = format!("{path}.{name}");
                match (a.get(name), b.get(name)) {
                    (Some(left), Some(right)) => difference(left, right, &path),
                    (left, _) => {
                        let side = if left.is_some() { "first" } else { "second" };
                        Some(format!("{path} is only in the {side}"))
                    }
                }
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => (a.iter().zip(b).enumerate())
            .find_map(|(index, (left, right))| {
                difference(left, right, &format!("{path}[{index}]"))
            }),
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        _ if left == right => None,
        _ => {
            let (left, right) = (left.to_string(), right.to_string());
            let (left, right) = (shortened(&left, 200), shortened(&right, 200));
            Some(format!("{path}: {left} and {right}"))
        }
    }
}

/// What `value` lacks of `part`.
fn lacks(value: &Value, part: &Value, path: &str) -> Option<String> {
    match (value, part) {
        (Value::Object(members), Value::Object(parts)) => parts.iter().find_map(|(name, part)| {
            let path = format!("{path}.{name}");
            match members.get(name) {
                Some(value) => lacks(value, part, &path),
                None => Some(format!("{path} is missing")),
            }
        }),
        (Value::Array(elements), Value::Array(parts)) if elements.len() == parts.len() => {
            (elements.iter().zip(parts).enumerate())
                .find_map(|(index, (value, part))| lacks(value, part, &format!("{path}[{index}]")))
        }
        _ => difference(value, part, path),
    }
}

/// Sends a case's request and reads the answer.
pub(super) async fn ask(
    case: &super::table::Case,
    address: &str,
    masked: &[String],
) -> anyhow::Result<Answer> {
    let response = crate::web::send(address, case.request()?)
        .await
        .with_context(|| format!("`{}`", case.name))?;
    Ok(Answer::of(response, masked))
}
