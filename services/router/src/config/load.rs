//! From what a user wrote to what a running Router holds: every name is resolved and
//! every limit checked here, once, so that no other module has to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{GuardMode, GuardrailsConfig, ModelConfig, OnFailure, RouteConfig, RouterConfig};
use crate::{
    catalog::{Catalog, Model, Route},
    guard::stream::HoldBack,
    money::Price,
    names,
};

/// Most messages of a conversation, by the contract.
pub(super) const MOST_MESSAGES: u32 = 2_048;

/// Most bytes of all messages: what Guardrails accept of one text, so that a prompt
/// which passes here never fails there.
pub(super) const MOST_PROMPT_BYTES: u32 = 1 << 20;

const MOST_NAME_BYTES: usize = 256;
const MOST_HOLD_BACK_BYTES: u32 = 1 << 16;

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    /// Where it is, from the Router's section on: `models[0].provider`.
    pub key: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl ConfigError {
    fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
        }
    }
}

/// A checked configuration.
pub(crate) struct Loaded {
    pub(crate) catalog: Catalog,
    pub(crate) guard: GuardPolicy,
    pub(crate) limits: Limits,
}

/// What is checked, and what happens where it cannot be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuardPolicy {
    pub(crate) prompt: GuardMode,
    pub(crate) completion: GuardMode,
    pub(crate) on_failure: OnFailure,
    pub(crate) timeout: Duration,
    pub(crate) hold_back: HoldBack,
}

/// What a request may ask for at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) messages: usize,
    pub(crate) prompt_bytes: usize,
}

impl RouterConfig {
    /// Checks everything that can be checked without a provider.
    ///
    /// # Errors
    ///
    /// The first value that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.load().map(drop)
    }

    pub(crate) fn load(&self) -> Result<Loaded, ConfigError> {
        if self.ledger.max_rows == 0 {
            return Err(ConfigError::new("ledger.max_rows", "must be at least 1"));
        }
        let models = self.load_models()?;
        let routes = self.load_routes(&models)?;
        Ok(Loaded {
            catalog: Catalog::new(models.into_values().collect(), routes),
            guard: load_guard(&self.guardrails)?,
            limits: Limits {
                messages: within(
                    "limits.max_messages",
                    self.limits.max_messages,
                    MOST_MESSAGES,
                )?,
                prompt_bytes: within(
                    "limits.max_prompt_bytes",
                    self.limits.max_prompt_bytes,
                    MOST_PROMPT_BYTES,
                )?,
            },
        })
    }

    fn load_models(&self) -> Result<BTreeMap<&str, Arc<Model>>, ConfigError> {
        if self.models.is_empty() {
            return Err(ConfigError::new(
                "models",
                "names no model; add at least one",
            ));
        }
        let mut models = BTreeMap::new();
        for (index, config) in self.models.iter().enumerate() {
            let key = |field: &str| format!("models[{index}].{field}");
            check_name(&key("name"), &config.name)?;
            let providers = self.providers.keys().map(String::as_str);
            exists(&key("provider"), "provider", &config.provider, providers)?;
            if config.context_window == Some(0) {
                let problem = "must be at least 1 token; leave it out when it is unknown";
                return Err(ConfigError::new(key("context_window"), problem));
            }
            let model = Arc::new(load_model(config));
            if models.insert(config.name.as_str(), model).is_some() {
                let problem = format!("`{}` is already the name of another model", config.name);
                return Err(ConfigError::new(key("name"), problem));
            }
        }
        Ok(models)
    }

    fn load_routes(&self, models: &BTreeMap<&str, Arc<Model>>) -> Result<Vec<Route>, ConfigError> {
        self.routes
            .iter()
            .map(|(name, config)| load_route(name, config, models))
            .collect()
    }
}

