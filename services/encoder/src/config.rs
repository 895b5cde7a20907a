//! What the model's own files say about it, checked once.
//!
//! Three files take part, with the names that sentence-transformers gives them:
//! `config.json` (the architecture), `sentence_bert_config.json` (the length that
//! the model was trained for, which is less than it has positions for) and the
//! pooling, `1_Pooling/config.json`, also accepted flat as `pooling.json`. A folder
//! without the last is pooled by the mean, which is also what sentence-transformers
//! does with it.

use std::path::Path;

use serde::Deserialize;

use crate::{error::LoadError, json, pooling::Pooling};

/// A checked model configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ModelConfig {
    /// Length of a token's vector, `hidden`.
    pub(crate) hidden: usize,
    /// Transformer layers.
    pub(crate) layers: usize,
    /// Attention heads; divides `hidden`.
    pub(crate) heads: usize,
    /// Width of the feed-forward layer.
    pub(crate) intermediate: usize,
    /// Token ids go from 0 to this, exclusive.
    pub(crate) vocabulary: usize,
    /// Positions that have an embedding; at least `max_tokens`.
    pub(crate) positions: usize,
    /// Segment embeddings; only the first is used.
    pub(crate) token_types: usize,
    /// Added to the variance in layer normalisation.
    pub(crate) layer_norm_eps: f32,
    /// Longest sequence, special tokens included.
    pub(crate) max_tokens: usize,
    /// How token vectors become one.
    pub(crate) pooling: Pooling,
}

#[derive(Deserialize)]
struct BertJson {
    model_type: String,
    hidden_act: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f32,
    #[serde(default = "absolute")]
    position_embedding_type: String,
}

fn absolute() -> String {
    "absolute".to_owned()
}

#[derive(Deserialize)]
struct SentenceJson {
    max_seq_length: usize,
}

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
    pooling_mode_lasttoken: bool,
}

impl ModelConfig {
    /// Reads and checks the configuration of the model in `dir`.
    pub(crate) fn load(dir: &Path) -> Result<Self, LoadError> {
        let path = dir.join("config.json");
        let bert: BertJson = json::parse(&path)?;
        let unsupported = |key, value: &dyn ToString, supported: &str| LoadError::Unsupported {
            path: path.clone(),
            key,
            value: value.to_string(),
            supported: supported.to_owned(),
        };
        if bert.model_type != "bert" {
            return Err(unsupported("model_type", &bert.model_type, "`bert`"));
        }
        if bert.hidden_act != "gelu" {
            return Err(unsupported("hidden_act", &bert.hidden_act, "`gelu`"));
        }
        if bert.position_embedding_type != "absolute" {
            let value = &bert.position_embedding_type;
            return Err(unsupported("position_embedding_type", value, "`absolute`"));
        }
        // The bounds keep every product of two sizes far from overflow and refuse
        // a nonsense file before memory is asked for.
        let sizes = [
            ("hidden_size", bert.hidden_size, 1 << 16),
            ("intermediate_size", bert.intermediate_size, 1 << 18),
            ("num_hidden_layers", bert.num_hidden_layers, 1 << 10),
            ("num_attention_heads", bert.num_attention_heads, 1 << 10),
            ("vocab_size", bert.vocab_size, 1 << 24),
            (
                "max_position_embeddings",
                bert.max_position_embeddings,
                1 << 20,
            ),
            ("type_vocab_size", bert.type_vocab_size, 1 << 10),
        ];
        for (key, value, most) in sizes {
            if !(1..=most).contains(&value) {
                return Err(unsupported(key, &value, &format!("1 to {most}")));
            }
        }
        if !bert.hidden_size.is_multiple_of(bert.num_attention_heads) {
            let supported = format!("divisors of `hidden_size` = {}", bert.hidden_size);
            let value = &bert.num_attention_heads;
            return Err(unsupported("num_attention_heads", value, &supported));
        }
        if !(bert.layer_norm_eps >= 0.0 && bert.layer_norm_eps < 1.0) {
            let value = &bert.layer_norm_eps;
            return Err(unsupported("layer_norm_eps", value, "0 to 1"));
        }
        Ok(Self {
            hidden: bert.hidden_size,
            layers: bert.num_hidden_layers,
            heads: bert.num_attention_heads,
            intermediate: bert.intermediate_size,
            vocabulary: bert.vocab_size,
            positions: bert.max_position_embeddings,
            token_types: bert.type_vocab_size,
            layer_norm_eps: bert.layer_norm_eps,
            max_tokens: max_tokens(dir, bert.max_position_embeddings)?,
            pooling: pooling(dir)?,
        })
    }
}

/// The length limit, from 3 (so that one token fits between the two special ones)
/// to the number of positions.
fn max_tokens(dir: &Path, positions: usize) -> Result<usize, LoadError> {
    let path = dir.join("sentence_bert_config.json");
    let limit = json::parse::<SentenceJson>(&path)?.max_seq_length;
    if (3..=positions).contains(&limit) {
        return Ok(limit);
    }
    Err(LoadError::Unsupported {
        path,
        key: "max_seq_length",
        value: limit.to_string(),
        supported: format!("3 to `max_position_embeddings` = {positions}"),
    })
}

fn pooling(dir: &Path) -> Result<Pooling, LoadError> {
    let nested = dir.join("1_Pooling").join("config.json");
    let path = if nested.exists() {
        nested
    } else {
        dir.join("pooling.json")
    };
    if !path.exists() {
        return Ok(Pooling::Mean);
    }
    let json: PoolingJson = json::parse(&path)?;
    let modes = [
        ("cls", json.pooling_mode_cls_token),
        ("mean", json.pooling_mode_mean_tokens),
        ("max", json.pooling_mode_max_tokens),
        ("mean_sqrt_len", json.pooling_mode_mean_sqrt_len_tokens),
        ("last", json.pooling_mode_lasttoken),
    ];
    let chosen: Vec<&str> = modes
        .into_iter()
        .filter_map(|(name, on)| on.then_some(name))
        .collect();
    match chosen.as_slice() {
        ["mean"] => Ok(Pooling::Mean),
        ["cls"] => Ok(Pooling::Cls),
        _ => Err(LoadError::Unsupported {
            path,
            key: "pooling_mode",
            value: chosen.join(" + "),
            supported: "`mean` or `cls`, one of them".to_owned(),
        }),
    }
}
