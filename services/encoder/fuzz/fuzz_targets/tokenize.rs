//! Any text has the same ids by the fast path and by the `tokenizers` crate alone.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use signalbox_encoder::Tokenizer;
use signalbox_models::Store;

const VOCABULARY: usize = 30_522;

fn load() -> Tokenizer {
    let models = Store::default_location().expect("a folder for models");
    let path = models.root().join("all-MiniLM-L6-v2/tokenizer.json");
    Tokenizer::load(&path, VOCABULARY, 512).expect("`signalbox models pull` fetches it")
}

static FAST: LazyLock<Tokenizer> = LazyLock::new(load);
static CRATE: LazyLock<Tokenizer> = LazyLock::new(|| load().by_crate_alone());

fuzz_target!(|text: &str| {
    assert!(FAST.is_fast());
    let (fast, general) = (FAST.tokenize(text), CRATE.tokenize(text));
    assert_eq!(fast.expect("takes any text"), general.expect("takes any text"));
});
