//! Reads each layer into a tree, and lays one tree over another.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{ConfigError, ENV_PREFIX, Sources};

/// One layer: what it is called in errors, and what it says.
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) tree: Value,
}

pub(super) fn tree_of<T: Serialize>(settings: &T) -> Value {
    serde_json::to_value(settings).unwrap_or(Value::Null)
}

pub(super) fn read(sources: &Sources) -> Result<Vec<Layer>, ConfigError> {
    let mut layers = Vec::new();
    if let Some(path) = &sources.file {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.clone(),
            source,
        })?;
        let not_yaml = |detail: String| ConfigError::NotYaml {
            path: path.clone(),
            detail,
        };
        let tree = if text
            .lines()
            .all(|line| line.trim_start().starts_with('#') || line.trim().is_empty())
        {
            Value::Object(Map::new())
        } else {
            from_yaml(&text).map_err(|error| not_yaml(error.to_string()))?
        };
        if !tree.is_object() {
            return Err(not_yaml("its top level holds no keys".to_owned()));
        }
        layers.push(Layer {
            name: path.display().to_string(),
            tree,
        });
    }
    // The keys of one source belong together: half of a provider would be refused.
    let mut environment = Value::Null;
    for (name, value) in &sources.env {
        if let Some(key) = name.strip_prefix(ENV_PREFIX) {
            let path: Vec<String> = key.split("__").map(str::to_ascii_lowercase).collect();
            lay_over(&mut environment, nest(&path, scalar(value)));
        }
    }
    let mut flags = Value::Null;
    for flag in &sources.flags {
        let (key, value) = flag
            .split_once('=')
            .ok_or_else(|| ConfigError::NotAPair { flag: flag.clone() })?;
        let path: Vec<String> = key.trim().split('.').map(str::to_owned).collect();
        lay_over(&mut flags, nest(&path, scalar(value)));
    }
    for (name, tree) in [("the environment", environment), ("the flags", flags)] {
        if !tree.is_null() {
            layers.push(Layer {
                name: name.to_owned(),
                tree,
            });
        }
    }
    Ok(layers)
}

/// Lays `upper` over `lower`: mappings merge key by key, everything else is
/// replaced whole. A mapping whose `kind` differs is another thing altogether,
/// so it is replaced too.
pub(super) fn lay_over(lower: &mut Value, upper: Value) {
    match (lower, upper) {
        (Value::Object(lower), Value::Object(upper)) => {
            let other_kind =
                matches!((lower.get("kind"), upper.get("kind")), (Some(a), Some(b)) if a != b);
            if other_kind {
                lower.clear();
            }
            for (key, value) in upper {
                lay_over(lower.entry(key).or_insert(Value::Null), value);
            }
        }
        (lower, upper) => *lower = upper,
    }
}

fn nest(path: &[String], value: Value) -> Value {
    path.iter().rev().fold(value, |value, key| {
        Value::Object(Map::from_iter([(key.clone(), value)]))
    })
}

/// A value of the environment or a flag, read as YAML so that numbers, booleans
/// and lists come out as such; what is no YAML is a string.
fn scalar(text: &str) -> Value {
    if text.is_empty() {
        return Value::String(String::new());
    }
    from_yaml(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// YAML 1.2: `off` and `no` are words, not booleans.
fn from_yaml(text: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true })
}
