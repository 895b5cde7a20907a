//! candle's BertModel as a worker, used as its own example uses it: weights mapped, a
//! batch padded to its longest text, mean over the mask, length 1.

use std::{fs, path::Path};

use candle_core::{D, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config, DTYPE};
use tokenizers::{Tokenizer, TruncationParams};

use crate::worker::{Engine, Result};

pub(crate) struct Candle {
    model: BertModel,
    tokenizer: Tokenizer,
}

impl Candle {
    pub(crate) fn load(model: &Path) -> Result<Self> {
        let config: Config = serde_json::from_slice(&fs::read(model.join("config.json"))?)?;
        let limit: serde_json::Value =
            serde_json::from_slice(&fs::read(model.join("sentence_bert_config.json"))?)?;
        let mut tokenizer = Tokenizer::from_file(model.join("tokenizer.json")).map_err(to_error)?;
        let truncation = TruncationParams {
            max_length: limit["max_seq_length"].as_u64().unwrap_or(256) as usize,
            ..TruncationParams::default()
        };
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(Some(truncation))
            .map_err(to_error)?;
        let weights = [model.join("model.safetensors")];
        // SAFETY: nobody writes to the model's file while this process runs.
        let weights =
            unsafe { VarBuilder::from_mmaped_safetensors(&weights, DTYPE, &Device::Cpu)? };
        Ok(Self {
            model: BertModel::load(weights, &config)?,
            tokenizer,
        })
    }
}

fn to_error(error: tokenizers::Error) -> String {
    error.to_string()
}

impl Engine for Candle {
    type Text = Vec<u32>;

    fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode_fast(text, true).map_err(to_error)?;
        Ok(encoding.get_ids().to_vec())
    }

    fn accept(&self, ids: &[u32]) -> Result<Vec<u32>> {
        Ok(ids.to_vec())
    }

    fn ids<'a>(&self, text: &'a Vec<u32>) -> &'a [u32] {
        text
    }

    fn encode(&self, batch: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        let longest = batch.iter().map(Vec::len).max().unwrap_or(0);
        let shape = (batch.len(), longest);
        let mut ids = vec![0u32; shape.0 * shape.1];
        let mut mask = vec![0f32; ids.len()];
        for (row, text) in batch.iter().enumerate() {
            ids[row * longest..][..text.len()].copy_from_slice(text);
            mask[row * longest..][..text.len()].fill(1.0);
        }
        let ids = Tensor::from_vec(ids, shape, &Device::Cpu)?;
        let mask = Tensor::from_vec(mask, shape, &Device::Cpu)?;
        let tokens = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let total = tokens.broadcast_mul(&mask.unsqueeze(D::Minus1)?)?.sum(1)?;
        let norm = total.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
        Ok(total.broadcast_div(&norm)?.to_vec2()?)
    }
}
