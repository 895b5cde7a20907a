//! The encoder computes what the reference implementation computes: 500 texts
//! against ONNX Runtime on the same weights. `tools/fixtures/embeddings_reference.py`
//! says how the fixture was made and makes it again.

#![allow(clippy::unwrap_used)]

mod common;

use std::{env, fs, path::Path, sync::atomic::AtomicBool};

use common::{ENCODER, cosine, model_dir};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use signalbox_encoder::Tokenized;

const LEAST_COSINE: f64 = 0.9999;

#[derive(Deserialize)]
struct Header {
    weights_sha256: String,
    max_tokens: usize,
    dimensions: usize,
    count: usize,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    tokens: usize,
    truncated: bool,
}

struct Fixture {
    header: Header,
    texts: Vec<Text>,
    vectors: Vec<Vec<f32>>,
}

fn fixture() -> Fixture {
    let data = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("tests/data");
    let jsonl = fs::read_to_string(data.join("reference.jsonl")).unwrap();
    let (header, texts) = jsonl.split_once('\n').unwrap();
    let header: Header = serde_json::from_str(header).unwrap();
    let texts: Vec<Text> = texts
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let bytes = fs::read(data.join("reference.f32")).unwrap();
    let vectors: Vec<Vec<f32>> = bytes
        .chunks_exact(4 * header.dimensions)
        .map(|vector| {
            let numbers = vector.chunks_exact(4);
            numbers
                .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
                .collect()
        })
        .collect();
    assert_eq!((header.count, texts.len(), vectors.len()), (500, 500, 500));
    Fixture {
        header,
        texts,
        vectors,
    }
}

fn tokenize(texts: &[Text]) -> Vec<Tokenized> {
    let tokenize = |text: &Text| ENCODER.tokenize(&text.text).unwrap();
    texts.iter().map(tokenize).collect()
}

fn assert_close(fixture: &Fixture, found: &[Vec<f32>], how: &str) {
    let cosines: Vec<f64> = fixture
        .vectors
        .iter()
        .zip(found)
        .map(|(expected, found)| cosine(expected, found))
        .collect();
    let least = cosines.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    println!("{how}: cosine to the reference: least {least:.9}, mean {mean:.9}");
    for (index, cosine) in cosines.iter().enumerate() {
        let text = &fixture.texts[index].text;
        assert!(
            *cosine >= LEAST_COSINE,
            "{how}: text {index} {text:?} has cosine {cosine}"
        );
    }
    assert_eq!(found.len(), fixture.vectors.len());
}

#[test]
fn the_fixture_was_made_with_these_weights() {
    let header = fixture().header;
    let weights = fs::read(model_dir().join("model.safetensors")).unwrap();
    let digest: String = Sha256::digest(&weights)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(digest, header.weights_sha256);
    assert_eq!(ENCODER.info().dimensions, header.dimensions);
    assert_eq!(ENCODER.info().max_tokens, header.max_tokens);
}

#[test]
fn token_counts_and_cuts_equal_the_reference() {
    let fixture = fixture();
    for (text, tokenized) in fixture.texts.iter().zip(tokenize(&fixture.texts)) {
        assert_eq!(tokenized.ids().len(), text.tokens, "{:?}", text.text);
        assert_eq!(tokenized.truncated(), text.truncated, "{:?}", text.text);
    }
}

#[test]
fn vectors_equal_the_reference_in_one_batch() {
    let fixture = fixture();
    let tokenized = tokenize(&fixture.texts);
    let found = ENCODER.encode(&tokenized, &AtomicBool::new(false)).unwrap();
    assert_close(&fixture, &found, "one batch of 500");
}

#[test]
fn vectors_equal_the_reference_one_by_one() {
    let fixture = fixture();
    let found: Vec<Vec<f32>> = tokenize(&fixture.texts)
        .into_iter()
        .flat_map(|text| ENCODER.encode(&[text], &AtomicBool::new(false)).unwrap())
        .collect();
    assert_close(&fixture, &found, "one by one");
}

/// The fixture's graph is of our own making; these figures are not. They are
/// `PyTorch`'s for this model, printed in
/// <https://github.com/ToluClassics/mlx-transformers/issues/23>: the first three
/// dimensions before scaling to length 1, so only their ratios can be compared.
#[test]
fn vectors_agree_with_pytorch_s_published_output() {
    const PYTORCH: [f32; 3] = [5.410_102e-1, 6.431_815_6e-1, 3.376_399_4e-2];
    let text = ENCODER.tokenize("Each sentence is converted").unwrap();
    let vector = &ENCODER.encode(&[text], &AtomicBool::new(false)).unwrap()[0];
    let scale = vector[0] / PYTORCH[0];
    for (found, pytorch) in vector.iter().zip(PYTORCH) {
        assert!((found - pytorch * scale).abs() < 1e-6, "{found} {pytorch}");
    }
}
