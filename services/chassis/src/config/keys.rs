//! Turns a tree into settings, and serde's complaint into one that names the key
//! and the fix.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ConfigError;

/// Names further away than this are no help as a hint.
const LEAST_LIKENESS: f64 = 0.6;

pub(super) fn parse<T: DeserializeOwned>(tree: &Value, layer: &str) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let path = error.path().to_string();
        let detail = error.inner().to_string();
        match unknown_field(&detail) {
            Some((key, known)) => ConfigError::UnknownKey {
                layer: layer.to_owned(),
                nearest: nearest(&key, &known).map(|near| beside(&path, &key, &near)),
                key: beside(&path, &key, &key),
            },
            None => ConfigError::BadValue {
                layer: layer.to_owned(),
                key: path,
                detail,
            },
        }
    })
}

/// The name among `known` that is most like `name`.
fn nearest(name: &str, known: &[String]) -> Option<String> {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate.clone())
}

/// serde's "unknown field `a`, expected one of `b`, `c`" as `a` and `[b, c]`.
fn unknown_field(detail: &str) -> Option<(String, Vec<String>)> {
    let rest = detail.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    let known = rest
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    Some((key.to_owned(), known))
}

/// `name` in the mapping that `path` names; serde's path may or may not end with
/// the offending key.
fn beside(path: &str, key: &str, name: &str) -> String {
    let parent = match path.strip_suffix(key) {
        Some(parent) if parent.is_empty() || parent.ends_with('.') => parent.trim_end_matches('.'),
        _ => path,
    };
    match parent {
        "" | "." => name.to_owned(),
        parent => format!("{parent}.{name}"),
    }
}