fn load_model(config: &ModelConfig) -> Model {
    let price = &config.price;
    let input = price.input_usd_per_million_tokens;
    Model {
        name: config.name.as_str().into(),
        provider: config.provider.as_str().into(),
        upstream_name: config
            .upstream_name
            .as_ref()
            .unwrap_or(&config.name)
            .as_str()
            .into(),
        price: Price {
            input,
            cached_input: price.cached_input_usd_per_million_tokens.unwrap_or(input),
            output: price.output_usd_per_million_tokens,
        },
        context_window: config.context_window,
    }
}

fn load_route(
    name: &str,
    config: &RouteConfig,
    models: &BTreeMap<&str, Arc<Model>>,
) -> Result<Route, ConfigError> {
    let key = format!("routes.{name}");
    check_name(&key, name)?;
    if models.contains_key(name) {
        let problem = "is also the name of a model; a request could not tell them apart";
        return Err(ConfigError::new(key, problem));
    }
    if config.models.is_empty() {
        let problem = "names no model; add at least one";
        return Err(ConfigError::new(format!("{key}.models"), problem));
    }
    let mut chosen: Vec<Arc<Model>> = Vec::new();
    for (index, model) in config.models.iter().enumerate() {
        let key = format!("{key}.models[{index}]");
        exists(&key, "model", model, models.keys().copied())?;
        if chosen.iter().any(|known| *known.name == **model) {
            return Err(ConfigError::new(key, format!("`{model}` is named twice")));
        }
        chosen.extend(models.get(model.as_str()).cloned());
    }
    Ok(Route {
        name: name.into(),
        strategy: config.strategy.build(),
        models: chosen,
    })
}

fn load_guard(config: &GuardrailsConfig) -> Result<GuardPolicy, ConfigError> {
    let hold_back = |field: &str, bytes| {
        let key = format!("guardrails.hold_back.{field}");
        within(&key, bytes, MOST_HOLD_BACK_BYTES)
    };
    if config.timeout_ms == 0 {
        return Err(ConfigError::new(
            "guardrails.timeout_ms",
            "must be at least 1",
        ));
    }
    Ok(GuardPolicy {
        prompt: config.prompt,
        completion: config.completion,
        on_failure: config.on_failure,
        timeout: Duration::from_millis(config.timeout_ms),
        hold_back: HoldBack {
            spaced: hold_back("spaced_bytes", config.hold_back.spaced_bytes)?,
            unspaced: hold_back("unspaced_bytes", config.hold_back.unspaced_bytes)?,
        },
    })
}

fn check_name(key: &str, name: &str) -> Result<(), ConfigError> {
    if name.is_empty() || name.len() > MOST_NAME_BYTES {
        let problem = format!("a name has 1 to {MOST_NAME_BYTES} bytes");
        return Err(ConfigError::new(key, problem));
    }
    if name.chars().any(char::is_control) {
        return Err(ConfigError::new(key, "a name holds no control characters"));
    }
    Ok(())
}

fn exists<'a>(
    key: &str,
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), ConfigError> {
    if known.clone().any(|one| one == name) {
        return Ok(());
    }
    let hint = names::hint(name, known.clone());
    let list: Vec<_> = known.map(|one| format!("`{one}`")).collect();
    let list = if list.is_empty() {
        "none is configured".to_owned()
    } else {
        format!("configured: {}", list.join(", "))
    };
    let problem = format!("the {kind} `{name}` does not exist; {hint}{list}");
    Err(ConfigError::new(key, problem))
}

