//! Every model family computes what its paper says: small models with random weights,
//! and real ones where they are there, against a plain implementation in f64.

#![allow(clippy::unwrap_used)]

mod reference;

use std::{fs, path::Path, sync::atomic::AtomicBool};

use reference::{Shape, Tensors};
use safetensors::{Dtype, SafeTensors, serialize_to_file, tensor::TensorView};
use serde_json::{Value, json};
use signalbox_encoder::{Arithmetic, Encoder, EncoderOptions, InputType, LoadError, Pooling};
use tempfile::TempDir;

const WORDS: [&str; 12] = [
    "<s>", "<pad>", "</s>", "<unk>", "a", "b", "c", "##a", "##b", "query", "passage", ":",
];
const POSITIONS: usize = 60;

fn shape(family: &'static str) -> Shape {
    Shape {
        family,
        hidden: 24,
        heads: 3,
        layers: 2,
        eps: 1e-5,
    }
}

fn config(family: &str) -> Value {
    json!({
        "model_type": match family { "roberta" => "xlm-roberta", other => other },
        "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
        "num_attention_heads": 3, "vocab_size": WORDS.len(), "pad_token_id": 1,
        "max_position_embeddings": POSITIONS, "layer_norm_eps": 1e-5, "type_vocab_size": 1,
    })
}

fn tokenizer() -> Value {
    let vocab: Value = WORDS
        .iter()
        .enumerate()
        .map(|(id, word)| (*word, id))
        .collect();
    json!({
        "version": "1.0", "added_tokens": [], "decoder": null, "truncation": null,
        "padding": null, "pre_tokenizer": {"type": "BertPreTokenizer"},
        "normalizer": {"type": "BertNormalizer", "clean_text": true,
            "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2],
            "cls": ["<s>", 0], "trim_offsets": true, "add_prefix_space": false},
        "model": {"type": "WordPiece", "unk_token": "<unk>", "vocab": vocab,
            "continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
    })
}

/// Random values of a size that leaves no layer without effect.
fn tensors(family: &str) -> Tensors {
    let mut state = 1_u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1_u64 << 24) as f64 - 0.5
    };
    let mut all = Tensors::new();
    let mut add = |name: String, shape: &[usize], middle: f64| {
        // What f32 holds exactly, so that both sides have the same weights.
        let values =
            (0..shape.iter().product()).map(|_: usize| f64::from((middle + draw()) as f32));
        all.insert(name, (shape.to_vec(), values.collect()));
    };
    let named = |name: &str| format!("embeddings.{name}.weight");
    add(named("word_embeddings"), &[WORDS.len(), 24], 0.0);
    add(named("position_embeddings"), &[POSITIONS, 24], 0.0);
    if family == "mpnet" {
        add(
            "encoder.relative_attention_bias.weight".to_owned(),
            &[32, 3],
            0.0,
        );
    } else {
        add(named("token_type_embeddings"), &[1, 24], 0.0);
    }
    let attention = match family {
        "mpnet" => ["attn.q", "attn.k", "attn.v", "attn.o", "LayerNorm"],
        _ => [
            "self.query",
            "self.key",
            "self.value",
            "output.dense",
            "output.LayerNorm",
        ],
    };
    let mut pair = |name: &str, shape: &[usize], middle: f64| {
        add(format!("{name}.weight"), shape, middle);
        add(format!("{name}.bias"), &shape[..1], 0.0);
    };
    pair("embeddings.LayerNorm", &[24], 1.0);
    for layer in 0..2 {
        for part in &attention[..4] {
            pair(
                &format!("encoder.layer.{layer}.attention.{part}"),
                &[24, 24],
                0.0,
            );
        }
        pair(
            &format!("encoder.layer.{layer}.attention.{}", attention[4]),
            &[24],
            1.0,
        );
        pair(
            &format!("encoder.layer.{layer}.intermediate.dense"),
            &[40, 24],
            0.0,
        );
        pair(
            &format!("encoder.layer.{layer}.output.dense"),
            &[24, 40],
            0.0,
        );
        pair(
            &format!("encoder.layer.{layer}.output.LayerNorm"),
            &[24],
            1.0,
        );
    }
    all
}

fn write_tensors(path: &Path, tensors: &Tensors, dtype: Dtype, prefix: &str) {
    let bytes = |value: &f64| match dtype {
        Dtype::BF16 => ((*value as f32).to_bits() >> 16).to_le_bytes()[..2].to_vec(),
        _ => (*value as f32).to_le_bytes().to_vec(),
    };
    let buffers: Vec<Vec<u8>> = tensors
        .values()
        .map(|(_, values)| values.iter().flat_map(bytes).collect())
        .collect();
    let views = tensors
        .iter()
        .zip(&buffers)
        .map(|((name, (shape, _)), buffer)| {
            let view = TensorView::new(dtype, shape.clone(), buffer).unwrap();
            (format!("{prefix}{name}"), view)
        });
    serialize_to_file(views, None, path).unwrap();
}

