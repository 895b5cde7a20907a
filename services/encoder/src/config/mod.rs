//! What the model's own files say about it, checked once.
//!
//! These files take part, with the names that sentence-transformers gives them:
//! `config.json` (the architecture), `sentence_bert_config.json` (the length that the
//! model was trained for, which is less than it has positions for), `modules.json` and
//! the pooling, `1_Pooling/config.json`, also accepted flat as `pooling.json`, and
//! `config_sentence_transformers.json` (prompts). A folder that says nothing of the
//! pooling is pooled by the mean, which is also what sentence-transformers does with it.
//! `signalbox.json` holds what else is known of a model and stands in none of these.

mod sentence;

use std::path::Path;

use serde::Deserialize;

use self::sentence::Steps;
use crate::{architecture::table, error::LoadError, json, pooling::Pooling, prompt::Prompts};

/// Which architecture the weights are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// BERT (arXiv 1810.04805): MiniLM, BGE, GTE, E5.
    Bert,
    /// RoBERTa (arXiv 1907.11692) and XLM-RoBERTa (arXiv 1911.02116).
    Roberta,
    /// MPNet (arXiv 2004.09297).
    MpNet,
    /// A table of vectors, one for each token.
    Static,
}

/// MPNet's bias on attention, by the distance of two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RelativeBuckets {
    /// Distances share so many values.
    pub(crate) count: usize,
    /// All distances from here on share one.
    pub(crate) max_distance: usize,
}

/// A checked model configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ModelConfig {
    /// Which architecture the weights are of.
    pub(crate) family: Family,
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
    /// The first token's position: 0, or 2 in RoBERTa's kind, whose padding token takes
    /// the positions before.
    pub(crate) first_position: usize,
    /// Segment embeddings, of which only the first is used; 0 where there are none.
    pub(crate) token_types: usize,
    /// The bias on attention, where the family has one.
    pub(crate) relative: Option<RelativeBuckets>,
    /// Added to the variance in layer normalisation.
    pub(crate) layer_norm_eps: f32,
    /// Longest sequence, special tokens included.
    pub(crate) max_tokens: usize,
    /// How token vectors become one.
    pub(crate) pooling: Pooling,
    /// Whether vectors are scaled to length 1.
    pub(crate) normalised: bool,
    /// What goes in front of a text.
    pub(crate) prompts: Prompts,
    /// Lengths below `hidden` that vectors may be cut to, in falling order.
    pub(crate) matryoshka: Vec<usize>,
    /// Whether texts are written in lower case before they are tokenized.
    pub(crate) lowercase: bool,
}

/// The keys that the families share. The defaults are those of the `transformers`
/// library, whose files leave out what is default.
#[derive(Deserialize)]
struct TransformerJson {
    model_type: String,
    #[serde(default = "gelu")]
    hidden_act: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default)]
    type_vocab_size: Option<usize>,
    layer_norm_eps: f32,
    #[serde(default)]
    pad_token_id: Option<usize>,
    #[serde(default)]
    relative_attention_num_buckets: Option<usize>,
    #[serde(default = "absolute")]
    position_embedding_type: String,
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn absolute() -> String {
    "absolute".to_owned()
}

#[derive(Deserialize)]
struct SentenceJson {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

/// What is known of a model beyond its own files. `signalbox models pull` writes it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CardJson {
    /// In place of that of the pooling's own file.
    pooling: Option<Pooling>,
    /// In place of that of `sentence_bert_config.json`.
    max_tokens: Option<usize>,
    /// In place of those of `config_sentence_transformers.json`.
    prompts: Option<Prompts>,
    /// Lengths that vectors may be cut to.
    matryoshka_dimensions: Vec<usize>,
}

