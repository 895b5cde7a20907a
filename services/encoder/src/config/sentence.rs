//! The files that sentence-transformers puts beside a model: which steps follow the
//! transformer, how token vectors are pooled, which prompts it was trained with.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{error::LoadError, json, pooling::Pooling, prompt::Prompts};

/// The steps after the token vectors.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Steps {
    pub(super) pooling: Pooling,
    /// Whether vectors are scaled to length 1.
    pub(super) normalised: bool,
    /// Whether a step says that this is a table of vectors and no transformer.
    pub(super) is_static: bool,
}

#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    path: String,
}

/// Every mode that sentence-transformers writes, so that an unknown one is not taken
/// for none.
#[derive(Deserialize)]
struct PoolingJson {
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
    #[serde(default = "yes")]
    include_prompt: bool,
}

fn yes() -> bool {
    true
}

/// Reads `modules.json` where there is one. Without it the pooling is that of
/// `1_Pooling/config.json` or `pooling.json`, the mean without these, and vectors are
/// scaled to length 1.
pub(super) fn steps(dir: &Path) -> Result<Steps, LoadError> {
    let path = dir.join("modules.json");
    if !path.exists() {
        let nested = dir.join("1_Pooling").join("config.json");
        let flat = dir.join("pooling.json");
        let found = [nested, flat].into_iter().find(|path| path.exists());
        return Ok(Steps {
            pooling: found.map_or(Ok(Pooling::Mean), |path| pooling(&path))?,
            normalised: true,
            is_static: false,
        });
    }
    let mut steps = Steps {
        pooling: Pooling::Mean,
        normalised: false,
        is_static: false,
    };
    for module in json::parse::<Vec<Module>>(&path)? {
        // `sentence_transformers.models.Pooling`; newer versions have other packages
        // in front of the same names.
        match module.kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" => {}
            "StaticEmbedding" => steps.is_static = true,
            "Normalize" => steps.normalised = true,
            "Pooling" => steps.pooling = pooling(&pooling_file(dir, &module.path))?,
            _ => {
                return Err(LoadError::Unsupported {
                    path,
                    key: "type",
                    value: module.kind,
                    supported: "`Transformer`, `StaticEmbedding`, `Pooling` and `Normalize`"
                        .to_owned(),
                });
            }
        }
    }
    Ok(steps)
}

/// The step's own file, or `pooling.json` in a folder that was laid flat.
fn pooling_file(dir: &Path, step: &str) -> PathBuf {
    let flat = dir.join("pooling.json");
    // A path that leaves the folder is none of the model's.
    let inside = !step.is_empty() && step.chars().all(|c| c.is_alphanumeric() || c == '_');
    let nested = dir
        .join(if inside { step } else { "1_Pooling" })
        .join("config.json");
    if !nested.exists() && flat.exists() {
        return flat;
    }
    nested
}

fn pooling(path: &Path) -> Result<Pooling, LoadError> {
    let json: PoolingJson = json::parse(path)?;
    let modes = [
        ("cls", json.pooling_mode_cls_token, Some(Pooling::Cls)),
        ("mean", json.pooling_mode_mean_tokens, Some(Pooling::Mean)),
        ("max", json.pooling_mode_max_tokens, Some(Pooling::Max)),
        ("last", json.pooling_mode_lasttoken, Some(Pooling::Last)),
        (
            "mean_sqrt_len",
            json.pooling_mode_mean_sqrt_len_tokens,
            None,
        ),
        ("weighted_mean", json.pooling_mode_weightedmean_tokens, None),
    ];
    let chosen: Vec<_> = modes.into_iter().filter(|(_, on, _)| *on).collect();
    let names: Vec<&str> = chosen.iter().map(|(name, _, _)| *name).collect();
    let unsupported = |key, value, supported: &str| LoadError::Unsupported {
        path: path.to_owned(),
        key,
        value,
        supported: supported.to_owned(),
    };
    if !json.include_prompt {
        let value = "false".to_owned();
        return Err(unsupported("include_prompt", value, "`true`"));
    }
    match chosen.as_slice() {
        [(_, _, Some(pooling))] => Ok(*pooling),
        _ => Err(unsupported(
            "pooling_mode",
            names.join(" + "),
            "`mean`, `cls`, `max` or `last`, one of them",
        )),
    }
}

#[derive(Deserialize)]
struct PromptsJson {
    #[serde(default)]
    prompts: BTreeMap<String, String>,
    default_prompt_name: Option<String>,
}

/// Reads the prompts from `config_sentence_transformers.json`; none where there is no
/// such file. `passage` and `document` are two names for the same.
pub(super) fn prompts(dir: &Path) -> Result<Prompts, LoadError> {
    let path = dir.join("config_sentence_transformers.json");
    if !path.exists() {
        return Ok(Prompts::default());
    }
    let mut json: PromptsJson = json::parse(&path)?;
    let unspecified = match &json.default_prompt_name {
        Some(name) => json.prompts.get(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = json.prompts.keys().map(String::as_str).collect();
            LoadError::Unsupported {
                path: path.clone(),
                key: "default_prompt_name",
                value: name.clone(),
                supported: format!("the names of its own prompts: {}", names.join(", ")),
            }
        })?,
        None => String::new(),
    };
    let mut take = |names: &[&str]| names.iter().find_map(|name| json.prompts.remove(*name));
    Ok(Prompts {
        query: take(&["query", "search_query"]).unwrap_or_default(),
        document: take(&["document", "passage", "search_document"]).unwrap_or_default(),
        unspecified,
    })
}
