//! The kinds of provider that configuration can name. A new kind is one file and one
//! line in each of the two places here.

use std::{path::Path, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Provider,
    local::{LocalConfig, LocalProvider},
    openai_compatible::{OpenAiCompatibleConfig, OpenAiCompatibleProvider, OpenAiConfigError},
};

/// One provider's configuration; `kind` says which sort it is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProviderConfig {
    /// A model in this process.
    Local(LocalConfig),
    /// An HTTP server that speaks `OpenAI`'s chat completions.
    OpenaiCompatible(OpenAiCompatibleConfig),
}

/// Builds a provider of this name. Quick: a local model is loaded in the background.
///
/// `models` is the folder that relative model paths are looked up in; `environment`
/// gives the value of an environment variable.
///
/// # Errors
/// What is wrong with the configuration, naming the field and the fix.
pub fn build(
    name: &str,
    config: ProviderConfig,
    models: &Path,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Arc<dyn Provider>, OpenAiConfigError> {
    Ok(match config {
        ProviderConfig::Local(config) => Arc::new(LocalProvider::new(name, config.within(models))),
        ProviderConfig::OpenaiCompatible(config) => {
            Arc::new(OpenAiCompatibleProvider::new(name, config, environment)?)
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use serde_json::json;

    use super::*;

    fn parse(json: serde_json::Value) -> Result<ProviderConfig, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn the_kind_alone_is_a_whole_configuration() {
        assert_eq!(
            parse(json!({"kind": "local"})).unwrap(),
            ProviderConfig::Local(LocalConfig::default())
        );
        assert_eq!(
            parse(json!({"kind": "openai_compatible"})).unwrap(),
            ProviderConfig::OpenaiCompatible(OpenAiCompatibleConfig::default())
        );
    }

    #[test]
    fn an_unknown_field_and_an_unknown_kind_are_named() {
        let error = parse(json!({"kind": "local", "max_quue": 3})).unwrap_err();
        assert!(
            error.contains("max_quue") && error.contains("max_queue"),
            "{error}"
        );
        // A provider has one name, its key.
        let error = parse(json!({"kind": "local", "name": "mine"})).unwrap_err();
        assert!(error.contains("`name`"), "{error}");
        let error = parse(json!({"kind": "cloud"})).unwrap_err();
        assert!(
            error.contains("cloud") && error.contains("local"),
            "{error}"
        );
    }

    #[test]
    fn a_configuration_survives_being_written() {
        let config = parse(json!({
            "kind": "openai_compatible",
            "base_url": "http://vllm:8000/v1",
            "api_key_env": "VLLM_KEY",
        }));
        let config = config.unwrap();
        assert_eq!(
            parse(serde_json::to_value(&config).unwrap()).unwrap(),
            config
        );
    }

    #[tokio::test]
    async fn each_kind_is_built_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        for kind in ["local", "openai_compatible"] {
            let config = parse(json!({"kind": kind})).unwrap();
            let provider = build("mine", config, folder.path(), |_| None).unwrap();
            assert_eq!(provider.name(), "mine");
        }
    }

    #[test]
    fn a_key_that_is_not_set_is_an_error_that_names_the_variable() {
        let config = parse(json!({"kind": "openai_compatible", "api_key_env": "MY_KEY"})).unwrap();
        let error = build("mine", config, Path::new(""), |_| None)
            .err()
            .unwrap();
        assert!(error.to_string().contains("MY_KEY"), "{error}");
    }

    #[test]
    fn a_base_url_that_cannot_be_used_is_an_error() {
        for url in [
            "",
            "vllm:8000",
            "ftp://host/v1",
            "http://me:pw@host/v1",
            "http://host/v1?a=b",
        ] {
            let config = json!({"kind": "openai_compatible", "base_url": url});
            let error = build("mine", parse(config).unwrap(), Path::new(""), |_| None).err();
            assert!(
                matches!(error, Some(OpenAiConfigError::BaseUrl { .. })),
                "{url}"
            );
        }
    }
}
