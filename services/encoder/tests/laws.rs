//! What holds for the real model whatever the texts are.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::AtomicBool;

use common::{ENCODER, cosine};
use proptest::prelude::*;
use signalbox_encoder::{EncodeError, TokenIdError, Tokenized};

static LIVE: AtomicBool = AtomicBool::new(false);

fn tokenize(text: &str) -> Tokenized {
    ENCODER.tokenize(text).unwrap()
}

fn encode(texts: &[Tokenized]) -> Vec<Vec<f32>> {
    ENCODER.encode(texts, &LIVE).unwrap()
}

/// Words, spaces and a few scripts: more telling than random characters alone.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-zA-Z]{1,9}",
        1 => "[0-9.,;:!?'-]{1,4}",
        1 => "[一-龥ぁ-んéüßñ😀-😄]{1,4}",
        1 => "\\PC{1,4}",
    ];
    prop::collection::vec(part, 0..25).prop_map(|parts| parts.join(" "))
}

proptest! {
    // Each case runs the model: few cases, and failures are not shrunk for minutes.
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, ..Default::default() })]

    #[test]
    fn vectors_have_length_one_and_no_nan(texts in prop::collection::vec(text(), 1..4)) {
        let texts: Vec<Tokenized> = texts.iter().map(|text| tokenize(text)).collect();
        for vector in encode(&texts) {
            prop_assert_eq!(vector.len(), 384);
            prop_assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn the_calling_thread_alone_computes_the_same(
        texts in prop::collection::vec(text(), 0..6),
    ) {
        let texts: Vec<Tokenized> = texts.iter().map(|text| tokenize(text)).collect();
        let here = ENCODER.encode_here(&texts, &LIVE).unwrap().vectors;
        prop_assert_eq!(here.len(), texts.len());
        for (here, shared) in here.iter().zip(encode(&texts)) {
            prop_assert!(cosine(here, &shared) > 0.999_999);
        }
    }

    #[test]
    fn the_order_of_a_batch_changes_no_vector(
        (texts, order) in prop::collection::vec(text(), 2..7).prop_flat_map(|texts| {
            let order: Vec<usize> = (0..texts.len()).collect();
            (Just(texts), Just(order).prop_shuffle())
        })
    ) {
        let texts: Vec<Tokenized> = texts.iter().map(|text| tokenize(text)).collect();
        let shuffled: Vec<Tokenized> = order.iter().map(|i| texts[*i].clone()).collect();
        let (straight, shuffled) = (encode(&texts), encode(&shuffled));
        for (place, index) in order.into_iter().enumerate() {
            prop_assert!(cosine(&straight[index], &shuffled[place]) > 0.999_999);
        }
    }

    #[test]
    fn a_text_and_its_own_ids_give_the_same_tokens(text in text()) {
        let tokenized = tokenize(&text);
        let content = &tokenized.ids()[1..tokenized.ids().len() - 1];
        prop_assume!(!content.is_empty());
        prop_assert_eq!(ENCODER.accept_ids(content).unwrap(), tokenized);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tokenizing_never_fails_and_keeps_the_limit(text in any::<String>()) {
        let ids = tokenize(&text).ids().to_vec();
        prop_assert!((2..=256).contains(&ids.len()));
        prop_assert_eq!((ids[0], ids[ids.len() - 1]), (101, 102));
    }

    #[test]
    fn a_cut_text_begins_as_the_longer_one_and_ends_in_the_separator(
        words in prop::collection::vec("[a-z]{1,9}|[一-龥]|[0-9]{1,6}", 1..1500)
    ) {
        // Each word by itself: the tokens that the whole text must start with.
        let one_by_one: Vec<u32> = words
            .iter()
            .flat_map(|word| {
                let ids = tokenize(word).ids().to_vec();
                ids[1..ids.len() - 1].to_vec()
            })
            .collect();
        let whole = tokenize(&words.join(" "));
        let kept = one_by_one.len().min(254);
        prop_assert_eq!(&whole.ids()[1..=kept], &one_by_one[..kept]);
        prop_assert_eq!(whole.ids().len(), kept + 2);
        prop_assert_eq!(whole.truncated(), one_by_one.len() > 254);
    }
}

#[test]
fn text_past_the_limit_changes_nothing() {
    let long = "signal box ".repeat(200);
    let longer = format!("{long} and then something else entirely");
    assert!(tokenize(&long).truncated());
    assert_eq!(tokenize(&long), tokenize(&longer));
}

#[test]
fn near_texts_are_nearer_than_far_ones() {
    let vectors = encode(&[
        tokenize("How do I reset my password?"),
        tokenize("I forgot my login and want to set a new one."),
        tokenize("Glaciers carve valleys with flat floors."),
    ]);
    assert!(cosine(&vectors[0], &vectors[1]) > 0.5);
    assert!(cosine(&vectors[0], &vectors[2]) < 0.2);
}

#[test]
fn no_texts_give_no_vectors() {
    assert_eq!(ENCODER.encode(&[], &LIVE), Ok(vec![]));
}

#[test]
fn ids_outside_the_vocabulary_are_named() {
    assert!(ENCODER.accept_ids(&[30_521]).is_ok());
    let error = ENCODER.accept_ids(&[7, 30_522]).unwrap_err();
    let expected = TokenIdError::OutOfRange {
        position: 1,
        id: 30_522,
        last: 30_521,
    };
    assert_eq!(error, expected);
    assert_eq!(ENCODER.accept_ids(&[]), Err(TokenIdError::Empty));
}

#[test]
fn ids_past_the_limit_are_cut() {
    let fits = ENCODER.accept_ids(&[7; 254]).unwrap();
    let cut = ENCODER.accept_ids(&[7; 255]).unwrap();
    assert_eq!((fits.ids().len(), fits.truncated()), (256, false));
    assert_eq!((cut.ids().len(), cut.truncated()), (256, true));
}

#[test]
fn cancelled_work_stops() {
    let texts = vec![tokenize("a text that nobody waits for"); 50];
    let cancelled = ENCODER.encode(&texts, &AtomicBool::new(true));
    assert_eq!(cancelled, Err(EncodeError::Cancelled));
}
