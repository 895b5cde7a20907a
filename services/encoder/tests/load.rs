//! A model folder that is not right is refused with the file, the fault and the fix.
//! Stands on a tiny model of its own making, so that it needs no download.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, sync::atomic::AtomicBool};

use safetensors::{Dtype, serialize_to_file, tensor::TensorView};
use serde_json::{Value, json};
use signalbox_encoder::{Arithmetic, Encoder, EncoderOptions, LoadError, Pooling};
use tempfile::TempDir;

const HIDDEN: usize = 4;
const WIDE: usize = 6;
const WORDS: [&str; 5] = ["[UNK]", "[CLS]", "[SEP]", "a", "b"];

fn config() -> Value {
    json!({
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": HIDDEN,
        "intermediate_size": WIDE, "num_hidden_layers": 1, "num_attention_heads": 2,
        "vocab_size": WORDS.len(), "max_position_embeddings": 8, "type_vocab_size": 1,
        "layer_norm_eps": 1e-12,
    })
}

fn tokenizer() -> Value {
    let vocab: Value = WORDS
        .iter()
        .enumerate()
        .map(|(id, word)| (*word, id))
        .collect();
    json!({
        "version": "1.0", "added_tokens": [], "normalizer": null, "decoder": null,
        "truncation": {"max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {
            "strategy": {"Fixed": 7}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[UNK]",
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab,
        },
    })
}

fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut shapes = Vec::new();
    let mut add = |name: &str, shape: &[usize]| shapes.push((name.to_owned(), shape.to_vec()));
    add("embeddings.word_embeddings.weight", &[WORDS.len(), HIDDEN]);
    add("embeddings.position_embeddings.weight", &[8, HIDDEN]);
    add("embeddings.token_type_embeddings.weight", &[1, HIDDEN]);
    let mut pair = |name: &str, shape: &[usize]| {
        add(&format!("{name}.weight"), shape);
        add(&format!("{name}.bias"), &shape[..1]);
    };
    pair("embeddings.LayerNorm", &[HIDDEN]);
    for part in [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
    ] {
        pair(&format!("encoder.layer.0.{part}"), &[HIDDEN, HIDDEN]);
    }
    pair("encoder.layer.0.attention.output.dense", &[HIDDEN, HIDDEN]);
    pair("encoder.layer.0.attention.output.LayerNorm", &[HIDDEN]);
    pair("encoder.layer.0.intermediate.dense", &[WIDE, HIDDEN]);
    pair("encoder.layer.0.output.dense", &[HIDDEN, WIDE]);
    pair("encoder.layer.0.output.LayerNorm", &[HIDDEN]);
    shapes
}

fn write_weights(path: &Path, shapes: &[(String, Vec<usize>)], prefix: &str) {
    let buffers: Vec<Vec<u8>> = shapes
        .iter()
        .enumerate()
        .map(|(seed, (_, shape))| {
            let values = (0..shape.iter().product()).map(|i: usize| ((i * 7 + seed) as f32).sin());
            values.flat_map(f32::to_le_bytes).collect()
        })
        .collect();
    let views = shapes.iter().zip(&buffers).map(|((name, shape), buffer)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), buffer).unwrap();
        (format!("{prefix}{name}"), view)
    });
    serialize_to_file(views, None, path).unwrap();
}

fn model() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &Value| fs::write(dir.path().join(name), value.to_string());
    write("config.json", &config()).unwrap();
    write("tokenizer.json", &tokenizer()).unwrap();
    write("sentence_bert_config.json", &json!({"max_seq_length": 6})).unwrap();
    write("pooling.json", &json!({"pooling_mode_mean_tokens": true})).unwrap();
    write_weights(&dir.path().join("model.safetensors"), &shapes(), "");
    dir
}

/// The error of loading the model after `spoil` had its way with the folder.
fn error_after(spoil: impl FnOnce(&Path)) -> LoadError {
    let dir = model();
    spoil(dir.path());
    match Encoder::load(dir.path()) {
        Ok(_) => panic!("a spoilt model loads"),
        Err(error) => error,
    }
}

fn error_with_config(key: &str, value: Value) -> LoadError {
    error_after(|dir| {
        let mut config = config();
        config[key] = value;
        fs::write(dir.join("config.json"), config.to_string()).unwrap();
    })
}

#[test]
fn a_complete_folder_loads_and_encodes() {
    let dir = model();
    let encoder = Encoder::load(dir.path()).unwrap();
    let info = encoder.info();
    assert_eq!((info.dimensions, info.max_tokens), (HIDDEN, 6));
    assert_eq!(info.pooling, Pooling::Mean);

    let text = encoder.tokenize("a b").unwrap();
    assert_eq!((text.ids(), text.truncated()), (&[1, 3, 4, 2][..], false));
    let vectors = encoder.encode(&[text], &AtomicBool::new(false)).unwrap();
    assert_eq!(vectors[0].len(), HIDDEN);
}

#[test]
fn the_tokenizers_own_padding_and_truncation_are_switched_off() {
    let encoder = Encoder::load(model().path()).unwrap();
    let short = encoder.tokenize("a").unwrap();
    assert_eq!((short.ids(), short.truncated()), (&[1, 3, 2][..], false));
    let long = encoder.tokenize("a b a b a").unwrap();
    assert_eq!(
        (long.ids(), long.truncated()),
        (&[1, 3, 4, 3, 4, 2][..], true)
    );
}