fn write(dir: &Path, name: &str, value: &Value) {
    fs::write(dir.join(name), value.to_string()).unwrap();
}

fn model(family: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "config.json", &config(family));
    write(dir.path(), "tokenizer.json", &tokenizer());
    write(
        dir.path(),
        "sentence_bert_config.json",
        &json!({"max_seq_length": null}),
    );
    let path = dir.path().join("model.safetensors");
    write_tensors(&path, &tensors(family), Dtype::F32, "");
    dir
}

fn load(dir: &Path) -> Encoder {
    let options = EncoderOptions {
        arithmetic: Arithmetic::F32,
        ..EncoderOptions::default()
    };
    Encoder::load_with(dir, options).unwrap()
}

fn vector(encoder: &Encoder, ids: &[u32]) -> Vec<f32> {
    let text = encoder.accept_ids(ids).unwrap();
    let mut vectors = encoder.encode(&[text], &AtomicBool::new(false)).unwrap();
    vectors.remove(0)
}

fn unit(vector: &[f64]) -> Vec<f64> {
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    vector.iter().map(|value| value / length).collect()
}

fn pooled(rows: &[Vec<f64>], pooling: Pooling) -> Vec<f64> {
    let columns = (0..rows[0].len()).map(|column| {
        let values = rows.iter().map(|row| row[column]);
        match pooling {
            Pooling::Mean => values.sum::<f64>() / rows.len() as f64,
            Pooling::Cls => rows[0][column],
            Pooling::Last => rows[rows.len() - 1][column],
            Pooling::Max => values.fold(f64::NEG_INFINITY, f64::max),
        }
    });
    unit(&columns.collect::<Vec<f64>>())
}

fn assert_close(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (f64::from(*found) - expected).abs() < tolerance,
            "{what}: {found} {expected}"
        );
    }
}

/// Content of several lengths, up to the limit and with distances in every bucket that
/// the positions allow.
fn contents() -> Vec<Vec<u32>> {
    [1, 2, 7, 20, 56]
        .into_iter()
        .map(|length| (0..length).map(|place| 3 + place * 5 % 9).collect())
        .collect()
}

#[test]
fn every_family_and_pooling_agrees_with_its_paper() {
    let poolings = [
        ("cls_token", Pooling::Cls),
        ("mean_tokens", Pooling::Mean),
        ("max_tokens", Pooling::Max),
        ("lasttoken", Pooling::Last),
    ];
    for family in ["bert", "roberta", "mpnet"] {
        let dir = model(family);
        let tensors = tensors(family);
        for (key, pooling) in poolings {
            let key = format!("pooling_mode_{key}");
            write(dir.path(), "pooling.json", &json!({key: true}));
            let encoder = load(dir.path());
            assert_eq!(encoder.info().pooling, pooling);
            for content in contents() {
                let ids = [&[0], &content[..], &[2]].concat();
                let rows = reference::encode(&tensors, shape(family), &ids);
                let expected = pooled(&rows, pooling);
                let what = format!("{family} {pooling:?} {}", ids.len());
                assert_close(&vector(&encoder, &content), &expected, 2e-5, &what);
            }
        }
    }
}

