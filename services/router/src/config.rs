//! What a user may set about the Router, before anything is checked; `config/load.rs`
//! turns it into checked types.

mod load;

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{money::TokenPrice, provider::local::LocalConfig, strategy::StrategyKind};

pub use crate::provider::registry::ProviderConfig;
pub use load::ConfigError;
pub(crate) use load::{GuardPolicy, Limits};

/// The Router's configuration.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouterConfig {
    /// Who answers, by a name of your choice.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// The models that requests may name, each with its provider and its price.
    pub models: Vec<ModelConfig>,
    /// Choices of models, by the name that requests put in `model`.
    pub routes: BTreeMap<String, RouteConfig>,
    /// What is checked on the way in and out.
    pub guardrails: GuardrailsConfig,
    /// What a request may ask for at most.
    pub limits: LimitsConfig,
    /// Where usage and cost are booked.
    pub ledger: LedgerConfig,
}

/// The name of the model that answers where nothing is configured.
const DEFAULT_MODEL: &str = "SmolLM2-135M-Instruct";

impl Default for RouterConfig {
    /// One local model, and the route `auto` to it.
    fn default() -> Self {
        let route = RouteConfig {
            strategy: StrategyKind::Cost,
            models: vec![DEFAULT_MODEL.to_owned()],
        };
        Self {
            providers: BTreeMap::from([(
                "local".to_owned(),
                ProviderConfig::Local(LocalConfig::default()),
            )]),
            models: vec![ModelConfig {
                name: DEFAULT_MODEL.to_owned(),
                provider: "local".to_owned(),
                upstream_name: None,
                price: PriceConfig::default(),
                context_window: Some(2_048),
            }],
            routes: BTreeMap::from([("auto".to_owned(), route)]),
            guardrails: GuardrailsConfig::default(),
            limits: LimitsConfig::default(),
            ledger: LedgerConfig::default(),
        }
    }
}

/// A model that requests may name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The name in requests, usage and prices; 1 to 256 bytes.
    pub name: String,
    /// The name of the provider that serves it, a key of `providers`.
    pub provider: String,
    /// The provider's own name of the model; `name` when absent.
    #[serde(default)]
    pub upstream_name: Option<String>,
    /// What its tokens cost; nothing when absent, which is right for a model on your
    /// own machine, whose power and hardware are not counted.
    #[serde(default)]
    pub price: PriceConfig,
    /// Longest prompt and answer together, in tokens; unknown when absent.
    #[serde(default)]
    pub context_window: Option<u32>,
}

/// What a model's tokens cost, in US dollars a million tokens: a decimal with at most
/// 6 digits after the point, at most 1000. A string such as "0.15" is read digit by
/// digit; a number is too.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PriceConfig {
    /// Prompt tokens.
    pub input_usd_per_million_tokens: TokenPrice,
    /// Prompt tokens that the provider read from its cache; the price of a prompt
    /// token when absent.
    pub cached_input_usd_per_million_tokens: Option<TokenPrice>,
    /// Generated tokens.
    pub output_usd_per_million_tokens: TokenPrice,
}

/// A choice of models under one name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// How it chooses.
    pub strategy: StrategyKind,
    /// The names of the models that it chooses from, at least one.
    pub models: Vec<String>,
}

/// What is checked on the way in and out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GuardrailsConfig {
    /// What happens to findings in a prompt before it reaches a provider.
    pub prompt: GuardMode,
    /// What happens to findings in an answer before it reaches the caller.
    pub completion: GuardMode,
    /// What happens to a text that could not be checked.
    pub on_failure: OnFailure,
    /// Longest wait for one check, in milliseconds, at least 1.
    pub timeout_ms: u64,
    /// How much of a streamed answer's end is held back until it is certain that
    /// nothing in it has to be taken out.
    pub hold_back: HoldBackConfig,
}

impl Default for GuardrailsConfig {
    fn default() -> Self {
        Self {
            prompt: GuardMode::Redact,
            completion: GuardMode::Redact,
            on_failure: OnFailure::Closed,
            timeout_ms: 2_000,
            hold_back: HoldBackConfig::default(),
        }
    }
}

/// How much of a streamed answer's end is held back. A stream with guardrails runs
/// this far behind its model.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HoldBackConfig {
    /// Length in bytes of the longest finding that holds whitespace, such as a card
    /// number in groups; 1 to 65,536. Prose is delayed by this.
    pub spaced_bytes: u32,
    /// Length in bytes of the longest finding that holds no whitespace, such as an
    /// email address, of which RFC 5321 allows 320; 1 to 65,536. Text without any
    /// whitespace is delayed by this.
    pub unspaced_bytes: u32,
}

impl Default for HoldBackConfig {
    fn default() -> Self {
        Self {
            spaced_bytes: 64,
            unspaced_bytes: 384,
        }
    }
}

/// What happens to findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardMode {
    /// They are replaced by their type, such as `<EMAIL>`.
    Redact,
    /// Nothing is checked.
    Off,
}

/// What happens to a text that could not be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It goes on as it is; a metric counts it.
    Open,
    /// The request ends in an error.
    Closed,
}

/// What a request may ask for at most.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Messages of a conversation, 1 to 2,048.
    pub max_messages: u32,
    /// Bytes of all messages together, 1 to 1,048,576.
    pub max_prompt_bytes: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_messages: load::MOST_MESSAGES,
            max_prompt_bytes: load::MOST_PROMPT_BYTES,
        }
    }
}

/// Where usage and cost are booked.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerConfig {
    /// The file; made if it does not exist. Without one, usage is kept in memory and
    /// gone when the process ends.
    pub path: Option<PathBuf>,
    /// Most combinations of user, model and provider, at least 1. Past it, users that
    /// are not yet known are booked together as `(other)`.
    pub max_rows: u64,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self {
            path: None,
            max_rows: 1_000_000,
        }
    }
}
