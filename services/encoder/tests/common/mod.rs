//! The real model, loaded once for each test binary and arithmetic.

// Not every test binary uses everything.
#![allow(dead_code)]

use std::{num::NonZeroUsize, path::PathBuf, sync::LazyLock};

use signalbox_encoder::{Arithmetic, Encoder, EncoderOptions};
use signalbox_models::Store;

/// The folder that `signalbox models pull` fills.
pub(crate) fn model_dir() -> PathBuf {
    let models = Store::default_location().expect("a folder for models");
    let dir = models.root().join("all-MiniLM-L6-v2");
    assert!(
        dir.join("model.safetensors").is_file(),
        "{} holds no model; run `signalbox models pull` or `make models`",
        dir.display()
    );
    dir
}

/// The model with this arithmetic and as many threads.
pub(crate) fn load(arithmetic: Arithmetic, threads: usize) -> Encoder {
    let options = EncoderOptions {
        arithmetic,
        threads: NonZeroUsize::new(threads).expect("a thread"),
        ..EncoderOptions::default()
    };
    Encoder::load_with(&model_dir(), options).expect("the model loads")
}

/// The model, exact.
pub(crate) static ENCODER: LazyLock<Encoder> = LazyLock::new(|| load(Arithmetic::F32, 2));

/// The cosine of two vectors of length 1.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
    products.sum()
}
