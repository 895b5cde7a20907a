//! The real model, loaded once for each test binary.

use std::{path::PathBuf, sync::LazyLock};

use signalbox_encoder::Encoder;
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

/// The model.
pub(crate) static ENCODER: LazyLock<Encoder> =
    LazyLock::new(|| Encoder::load(&model_dir()).expect("the model loads"));

/// The cosine of two vectors of length 1.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
    products.sum()
}