impl ModelConfig {
    /// Reads and checks the configuration of the model in `dir`.
    pub(crate) fn load(dir: &Path) -> Result<Self, LoadError> {
        let path = dir.join("config.json");
        let Steps {
            pooling,
            normalised,
            is_static,
        } = sentence::steps(dir)?;
        if is_static || is_model2vec(&path)? {
            return Self::load_static(dir, &path, is_static, normalised);
        }
        let json: TransformerJson = json::parse(&path)?;
        let unsupported = |key, value: &dyn ToString, supported: &str| LoadError::Unsupported {
            path: path.clone(),
            key,
            value: value.to_string(),
            supported: supported.to_owned(),
        };
        let family = match json.model_type.as_str() {
            "bert" => Family::Bert,
            "roberta" | "xlm-roberta" | "camembert" => Family::Roberta,
            "mpnet" => Family::MpNet,
            other => {
                let supported = "`bert`, `roberta`, `xlm-roberta`, `camembert` and `mpnet`";
                return Err(unsupported("model_type", &other, supported));
            }
        };
        if json.hidden_act != "gelu" {
            return Err(unsupported("hidden_act", &json.hidden_act, "`gelu`"));
        }
        if json.position_embedding_type != "absolute" {
            let value = &json.position_embedding_type;
            return Err(unsupported("position_embedding_type", value, "`absolute`"));
        }
        let padding = json.pad_token_id.unwrap_or(1);
        let (first_position, token_types) = match family {
            Family::Bert => (0, json.type_vocab_size.unwrap_or(2)),
            Family::Roberta => (padding.saturating_add(1), json.type_vocab_size.unwrap_or(1)),
            // Its positions are counted from 2 whatever the padding token is.
            Family::MpNet => (2, 0),
            Family::Static => (0, 0),
        };
        let buckets = json.relative_attention_num_buckets.unwrap_or(32);
        let bounded = |key, value, least, most| match (least..=most).contains(&value) {
            true => Ok(()),
            false => Err(unsupported(key, &value, &format!("{least} to {most}"))),
        };
        // The bounds keep every product of two sizes far from overflow and refuse
        // a nonsense file before memory is asked for.
        bounded("hidden_size", json.hidden_size, 1, 1 << 16)?;
        bounded("intermediate_size", json.intermediate_size, 1, 1 << 18)?;
        bounded("num_hidden_layers", json.num_hidden_layers, 1, 1 << 10)?;
        bounded("num_attention_heads", json.num_attention_heads, 1, 1 << 10)?;
        bounded("vocab_size", json.vocab_size, 1, 1 << 24)?;
        bounded("pad_token_id", padding, 0, 1 << 24)?;
        // A position that a text can use, and the two special tokens.
        let least = first_position.saturating_add(3);
        let positions = json.max_position_embeddings;
        bounded("max_position_embeddings", positions, least, 1 << 20)?;
        bounded(
            "type_vocab_size",
            token_types,
            usize::from(token_types != 0 || family == Family::Bert),
            1 << 10,
        )?;
        if family == Family::MpNet {
            // Half of them for each direction, half of these for single distances.
            bounded("relative_attention_num_buckets", buckets, 4, 1 << 10)?;
        }
        if !json.hidden_size.is_multiple_of(json.num_attention_heads) {
            let supported = format!("divisors of `hidden_size` = {}", json.hidden_size);
            let value = &json.num_attention_heads;
            return Err(unsupported("num_attention_heads", value, &supported));
        }
        if !(json.layer_norm_eps >= 0.0 && json.layer_norm_eps < 1.0) {
            let value = &json.layer_norm_eps;
            return Err(unsupported("layer_norm_eps", value, "0 to 1"));
        }
        let card = CardJson::read(dir)?;
        let (max_tokens, lowercase) = limit(dir, &card, positions - first_position)?;
        let pooling = card.pooling.unwrap_or(pooling);
        let (prompts, matryoshka) = card.rest(dir, json.hidden_size)?;
        Ok(Self {
            family,
            hidden: json.hidden_size,
            layers: json.num_hidden_layers,
            heads: json.num_attention_heads,
            intermediate: json.intermediate_size,
            vocabulary: json.vocab_size,
            positions,
            first_position,
            token_types,
            relative: (family == Family::MpNet).then_some(RelativeBuckets {
                count: buckets,
                // A constant of the family.
                max_distance: 128,
            }),
            layer_norm_eps: json.layer_norm_eps,
            max_tokens,
            pooling,
            normalised,
            prompts,
            matryoshka,
            lowercase,
        })
    }