fn within(key: &str, value: u32, most: u32) -> Result<usize, ConfigError> {
    if (1..=most).contains(&value) {
        Ok(value as usize)
    } else {
        Err(ConfigError::new(key, format!("must be 1 to {most}")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{catalog::Target, money::UsdPicos};

    fn problem(change: impl FnOnce(&mut RouterConfig)) -> String {
        let mut config = RouterConfig::default();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn the_default_is_valid_and_survives_being_written_out() {
        let config = RouterConfig::default();
        config.check().unwrap();
        let json = serde_json::to_string(&config).unwrap();
        let read: RouterConfig = serde_json::from_str(&json).unwrap();
        read.check().unwrap();
        let loaded = serde_json::from_str::<RouterConfig>("{}")
            .unwrap()
            .load()
            .unwrap();
        assert!(matches!(
            loaded.catalog.resolve("auto"),
            Ok(Target::Route(_))
        ));
    }

    #[test]
    fn an_unknown_name_names_its_key_and_the_nearest() {
        assert_eq!(
            problem(|config| config.models[0].provider = "locl".to_owned()),
            "models[0].provider: the provider `locl` does not exist; did you mean `local`? \
             configured: `local`"
        );
        assert_eq!(
            problem(|config| config.routes.get_mut("auto").unwrap().models[0] = "x".to_owned()),
            "routes.auto.models[0]: the model `x` does not exist; configured: \
             `SmolLM2-135M-Instruct`"
        );
    }

    #[test]
    fn a_name_that_means_two_things_is_refused() {
        assert!(
            problem(|config| config.models[0].name = "auto".to_owned())
                .starts_with("routes.auto: is also the name")
        );
        assert!(
            problem(|config| config.models.push(config.models[0].clone()))
                .starts_with("models[1].name: `SmolLM2-135M-Instruct` is already")
        );
        assert!(
            problem(|config| {
                let route = config.routes.get_mut("auto").unwrap();
                route.models.push(route.models[0].clone());
            })
            .ends_with("`SmolLM2-135M-Instruct` is named twice")
        );
    }

    #[test]
    fn limits_are_bounded_on_both_sides() {
        for (key, error) in [
            (
                "limits.max_messages",
                problem(|config| config.limits.max_messages = 0),
            ),
            (
                "limits.max_messages",
                problem(|config| config.limits.max_messages = 2_049),
            ),
            (
                "limits.max_prompt_bytes",
                problem(|config| config.limits.max_prompt_bytes = 0),
            ),
            (
                "ledger.max_rows",
                problem(|config| config.ledger.max_rows = 0),
            ),
            (
                "guardrails.timeout_ms",
                problem(|config| config.guardrails.timeout_ms = 0),
            ),
            (
                "guardrails.hold_back.spaced_bytes",
                problem(|config| config.guardrails.hold_back.spaced_bytes = 0),
            ),
            (
                "models[0].context_window",
                problem(|config| config.models[0].context_window = Some(0)),
            ),
            ("models", problem(|config| config.models.clear())),
            (
                "models[0].name",
                problem(|config| config.models[0].name.clear()),
            ),
        ] {
            assert!(error.starts_with(&format!("{key}: ")), "{key}: {error}");
        }
    }

    #[test]
    fn a_cached_token_without_a_price_costs_as_much_as_any_other() {
        let config: RouterConfig = serde_json::from_value(serde_json::json!({
            "models": [{
                "name": "m", "provider": "local",
                "price": {"input_usd_per_million_tokens": "0.15"},
            }],
            "routes": {},
        }))
        .unwrap();
        let loaded = config.load().unwrap();
        let Ok(Target::Pinned(model)) = loaded.catalog.resolve("m") else {
            panic!("`m` is a model");
        };
        assert_eq!(
            model.price.cached_input.of(2),
            UsdPicos::from_picos(300_000)
        );
        assert_eq!(&*model.upstream_name, "m");
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = serde_json::from_str::<RouterConfig>(r#"{"model": []}"#).unwrap_err();
        assert!(
            error.to_string().contains("unknown field `model`"),
            "{error}"
        );
    }

    #[test]
    fn the_schema_describes_every_section() {
        let schema = schemars::schema_for!(RouterConfig).to_value();
        for section in [
            "providers",
            "models",
            "routes",
            "guardrails",
            "limits",
            "ledger",
        ] {
            let description = &schema["properties"][section]["description"];
            assert!(description.is_string(), "{section}");
        }
    }
}