#[test]
fn positions_before_the_first_are_not_for_texts() {
    for (family, limit) in [
        ("bert", POSITIONS),
        ("roberta", POSITIONS - 2),
        ("mpnet", POSITIONS - 2),
    ] {
        let dir = model(family);
        assert_eq!(load(dir.path()).info().max_tokens, limit, "{family}");
        write(
            dir.path(),
            "sentence_bert_config.json",
            &json!({"max_seq_length": limit + 1}),
        );
        let error = Encoder::load(dir.path()).err().unwrap();
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
fn names_with_the_family_s_prefix_and_16_bit_weights_load() {
    for (family, prefix) in [
        ("roberta", "roberta."),
        ("mpnet", "mpnet."),
        ("bert", "bert."),
    ] {
        let dir = model(family);
        let exact = vector(&load(dir.path()), &[4, 5, 6]);
        let path = dir.path().join("model.safetensors");
        write_tensors(&path, &tensors(family), Dtype::BF16, prefix);
        let rounded = vector(&load(dir.path()), &[4, 5, 6]);
        let cosine: f32 = exact.iter().zip(&rounded).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.99 && cosine < 1.0 - 1e-9, "{family}: {cosine}");
    }
}

#[test]
fn prompts_come_from_sentence_transformers_file_and_signalbox_json_goes_first() {
    let dir = model("bert");
    let ids = |input_type| {
        let encoder = load(dir.path());
        encoder
            .tokenize_with("a", input_type)
            .unwrap()
            .ids()
            .to_vec()
    };
    assert_eq!(ids(InputType::Query), [0, 4, 2]);
    let prompts = json!({"query": "query: ", "passage": "passage: "});
    let file = "config_sentence_transformers.json";
    write(dir.path(), file, &json!({"prompts": prompts}));
    assert_eq!(ids(InputType::Query), [0, 9, 11, 4, 2]);
    assert_eq!(ids(InputType::Document), [0, 10, 11, 4, 2]);
    assert_eq!(ids(InputType::Unspecified), [0, 4, 2]);
    write(
        dir.path(),
        file,
        &json!({"prompts": prompts, "default_prompt_name": "passage"}),
    );
    assert_eq!(ids(InputType::Unspecified), [0, 10, 11, 4, 2]);
    write(
        dir.path(),
        file,
        &json!({"prompts": prompts, "default_prompt_name": "none"}),
    );
    let error = Encoder::load(dir.path()).err().unwrap().to_string();
    assert!(
        error.contains("default_prompt_name") && error.contains("passage, query"),
        "{error}"
    );

    write(
        dir.path(),
        "signalbox.json",
        &json!({"prompts": {"query": "b "}}),
    );
    assert_eq!(ids(InputType::Query), [0, 5, 4, 2]);
    assert_eq!(ids(InputType::Document), [0, 4, 2]);
}

#[test]
fn matryoshka_lengths_are_checked_and_sorted() {
    let dir = model("bert");
    write(
        dir.path(),
        "signalbox.json",
        &json!({"matryoshka_dimensions": [8, 24, 16, 8]}),
    );
    assert_eq!(load(dir.path()).info().matryoshka_dimensions, [16, 8]);
    for wrong in [0, 25] {
        write(
            dir.path(),
            "signalbox.json",
            &json!({"matryoshka_dimensions": [wrong]}),
        );
        let error = Encoder::load(dir.path()).err().unwrap();
        assert!(matches!(
            error,
            LoadError::Unsupported {
                key: "matryoshka_dimensions",
                ..
            }
        ));
    }
}

#[test]
fn the_steps_of_modules_json_are_followed_or_refused() {
    let dir = model("bert");
    let step = |kind: &str, path: &str| json!({"idx": 0, "name": "0", "path": path, "type": format!("sentence_transformers.models.{kind}")});
    fs::create_dir(dir.path().join("1_Pooling")).unwrap();
    write(
        dir.path(),
        "1_Pooling/config.json",
        &json!({"pooling_mode_cls_token": true}),
    );
    let mut steps = vec![step("Transformer", ""), step("Pooling", "1_Pooling")];
    write(dir.path(), "modules.json", &json!(steps));
    let info = load(dir.path()).info();
    assert_eq!((info.pooling, info.normalised), (Pooling::Cls, false));
    steps.push(step("Normalize", "2_Normalize"));
    write(dir.path(), "modules.json", &json!(steps));
    assert!(load(dir.path()).info().normalised);
    steps.push(step("Dense", "3_Dense"));
    write(dir.path(), "modules.json", &json!(steps));
    let error = Encoder::load(dir.path()).err().unwrap().to_string();
    assert!(error.contains("models.Dense"), "{error}");
}

/// Rows of a table, by row.
const ROWS: [[f64; 3]; 12] = {
    let mut rows = [[0.0; 3]; 12];
    let mut row = 0;
    while row < 12 {
        rows[row] = [row as f64, 1.0 - row as f64 / 4.0, 2.0];
        row += 1;
    }
    rows
};

fn static_model(config: &Value, tensors: &Tensors) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "config.json", config);
    write(dir.path(), "tokenizer.json", &tokenizer());
    write_tensors(
        &dir.path().join("model.safetensors"),
        tensors,
        Dtype::F32,
        "",
    );
    dir
}

fn embed(encoder: &Encoder, text: &str) -> Vec<f32> {
    let text = encoder.tokenize(text).unwrap();
    encoder
        .encode(&[text], &AtomicBool::new(false))
        .unwrap()
        .remove(0)
}

