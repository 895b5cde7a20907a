//! The configurations of `contracts/mesh`: text with `${VARIABLES}`, as an operator fills
//! it with `envsubst`, and several of them in one Envoy.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Map, Value};

/// What a policy is made of. Without these keys Envoy only forwards.
const POLICY_KEYS: &[&str] = &[
    "circuit_breakers",
    "outlier_detection",
    "require_client_certificate",
    "retry_policy",
    "tracing",
    "typed_per_filter_config",
    "validation_context",
];
/// The only HTTP filter that is no policy.
const ROUTER: &str = "envoy.filters.http.router";

/// Where the configurations are, and the variables that all of them share.
pub(super) struct Templates {
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Templates {
    pub(super) fn new(root: &Path, variables: Vec<(&'static str, String)>) -> Self {
        Self {
            folder: root.join("contracts/mesh"),
            variables,
        }
    }

    /// One configuration with its variables filled in.
    pub(super) fn fill(&self, name: &str, more: &[(&str, &str)]) -> anyhow::Result<Value> {
        let path = self.folder.join(name).with_extension("yaml");
        let mut text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let shared = self.variables.iter().map(|(k, v)| (*k, v.as_str()));
        for (key, value) in more.iter().copied().chain(shared) {
            text = text.replace(&format!("${{{key}}}"), value);
        }
        if let Some((_, rest)) = text.split_once("${") {
            let variable = rest.split('}').next().unwrap_or_default();
            bail!("{name}.yaml: nobody says what `{variable}` is");
        }
        // As Envoy reads it: `n` and `yes` are words.
        let options = serde_saphyr::options! { strict_booleans: true };
        serde_saphyr::from_str_with_options(&text, options)
            .with_context(|| format!("{name}.yaml is not YAML"))
    }
}

/// One bootstrap with the listeners and clusters of all these.
pub(super) fn merged(configurations: Vec<Value>) -> anyhow::Result<Value> {
    let mut whole = Map::new();
    for configuration in configurations {
        let Value::Object(configuration) = configuration else {
            bail!("a configuration is a mapping");
        };
        for (key, value) in configuration {
            match (key.as_str(), whole.get_mut(&key)) {
                (_, None) => {
                    whole.insert(key, value);
                }
                ("static_resources", Some(there)) => {
                    for kind in ["listeners", "clusters"] {
                        let more = value[kind].as_array().cloned().unwrap_or_default();
                        let list = there[kind].as_array_mut();
                        list.with_context(|| format!("no {kind}"))?.extend(more);
                    }
                }
                (_, Some(there)) => ensure!(*there == value, "two different `{key}`"),
            }
        }
    }
    Ok(Value::Object(whole))
}

/// Takes every policy out.
pub(super) fn without_policies(configuration: &mut Value) {
    match configuration {
        Value::Object(map) => {
            map.retain(|key, _| !POLICY_KEYS.contains(&key.as_str()));
            if let Some(filters) = map.get_mut("http_filters").and_then(Value::as_array_mut) {
                filters.retain(|filter| filter["name"] == ROUTER);
            }
            map.values_mut().for_each(without_policies);
        }
        Value::Array(list) => list.iter_mut().for_each(without_policies),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_variable_that_nobody_sets_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mesh = folder.path().join("contracts/mesh");
        std::fs::create_dir_all(&mesh).unwrap();
        std::fs::write(mesh.join("a.yaml"), "port: ${PORT}\nname: ${NAME}").unwrap();
        let templates = Templates::new(folder.path(), vec![("PORT", "7".to_owned())]);
        let error = templates.fill("a", &[]).unwrap_err().to_string();
        assert_eq!(error, "a.yaml: nobody says what `NAME` is");
        let filled = templates.fill("a", &[("NAME", "n")]).unwrap();
        assert_eq!(filled, json!({"port": 7, "name": "n"}));
    }

    #[test]
    fn two_configurations_become_one_with_the_listeners_and_clusters_of_both() {
        let part = |name: &str| json!({"static_resources": {"listeners": [name], "clusters": []}});
        let whole = merged(vec![part("a"), part("b")]).unwrap();
        assert_eq!(whole["static_resources"]["listeners"], json!(["a", "b"]));
        let other = json!({"layered_runtime": 1});
        let error = merged(vec![other, json!({"layered_runtime": 2})]).unwrap_err();
        assert_eq!(error.to_string(), "two different `layered_runtime`");
    }

    #[test]
    fn without_policies_only_forwarding_is_left() {
        let mut configuration = json!({
            "http_filters": [{"name": "envoy.filters.http.rbac"}, {"name": ROUTER}],
            "routes": [{"route": {"cluster": "a", "retry_policy": {}}}],
        });
        without_policies(&mut configuration);
        let left = json!({
            "http_filters": [{"name": ROUTER}],
            "routes": [{"route": {"cluster": "a"}}],
        });
        assert_eq!(configuration, left);
    }
}
