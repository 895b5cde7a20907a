//! The fast tokenizer gives the ids of the `tokenizers` crate, for the real vocabulary
//! and for texts made to part them.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::LazyLock;

use common::model_dir;
use proptest::{collection::vec, prelude::*};
use signalbox_encoder::Tokenizer;

const VOCABULARY: usize = 30_522;

fn load(max_tokens: usize) -> Tokenizer {
    let path = model_dir().join("tokenizer.json");
    Tokenizer::load(&path, VOCABULARY, max_tokens).unwrap()
}

static FAST: LazyLock<Tokenizer> = LazyLock::new(|| load(4096));
static CRATE: LazyLock<Tokenizer> = LazyLock::new(|| load(4096).by_crate_alone());

fn assert_same(text: &str) {
    let (fast, general) = (FAST.tokenize(text), CRATE.tokenize(text));
    assert_eq!(fast.unwrap(), general.unwrap(), "{text:?}");
}

/// What makes tokenizers differ: marks, special tokens whole and in parts, white space
/// of every kind, characters that are removed, scripts with and without spaces.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-zA-Z]{1,12}",
        2 => "[0-9]{1,6}",
        3 => "[ \t\n\r]{1,3}",
        2 => "[!-/:-@\\[-`{-~]{1,4}",
        2 => prop::sample::select(vec![
            "[MASK]", "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[mask]", "[Mask", "MASK]", "[", "]",
            "[MA\u{301}SK]", "[MAS\u{ad}K]", "[M\u{200b}ASK]", "[\u{0}MASK]", "##", "##ing",
        ]).prop_map(str::to_owned),
        2 => "[éèüßñøåçÀÖİıſǅΣσςжЙё’“”–—…€™½²©®¼؟]{1,4}",
        2 => "[\u{300}-\u{36f}\u{483}-\u{489}]{1,3}",
        1 => "[\u{80}-\u{52f}]{1,4}",
        1 => "[\u{2000}-\u{20ff}]{1,4}",
        1 => "[一-龥\u{9fa0}-\u{9fff}ぁ-んァ-ヶ가-힣、。！]{1,5}",
        1 => "[\u{0}-\u{1f}\u{7f}-\u{9f}\u{ad}\u{200b}\u{feff}\u{fffd}\u{e000}]{1,3}",
        1 => "\\PC{1,4}",
        1 => any::<char>().prop_map(String::from),
        1 => "[a-z]{90,110}",
        1 => "[aé]{95,105}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn any_mixture_has_the_ids_of_the_crate(parts in vec(part(), 0..24)) {
        assert_same(&parts.concat());
    }

    #[test]
    fn any_text_at_all_has_the_ids_of_the_crate(text in any::<String>()) {
        assert_same(&text);
    }

    #[test]
    fn cuts_fall_at_the_same_token(parts in vec(part(), 0..24), limit in 3usize..24) {
        static SHORT: LazyLock<Vec<[Tokenizer; 2]>> = LazyLock::new(|| {
            (0..24).map(|limit| [load(limit.max(3)), load(limit.max(3)).by_crate_alone()]).collect()
        });
        let text = parts.concat();
        let [fast, general] = &SHORT[limit];
        prop_assert_eq!(fast.tokenize(&text).unwrap(), general.tokenize(&text).unwrap());
    }
}

#[test]
fn every_character_alone_and_within_a_word_has_the_ids_of_the_crate() {
    for c in (0..=0x2_ffff).filter_map(char::from_u32) {
        assert_same(&format!("a{c}b {c} {c}1"));
    }
}

#[test]
fn every_word_of_the_vocabulary_is_itself() {
    let json = std::fs::read(model_dir().join("tokenizer.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let words = json["model"]["vocab"].as_object().unwrap();
    assert_eq!(words.len(), VOCABULARY);
    for (word, id) in words {
        assert_same(word);
        assert_same(&format!("x{}", word.trim_start_matches('#')));
        if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            let ids = FAST.tokenize(word).unwrap().ids().to_vec();
            assert_eq!(ids, [101, id.as_u64().unwrap() as u32, 102]);
        }
    }
}

#[test]
fn long_texts_without_a_space_have_the_ids_of_the_crate() {
    for unit in [
        "ab,",
        "é",
        "\u{4e2d}",
        "a\u{301}",
        "\u{1f600}",
        "[MASK]",
        "\u{0}",
        "- \u{301}",
    ] {
        for count in [1, 99, 100, 101, 3_000, 30_000] {
            assert_same(&unit.repeat(count));
        }
    }
}

#[test]
fn the_fast_path_is_in_use() {
    assert!(FAST.is_fast() && !CRATE.is_fast());
}
