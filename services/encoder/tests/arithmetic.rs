//! What whole-number arithmetic may cost in accuracy, and what no arithmetic may do: give
//! a text another vector because of its neighbours or the number of threads.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    path::Path,
    sync::{LazyLock, atomic::AtomicBool},
};

use common::{ENCODER, cosine, load};
use serde::Deserialize;
use signalbox_encoder::{Arithmetic, Encoder, Tokenized};

static LIVE: AtomicBool = AtomicBool::new(false);
static I16: LazyLock<Encoder> = LazyLock::new(|| load(Arithmetic::I16, 2));
static INT8: LazyLock<Encoder> = LazyLock::new(|| load(Arithmetic::Int8, 2));

/// The reference's texts, as tokens.
static TEXTS: LazyLock<Vec<Tokenized>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct Text {
        text: String,
    }
    let data = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("tests/data");
    let lines = fs::read_to_string(data.join("reference.jsonl")).unwrap();
    let texts = lines.lines().skip(1).map(|line| {
        let text: Text = serde_json::from_str(line).unwrap();
        ENCODER.tokenize(&text.text).unwrap()
    });
    texts.collect()
});

/// The exact vectors.
static EXACT: LazyLock<Vec<Vec<f32>>> = LazyLock::new(|| ENCODER.encode(&TEXTS, &LIVE).unwrap());

/// The least and the mean cosine to the exact vectors.
fn accuracy(encoder: &Encoder) -> (f64, f64) {
    let found = encoder.encode(&TEXTS, &LIVE).unwrap();
    let cosines = EXACT.iter().zip(&found).map(|(a, b)| cosine(a, b));
    let cosines: Vec<f64> = cosines.collect();
    let least = cosines.iter().copied().fold(f64::INFINITY, f64::min);
    (least, cosines.iter().sum::<f64>() / cosines.len() as f64)
}

#[test]
fn sixteen_bits_are_within_0_99995_of_exact() {
    let (least, mean) = accuracy(&I16);
    println!("i16: least {least:.7}, mean {mean:.7}");
    assert!(least >= 0.999_95);
}

#[test]
fn eight_bits_are_within_0_99_of_exact_and_0_9975_in_the_mean() {
    let (least, mean) = accuracy(&INT8);
    println!("int8: least {least:.5}, mean {mean:.5}");
    assert!(least >= 0.99 && mean >= 0.9975, "{least} {mean}");
}

#[test]
fn a_text_alone_has_the_vector_that_it_has_in_any_batch() {
    for encoder in [&*ENCODER, &*I16, &*INT8] {
        let texts = &TEXTS[..60];
        let together = encoder.encode(texts, &LIVE).unwrap();
        for (text, expected) in texts.iter().zip(&together) {
            let alone = encoder.encode(std::slice::from_ref(text), &LIVE).unwrap();
            assert_eq!(&alone[0], expected);
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let texts = &TEXTS[..120];
    let two = I16.encode(texts, &LIVE).unwrap();
    for threads in [1, 5] {
        let other = load(Arithmetic::I16, threads);
        assert_eq!(other.encode(texts, &LIVE).unwrap(), two);
    }
}

#[test]
fn calls_at_the_same_time_get_their_own_vectors() {
    let expected = I16.encode(&TEXTS[..96], &LIVE).unwrap();
    std::thread::scope(|scope| {
        for (texts, expected) in TEXTS[..96].chunks(12).zip(expected.chunks(12)) {
            scope.spawn(move || {
                for _ in 0..5 {
                    assert_eq!(I16.encode(texts, &LIVE).unwrap(), expected);
                }
            });
        }
    });
}