    /// A table of vectors: the sizes are those of the table.
    fn load_static(
        dir: &Path,
        config: &Path,
        is_sentence_transformers: bool,
        normalised: bool,
    ) -> Result<Self, LoadError> {
        let json: StaticJson = match config.exists() {
            true => json::parse(config)?,
            false => StaticJson::default(),
        };
        let [vocabulary, hidden] = table::shape(&dir.join("model.safetensors"))?;
        let (prompts, matryoshka) = CardJson::read(dir)?.rest(dir, hidden)?;
        let max_tokens = match (json.max_length, is_sentence_transformers) {
            (Some(length), _) => length.clamp(3, MAX_STATIC_TOKENS),
            (None, true) => MAX_STATIC_TOKENS,
            (None, false) => MODEL2VEC_TOKENS,
        };
        Ok(Self {
            family: Family::Static,
            hidden,
            layers: 0,
            heads: 1,
            intermediate: 0,
            vocabulary,
            positions: 0,
            first_position: 0,
            token_types: 0,
            relative: None,
            layer_norm_eps: 0.0,
            max_tokens,
            pooling: Pooling::Mean,
            normalised: json.normalize.unwrap_or(normalised),
            prompts,
            matryoshka,
            lowercase: false,
        })
    }
}

/// Bounds the memory that one text takes; static models have no limit of their own.
const MAX_STATIC_TOKENS: usize = 8192;
/// Where model2vec cuts unless it is told otherwise.
const MODEL2VEC_TOKENS: usize = 512;

#[derive(Default, Deserialize)]
struct StaticJson {
    normalize: Option<bool>,
    max_length: Option<usize>,
}

#[derive(Deserialize)]
struct KindJson {
    model_type: Option<String>,
}

fn is_model2vec(config: &Path) -> Result<bool, LoadError> {
    let kind: KindJson = json::parse(config)?;
    Ok(kind.model_type.as_deref() == Some("model2vec"))
}

/// The length limit, from 3 (so that one token fits between the two special ones)
/// to the number of positions, and whether texts are written in lower case first.
fn limit(dir: &Path, card: &CardJson, positions: usize) -> Result<(usize, bool), LoadError> {
    let mut path = dir.join("sentence_bert_config.json");
    let json = match card.max_tokens {
        Some(limit) => {
            path = dir.join(CARD);
            SentenceJson {
                max_seq_length: Some(limit),
                do_lower_case: false,
            }
        }
        None => json::parse(&path)?,
    };
    let limit = json.max_seq_length.unwrap_or(positions);
    if (3..=positions).contains(&limit) {
        return Ok((limit, json.do_lower_case));
    }
    Err(LoadError::Unsupported {
        path,
        key: "max_seq_length",
        value: limit.to_string(),
        supported: format!("3 to {positions}, the positions that texts can use"),
    })
}

/// The card's name in the model's folder.
const CARD: &str = "signalbox.json";

impl CardJson {
    /// The card in `dir`, an empty one where there is none.
    fn read(dir: &Path) -> Result<Self, LoadError> {
        let path = dir.join(CARD);
        match path.exists() {
            true => json::parse(&path),
            false => Ok(Self::default()),
        }
    }

    /// The prompts, and the lengths that vectors of `hidden` may be cut to.
    fn rest(self, dir: &Path, hidden: usize) -> Result<(Prompts, Vec<usize>), LoadError> {
        let mut lengths = self.matryoshka_dimensions;
        if let Some(wrong) = lengths.iter().find(|n| !(1..=hidden).contains(*n)) {
            return Err(LoadError::Unsupported {
                path: dir.join(CARD),
                key: "matryoshka_dimensions",
                value: wrong.to_string(),
                supported: format!("1 to the model's own, {hidden}"),
            });
        }
        lengths.retain(|length| *length < hidden);
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        let prompts = self.prompts.map_or_else(|| sentence::prompts(dir), Ok)?;
        Ok((prompts, lengths))
    }
}
