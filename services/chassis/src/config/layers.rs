//! Reads each layer into a tree, and lays one tree over another.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{ConfigError, ENV_PREFIX, Sources};

/// One layer: what it is called in errors, and what it says.
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) tree: Value,
    /// What was written at each key of the environment or the flags that YAML
    /// makes something other than a string of.
    pub(super) texts: Vec<(Vec<String>, String)>,
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
            texts: Vec::new(),
        });
    }
    // The keys of one source belong together: half of a provider would be refused.
    let mut environment = Pairs::default();
    for (name, value) in &sources.env {
        if let Some(key) = name.strip_prefix(ENV_PREFIX) {
            let path: Vec<String> = key.split("__").map(str::to_ascii_lowercase).collect();
            environment.add(path, value);
        }
    }
    let mut flags = Pairs::default();
    for flag in &sources.flags {
        let (key, value) = flag
            .split_once('=')
            .ok_or_else(|| ConfigError::NotAPair { flag: flag.clone() })?;
        let path: Vec<String> = key.trim().split('.').map(str::to_owned).collect();
        flags.add(path, value);
    }
    for (name, pairs) in [("the environment", environment), ("the flags", flags)] {
        if !pairs.tree.is_null() {
            layers.push(Layer {
                name: name.to_owned(),
                tree: pairs.tree,
                texts: pairs.texts,
            });
        }
    }
    Ok(layers)
}

/// Keys and values of the environment or of the flags.
#[derive(Default)]
struct Pairs {
    tree: Value,
    texts: Vec<(Vec<String>, String)>,
}

impl Pairs {
    fn add(&mut self, path: Vec<String>, text: &str) {
        let value = scalar(text);
        let is_text = value.is_string();
        lay_over(&mut self.tree, nest(&path, value));
        self.texts.retain(|(earlier, _)| *earlier != path);
        if !is_text {
            self.texts.push((path, text.to_owned()));
        }
    }
}

/// The value at a path.
pub(super) fn at<'t>(tree: &'t mut Value, path: &[String]) -> Option<&'t mut Value> {
    path.iter().try_fold(tree, |tree, key| tree.get_mut(key))
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
/// and lists come out as such. What is no YAML is a string as it stands, and so is
/// what YAML would cut short: a key such as `a #b` or `#a` holds no comment.
fn scalar(text: &str) -> Value {
    let as_it_stands = || Value::String(text.to_owned());
    match from_yaml(text) {
        Ok(Value::String(_)) if !text.trim_start().starts_with(['"', '\'']) => as_it_stands(),
        Ok(Value::Null) if !matches!(text.trim(), "~" | "null" | "Null" | "NULL") => as_it_stands(),
        Ok(value) => value,
        Err(_) => as_it_stands(),
    }
}

/// YAML 1.2: `off` and `no` are words, not booleans.
fn from_yaml(text: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true })
}