#[test]
fn a_static_model_is_the_mean_of_its_tokens_rows() {
    let values: Vec<f64> = ROWS.concat();
    for name in ["embeddings", "embedding.weight"] {
        let mut tensors = Tensors::new();
        tensors.insert(name.to_owned(), (vec![12, 3], values.clone()));
        let dir = static_model(
            &json!({"model_type": "model2vec", "normalize": true}),
            &tensors,
        );
        let encoder = load(dir.path());
        assert_eq!(
            (encoder.info().dimensions, encoder.info().max_tokens),
            (3, 512)
        );
        let mean = [0, 1, 2].map(|column| (ROWS[4][column] + 2.0 * ROWS[5][column]) / 3.0);
        assert_close(&embed(&encoder, "a b b"), &unit(&mean), 1e-6, name);
        // Unknown words are left out, special tokens are not put in.
        assert_close(&embed(&encoder, "a zzz b b !"), &unit(&mean), 1e-6, name);
        assert_eq!(embed(&encoder, "zzz"), [0.0; 3]);
        assert_eq!(embed(&encoder, ""), [0.0; 3]);
        let cut = encoder.tokenize(&"a ".repeat(513)).unwrap();
        assert_eq!((cut.ids().len(), cut.truncated()), (512, true));
    }
}

#[test]
fn weights_of_tokens_and_rows_that_tokens_share_count() {
    let mut tensors = Tensors::new();
    tensors.insert("embeddings".to_owned(), (vec![3, 3], ROWS[..3].concat()));
    let weights: Vec<f64> = (0..12).map(|token| f64::from(token) / 2.0).collect();
    tensors.insert("weights".to_owned(), (vec![12], weights.clone()));
    let dir = static_model(&json!({"model_type": "model2vec"}), &tensors);
    let path = dir.path().join("model.safetensors");
    let write_mapping = |mapping: [i64; 12]| {
        let bytes: Vec<u8> = mapping.iter().flat_map(|row| row.to_le_bytes()).collect();
        let float = |values: &[f64]| -> Vec<u8> {
            values
                .iter()
                .flat_map(|value| (*value as f32).to_le_bytes())
                .collect()
        };
        let (table, factors) = (float(&ROWS[..3].concat()), float(&weights));
        let view =
            |dtype, shape: &[usize], bytes| TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
        let views = [
            ("embeddings", view(Dtype::F32, &[3, 3], &table)),
            ("mapping", view(Dtype::I64, &[12], &bytes)),
            ("weights", view(Dtype::F32, &[12], &factors)),
        ];
        serialize_to_file(views, None, &path).unwrap();
    };
    write_mapping([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    // "a" is token 4 with row 1 and weight 2, "b" token 5 with row 2 and weight 2.5.
    let mean = [0, 1, 2].map(|column| 2.0 * ROWS[1][column] + 2.5 * ROWS[2][column]);
    assert_close(
        &embed(&load(dir.path()), "a b"),
        &unit(&mean),
        1e-6,
        "mapped",
    );
    for wrong in [3, -1] {
        write_mapping([wrong, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
        let error = Encoder::load(dir.path()).err().unwrap().to_string();
        assert!(
            error.contains("mapping") && error.contains("0 to 2"),
            "{error}"
        );
    }
}

/// The real weights, against the same reference: `signalbox models pull all-mpnet-base-v2`
/// and `cargo test -p signalbox-encoder --test families -- --ignored`.
#[test]
#[ignore = "needs the 438 MB of all-mpnet-base-v2"]
fn all_mpnet_base_v2_agrees_with_the_paper() {
    let models = signalbox_models::Store::default_location().unwrap();
    let dir = models.root().join("all-mpnet-base-v2");
    let bytes = fs::read(dir.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Tensors = file
        .iter()
        .filter(|(_, view)| view.dtype() == Dtype::F32)
        .map(|(name, view)| {
            let (numbers, _) = view.data().as_chunks::<4>();
            let values = numbers
                .iter()
                .map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
            (name.to_owned(), (view.shape().to_vec(), values.collect()))
        })
        .collect();
    let shape = Shape {
        family: "mpnet",
        hidden: 768,
        heads: 12,
        layers: 12,
        eps: 1e-5,
    };
    let texts = [
        "The next train leaves from platform two.",
        "how do I restore a backup?",
        "Où est la gare, s'il vous plaît, et quand part le prochain train pour la ville ?",
    ];
    for arithmetic in [Arithmetic::F32, Arithmetic::I16] {
        let options = EncoderOptions {
            arithmetic,
            ..EncoderOptions::default()
        };
        let encoder = Encoder::load_with(&dir, options).unwrap();
        for text in texts {
            let tokenized = encoder.tokenize(text).unwrap();
            let rows = reference::encode(&tensors, shape, tokenized.ids());
            let expected = pooled(&rows, Pooling::Mean);
            let found = embed(&encoder, text);
            let cosine: f64 = found
                .iter()
                .zip(&expected)
                .map(|(a, b)| f64::from(*a) * b)
                .sum();
            println!("{arithmetic:?} {} tokens: cosine {cosine:.9}", rows.len());
            assert!(cosine > 0.9999, "{arithmetic:?} {text:?}: {cosine}");
        }
    }
}
