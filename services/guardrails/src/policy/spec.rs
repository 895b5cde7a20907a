//! A policy profile as it is written down: the same form for those that come with the
//! service (`profiles/*.toml`) and those of the configuration.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Action;
use crate::{
    custom::{DenySpec, RecognizerSpec},
    operator::OperatorSpec,
};

/// What is looked for, what is done about it, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileSpec {
    /// The name that a request uses, lower-case letters, digits and `_`.
    pub name: String,
    /// Changed whenever a decision may change, such as `1.0.0`; audit events carry it.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// The detectors that run, by name; `["*"]` for all there are. Empty means those that
    /// the server runs by default.
    #[serde(default)]
    pub detectors: Vec<String>,
    /// The classifiers that run, by name.
    #[serde(default)]
    pub classifiers: Vec<String>,
    /// Findings with a lower score are left out, 0 to 1.
    #[serde(default)]
    pub min_score: f64,
    /// The same for a detector or classifier of its own, by name.
    #[serde(default)]
    pub thresholds: BTreeMap<String, f64>,
    /// What is written in place of a finding.
    #[serde(default = "label")]
    pub operator: OperatorSpec,
    /// The same for a detector of its own, by name.
    #[serde(default)]
    pub operators: BTreeMap<String, OperatorSpec>,
    /// What is done about texts on their way to a model.
    #[serde(default)]
    pub input: RulesSpec,
    /// What is done about texts that a model wrote.
    #[serde(default)]
    pub output: RulesSpec,
    /// What is done about texts that a tool or a search returned.
    #[serde(default)]
    pub tool: RulesSpec,
    /// Values that are never findings, capitals aside.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Words that are always findings.
    #[serde(default)]
    pub deny: Vec<DenySpec>,
    /// Recognizers beside the built-in detectors.
    #[serde(default)]
    pub recognizers: Vec<RecognizerSpec>,
    /// What a law or standard lists, and what covers each item.
    #[serde(default)]
    pub coverage: Vec<CoverageSpec>,
}

fn label() -> OperatorSpec {
    OperatorSpec::named("label")
}

/// What is done about findings in one direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RulesSpec {
    /// For findings that no rule names.
    pub default: Action,
    /// By name of the detector or classifier.
    pub rules: BTreeMap<String, Action>,
}

impl Default for RulesSpec {
    fn default() -> Self {
        Self {
            default: Action::Redact,
            rules: BTreeMap::new(),
        }
    }
}

/// One item of what a law or standard lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CoverageSpec {
    /// Where it stands, such as `(A)`.
    pub id: String,
    /// What it is.
    pub title: String,
    /// The detectors, classifiers, recognizers and lists that find it; none where it
    /// cannot be found in text.
    #[serde(default)]
    pub detectors: Vec<String>,
    /// What is not found, or why nothing can be.
    #[serde(default)]
    pub note: String,
}
