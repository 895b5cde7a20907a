//! Weights in a form that this machine multiplies quickly.
//!
//! candle has vector code for some of GGUF's formats and a plain loop, many times
//! slower, for the older ones with an offset or a fifth bit. Those are turned into
//! Q8_0 at load: 8 bits a weight hold what 4 or 5 said to within half a step of 1/127
//! of their block's largest, and cost memory instead of time.

use std::io::{Cursor, Read, Seek};

use candle_core::{
    Device, Result,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{self, Content},
    },
};
use candle_transformers::models::quantized_llama::ModelWeights;

/// The model of this file.
pub(super) fn load(content: Content, file: &mut (impl Read + Seek)) -> Result<ModelWeights> {
    let mut infos = content.tensor_infos.values();
    if !infos.any(|info| is_slow(info.ggml_dtype)) {
        return ModelWeights::from_gguf(content, file, &Device::Cpu);
    }
    // The model can only be made of a file, so one is written in memory.
    let mut quick = Cursor::new(quickened(&content, file)?);
    drop(content);
    let content = Content::read(&mut quick)?;
    ModelWeights::from_gguf(content, &mut quick, &Device::Cpu)
}

fn is_slow(format: GgmlDType) -> bool {
    use GgmlDType::{Q4_1, Q5_0, Q5_1};
    matches!(format, Q4_1 | Q5_0 | Q5_1)
}

fn quickened(content: &Content, file: &mut (impl Read + Seek)) -> Result<Vec<u8>> {
    let mut tensors = Vec::with_capacity(content.tensor_infos.len());
    for (name, info) in &content.tensor_infos {
        let mut tensor = content.tensor(file, name, &Device::Cpu)?;
        if is_slow(info.ggml_dtype) {
            tensor = QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)?;
        }
        tensors.push((name.as_str(), tensor));
    }
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, tensor)| (*name, tensor))
        .collect();
    // What the model reads of the metadata are numbers; the vocabulary is left out.
    let metadata: Vec<_> = content
        .metadata
        .iter()
        .filter(|(name, _)| !name.starts_with("tokenizer."))
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    let mut written = Cursor::new(Vec::new());
    gguf_file::write(&mut written, &metadata, &tensors)?;
    Ok(written.into_inner())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use candle_core::Tensor;

    use super::*;

    #[test]
    fn a_slow_format_becomes_a_quick_one_of_nearly_the_same_values() {
        let values = Tensor::arange(0f32, 256f32, &Device::Cpu).unwrap();
        let values = values.reshape((4, 64)).unwrap();
        let slow = QTensor::quantize(&values, GgmlDType::Q4_1).unwrap();
        let before = slow.dequantize(&Device::Cpu).unwrap();
        let mut file = Cursor::new(Vec::new());
        gguf_file::write(&mut file, &[], &[("a", &slow)]).unwrap();
        file.set_position(0);
        let content = Content::read(&mut file).unwrap();

        let mut quick = Cursor::new(quickened(&content, &mut file).unwrap());
        let content = Content::read(&mut quick).unwrap();
        let quick = content.tensor(&mut quick, "a", &Device::Cpu).unwrap();
        assert_eq!(quick.dtype(), GgmlDType::Q8_0);
        let after = quick.dequantize(&Device::Cpu).unwrap();
        let difference = (after - before).unwrap().abs().unwrap();
        let largest: f32 = difference.max_all().unwrap().to_scalar().unwrap();
        // Half a step of the block with the largest values, and f16's rounding of it.
        assert!(largest <= 256.0 / 127.0 / 2.0 + 0.2, "{largest}");
    }

    #[test]
    fn formats_with_vector_code_stay() {
        for format in [
            GgmlDType::Q4_0,
            GgmlDType::Q8_0,
            GgmlDType::Q4K,
            GgmlDType::F32,
        ] {
            assert!(!is_slow(format));
        }
    }
}
