//! Layered configuration: defaults, then a YAML file, then the environment, then
//! flags.
//!
//! Each layer is checked the moment it is laid over the ones below, so that an
//! error names the layer that holds it, the key, and the nearest key that exists.

mod keys;
mod layers;
mod secret;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use self::secret::Secret;

/// Environment variables of this prefix are configuration:
/// `SIGNALBOX__SERVER__LISTEN` is `server.listen`.
pub const ENV_PREFIX: &str = "SIGNALBOX__";

/// A configuration that can be loaded in layers.
pub trait Settings: Serialize + DeserializeOwned + JsonSchema + Default {}

impl<T: Serialize + DeserializeOwned + JsonSchema + Default> Settings for T {}

/// Where the layers over the defaults come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The YAML file.
    pub file: Option<PathBuf>,
    /// Environment variables; only those with [`ENV_PREFIX`] are read.
    pub env: Vec<(String, String)>,
    /// `key=value` pairs in the order of the command line, as in
    /// `server.listen=127.0.0.1:7000`.
    pub flags: Vec<String>,
}

impl Sources {
    /// This file, the process's environment, and these flags.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<String>) -> Self {
        // Names and values that are not UTF-8 cannot be configuration.
        let env = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { file, env, flags }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no YAML mapping.
    #[error("{} is not a YAML mapping: {detail}", path.display())]
    NotYaml {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        detail: String,
    },
    /// A flag is no `key=value`.
    #[error("`{flag}` is not of the form key=value, as in server.listen=127.0.0.1:7000")]
    NotAPair {
        /// The flag.
        flag: String,
    },
    /// A key that does not exist.
    #[error("unknown key `{key}` in {layer}{}", hint(nearest))]
    UnknownKey {
        /// The layer that holds it.
        layer: String,
        /// The key with its path.
        key: String,
        /// The nearest key that exists there.
        nearest: Option<String>,
    },
    /// A value that does not fit its key.
    #[error("{layer}: `{key}` {detail}")]
    BadValue {
        /// The layer that holds it.
        layer: String,
        /// The key with its path.
        key: String,
        /// What is accepted.
        detail: String,
    },
}

fn hint(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map_or_else(String::new, |key| format!("; did you mean `{key}`?"))
}

/// Loads a configuration from its layers.
///
/// # Errors
/// [`ConfigError`] of the first layer that does not fit.
pub fn load<T: Settings>(sources: &Sources) -> Result<T, ConfigError> {
    let mut tree = layers::tree_of(&T::default());
    let mut loaded = T::default();
    for layer in layers::read(sources)? {
        layers::lay_over(&mut tree, layer.tree);
        loaded = parse(&mut tree, &layer.name, layer.texts)?;
    }
    Ok(loaded)
}

/// Reads the tree. What looks like a number or a list in the environment or in a
/// flag is taken as it was written where it is refused otherwise: a key of digits
/// is a string.
fn parse<T: DeserializeOwned>(
    tree: &mut Value,
    layer: &str,
    mut texts: Vec<(Vec<String>, String)>,
) -> Result<T, ConfigError> {
    let mut refusal = match keys::parse(tree, layer) {
        Ok(loaded) => return Ok(loaded),
        Err(refusal) => refusal,
    };
    let mut next = 0;
    while let Some((path, text)) = texts.get(next) {
        next += 1;
        let Some(place) = layers::at(tree, path) else {
            continue;
        };
        let value = std::mem::replace(place, Value::String(text.clone()));
        let other = match keys::parse(tree, layer) {
            Ok(loaded) => return Ok(loaded),
            Err(other) => other,
        };
        let said = other.to_string();
        if said != refusal.to_string() && !said.contains(&format!("string {text:?}")) {
            // That was it, and something else is refused now: all others again.
            refusal = other;
            texts.remove(next - 1);
            next = 0;
        } else if let Some(place) = layers::at(tree, path) {
            *place = value;
        }
    }
    Err(refusal)
}

/// The effective configuration as YAML, secrets redacted.
pub fn print<T: Settings>(settings: &T) -> String {
    serde_saphyr::to_string(settings)
        .unwrap_or_else(|error| format!("# cannot be shown: {error}\n"))
}

/// The configuration's JSON Schema.
pub fn schema<T: Settings>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// The file to load when none is named: `signalbox.yaml` in the current folder,
/// if it is there.
pub fn default_file() -> Option<PathBuf> {
    let path = Path::new("signalbox.yaml");
    path.exists().then(|| path.to_path_buf())
}

#[cfg(test)]
mod tests;
