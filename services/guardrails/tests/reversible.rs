//! Pseudonyms of the real detectors' findings, put back over random texts.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use signalbox_chassis::RequestContext;
use signalbox_guardrails::{Engine, GuardrailsConfig, RestoreStream, Selection};
use tokio::runtime::{Builder, Runtime};

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(&GuardrailsConfig::default()).unwrap());
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().unwrap());

fn texts() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "bob@example.com",
        "BOB@EXAMPLE.COM",
        "\"a b\"@example.org",
        "+44 20 7946 0958",
        "(415) 555-2671",
        "call 4155552671",
        "536-22-1234",
        "4111 1111 1111 1111",
        "378282246310005",
        "192.0.2.1",
        "2001:db8::1",
        "<EMAIL>",
        "<EMAIL:enc:local:xabc>",
    ]);
    let piece = prop_oneof![
        3 => known.prop_map(str::to_owned),
        2 => "[ .,:;()@+\\-x\"<>=/_]{1,3}",
        1 => "[0-9a-f:. \\-]{1,20}",
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_conversation_is_restored_whole_and_in_pieces(
        turns in prop::collection::vec(texts(), 1..4),
        piece in 1usize..9,
    ) {
        let caller = RequestContext::anonymous();
        let mut session = String::new();
        for text in turns {
            let sent = ENGINE.pseudonymize(&caller, "", &session, &text);
            let sent = RUNTIME.block_on(sent).unwrap();
            session = sent.session_id;
            let found = ENGINE.check(&text, &Selection::default_on()).unwrap().findings;
            prop_assert_eq!(&found, &sent.findings);
            let restorer = RUNTIME.block_on(ENGINE.restorer(&caller, &session)).unwrap();
            prop_assert_eq!(&restorer.restore(&sent.text).0, &text, "{}", sent.text);
            let mut stream = RestoreStream::new(Arc::new(restorer));
            let mut given = String::new();
            let chars: Vec<char> = sent.text.chars().collect();
            for piece in chars.chunks(piece) {
                given.push_str(&stream.push(&piece.iter().collect::<String>()));
            }
            given.push_str(&stream.finish());
            prop_assert_eq!(given, text);
        }
    }
}