#[test]
fn weights_named_with_the_family_s_prefix_load_as_well() {
    let dir = model();
    write_weights(&dir.path().join("model.safetensors"), &shapes(), "bert.");
    assert!(Encoder::load(dir.path()).is_ok());
}

#[test]
fn a_folder_that_says_nothing_of_pooling_is_pooled_by_the_mean() {
    let dir = model();
    fs::remove_file(dir.path().join("pooling.json")).unwrap();
    let info = Encoder::load(dir.path()).unwrap().info();
    assert_eq!(info.pooling, Pooling::Mean);
}

#[test]
fn the_hub_s_place_for_the_pooling_is_read_too() {
    let dir = model();
    fs::remove_file(dir.path().join("pooling.json")).unwrap();
    fs::create_dir(dir.path().join("1_Pooling")).unwrap();
    let json = json!({"pooling_mode_cls_token": true}).to_string();
    fs::write(dir.path().join("1_Pooling/config.json"), json).unwrap();
    assert_eq!(
        Encoder::load(dir.path()).unwrap().info().pooling,
        Pooling::Cls
    );
}

#[test]
fn groups_of_one_token_give_the_same_vectors() {
    let dir = model();
    for arithmetic in Arithmetic::ALL {
        let options = |threads: usize, group_tokens: usize| EncoderOptions {
            threads: threads.try_into().unwrap(),
            group_tokens: group_tokens.try_into().unwrap(),
            arithmetic,
        };
        let whole = Encoder::load_with(dir.path(), options(1, 256)).unwrap();
        let split = Encoder::load_with(dir.path(), options(3, 1)).unwrap();
        let texts = ["a", "b", "a b", "b b b", ""].map(|text| whole.tokenize(text).unwrap());
        let live = AtomicBool::new(false);
        assert_eq!(whole.encode(&texts, &live), split.encode(&texts, &live));
    }
}

#[test]
fn a_missing_file_is_named_with_the_command_that_fetches_it() {
    for file in [
        "config.json",
        "model.safetensors",
        "sentence_bert_config.json",
        "tokenizer.json",
    ] {
        let error = error_after(|dir| fs::remove_file(dir.join(file)).unwrap());
        assert!(matches!(&error, LoadError::MissingFile { path } if path.ends_with(file)));
        assert!(error.to_string().contains("signalbox models pull"));
    }
}

#[test]
fn unsupported_settings_are_named_with_what_is_supported() {
    for (key, value) in [
        ("model_type", json!("llama")),
        ("hidden_act", json!("relu")),
        ("position_embedding_type", json!("relative_key")),
        ("num_attention_heads", json!(3)),
        ("num_hidden_layers", json!(0)),
        ("vocab_size", json!(u64::MAX)),
        ("layer_norm_eps", json!(-1.0)),
        ("vocab_size", json!(4)),
    ] {
        let error = error_with_config(key, value.clone());
        assert!(
            matches!(error, LoadError::Unsupported { .. }),
            "{key} {value}: {error}"
        );
    }
}

#[test]
fn poolings_that_are_not_one_known_mode_are_refused() {
    for pooling in [json!({}), json!({"pooling_mode_max_tokens": true})] {
        let error =
            error_after(|dir| fs::write(dir.join("pooling.json"), pooling.to_string()).unwrap());
        assert!(matches!(
            error,
            LoadError::Unsupported {
                key: "pooling_mode",
                ..
            }
        ));
    }
}

#[test]
fn a_limit_beyond_the_positions_is_refused() {
    for limit in [0, 2, 9] {
        let json = json!({"max_seq_length": limit}).to_string();
        let error =
            error_after(|dir| fs::write(dir.join("sentence_bert_config.json"), json).unwrap());
        assert!(matches!(
            error,
            LoadError::Unsupported {
                key: "max_seq_length",
                ..
            }
        ));
    }
}

#[test]
fn a_tensor_of_the_wrong_shape_or_missing_is_named() {
    let error = error_with_config("intermediate_size", json!(5));
    let text = error.to_string();
    assert!(matches!(error, LoadError::WrongTensor { .. }), "{text}");
    assert!(
        text.contains("encoder.layer.0.intermediate.dense.weight"),
        "{text}"
    );
    assert!(text.contains("[6, 4]") && text.contains("[5, 4]"), "{text}");

    let error = error_with_config("num_hidden_layers", json!(2));
    assert!(
        matches!(error, LoadError::MissingTensor { tensor, .. } if tensor.contains("layer.1."))
    );
}

#[test]
fn damaged_files_are_refused() {
    for (file, content) in [
        ("config.json", &b"{"[..]),
        ("tokenizer.json", b"[]"),
        ("model.safetensors", b""),
        ("model.safetensors", b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("model.safetensors", b"\x02\0\0\0\0\0\0\0[]"),
        ("model.safetensors", b"\x02\0\0\0\0\0\0\0{}more"),
    ] {
        let error = error_after(|dir| fs::write(dir.join(file), content).unwrap());
        assert!(
            matches!(&error, LoadError::Malformed { path, .. } if path.ends_with(file)),
            "{error}"
        );
    }
}

#[test]
fn a_file_cut_in_transfer_is_refused() {
    let error = error_after(|dir| {
        let path = dir.join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    });
    assert!(matches!(error, LoadError::Malformed { .. }), "{error}");
}
