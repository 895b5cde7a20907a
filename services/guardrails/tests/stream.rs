//! The law of streams: for any text and any way of cutting it, what comes out is what
//! redacting the whole text gives, and no byte of a finding comes out early.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use signalbox_guardrails::{Engine, Finding, GuardrailsConfig, MAX_DELAY, Selection, StreamCheck};

static ENGINE: LazyLock<Arc<Engine>> =
    LazyLock::new(|| Arc::new(Engine::new(&GuardrailsConfig::default()).unwrap()));

/// Every detector there is.
static ALL: LazyLock<Selection> = LazyLock::new(|| {
    let names: Vec<&str> = ENGINE.detectors().map(|known| known.name).collect();
    Selection::named(&names).unwrap()
});

/// What comes out, and how much of the original had come out after each piece.
struct Streamed {
    text: String,
    findings: Vec<Finding>,
    /// After each piece: bytes that had arrived, bytes of them that were let through.
    let_through: Vec<(usize, usize)>,
}

fn streamed(text: &str, cuts: &[usize], selection: &Selection) -> Streamed {
    let mut check = StreamCheck::new(Arc::clone(&ENGINE), selection);
    let mut out = Streamed {
        text: String::new(),
        findings: Vec::new(),
        let_through: Vec::new(),
    };
    let mut from = 0;
    for cut in cuts {
        let to = text.floor_char_boundary((from + cut).min(text.len()));
        let piece = check.push(&text[from..to]).unwrap();
        out.text += &piece.text;
        out.findings.extend(piece.findings);
        out.let_through.push((to, to - check.held_back()));
        from = to;
    }
    let piece = check.push(&text[from..]).unwrap();
    out.text += &piece.text;
    out.findings.extend(piece.findings);
    let piece = check.finish().unwrap();
    out.text += &piece.text;
    out.findings.extend(piece.findings);
    out
}

/// Personal data, what resembles it, words of context, disguises and any other text.
fn texts() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "bob@example.com",
        "bob%40example.com",
        "%34",
        "%",
        "?email=bob.smith@mail.example.co.uk",
        "\"a b\"@example.org",
        "+44 20 7946 0958",
        "(415) 555-2671",
        "4155552671",
        "536-22-1234",
        "536221234",
        "4111 1111 1111 1111",
        "4111\u{200b}1111 1111 1111",
        "４１１１１１１１１１１１１１１１",
        "5555-5555-5555-4444",
        "378282246310005",
        "192.0.2.1",
        "2001:db8::1",
        "DE89 3704 0044 0532 0130 00",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "bitcoin wallet",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "https://www.example.com/a?b=4111111111111111",
        "postgres://bob:hunter42x@db.example.org/a",
        "password = s3cr3t-Pa55word",
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN PRIVATE KEY-----",
        "MIIBVQ",
        "-----END PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "00:1A:2B:3C:4D:5E",
        "1HGCM82633A004352",
        "QQ 12 34 56 C",
        "AB123456C",
        "943 476 5919",
        "NHS",
        "MRN: 4471920",
        "born on 12 March 1931",
        "aged 94",
        "52.5200, 13.4050",
        "ZIP 90210",
        "routing 021000021",
        "RSSMRA85T10A562S",
        "86095742719",
        "12345678Z",
        "2234 5678 9012 ",
        // bob@example.com, twice: in base64 and in hexadecimal.
        "Ym9iQGV4YW1wbGUuY29tIQ==",
        "20626f62406578616d706c652e636f6d",
        "::",
        "phone",
        "call",
        "SSN",
        "version",
        "<PHONE>",
        "\n\n",
        "é",
        "语",
        "⑫",
        "\u{200b}",
        "\"",
        "@",
        ".",
    ]);
    let piece = prop_oneof![
        4 => known.prop_map(str::to_owned),
        2 => "[ .,:;()@+\\-x\"<>=/_]{1,3}",
        2 => "[0-9a-f:. \\-]{1,20}",
        1 => "[a-zA-Z]{1,12} ",
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        prop::collection::vec(0..40usize, 0..12),
        prop::collection::vec(0..4usize, 0..80),
        Just(vec![1; 400]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_stream_gives_what_the_whole_text_gives(text in texts(), cuts in cuts()) {
        let whole = ENGINE.redact(&text, &ALL).unwrap();
        let streamed = streamed(&text, &cuts, &ALL);
        prop_assert_eq!(&streamed.text, &whole.text);
        prop_assert_eq!(&streamed.findings, &whole.findings);
        // What is let through ends before or after a finding, never inside, and never
        // after its beginning while its end has not arrived.
        for (arrived, through) in streamed.let_through {
            for finding in &whole.findings {
                let inside = finding.start_byte < through && through < finding.end_byte;
                prop_assert!(!inside, "{} of {:?}", through, finding);
                prop_assert!(through <= finding.start_byte || finding.end_byte <= arrived);
            }
        }
    }
}

#[test]
fn prose_is_let_through_up_to_its_last_word() {
    let mut check = StreamCheck::new(Arc::clone(&ENGINE), &Selection::default_on());
    let piece = check.push("It was a bright cold day in Apr").unwrap();
    assert_eq!(piece.text, "It was a bright cold day in ");
    let piece = check.push("il, and the ").unwrap();
    assert_eq!(piece.text, "April, and the ");
    assert_eq!(check.held_back(), 0);
}

#[test]
fn what_is_held_back_is_bounded_whatever_arrives() {
    for unit in [
        "1 ",
        "1",
        "a@a.",
        "a",
        "4111 1111 1111 1111 ",
        "\"",
        "\u{200b}",
        "(1",
        ":1",
    ] {
        let mut check = StreamCheck::new(Arc::clone(&ENGINE), &Selection::default_on());
        let piece = unit.repeat(500);
        let mut most = 0;
        for _ in 0..50 {
            check.push(&piece).unwrap();
            most = most.max(check.held_back());
        }
        assert!(most <= MAX_DELAY + piece.len(), "{unit:?}: {most}");
    }
}

#[test]
fn a_piece_that_is_too_long_is_refused_and_the_stream_goes_on() {
    let mut check = StreamCheck::new(Arc::clone(&ENGINE), &Selection::default_on());
    check.push("call ").unwrap();
    assert!(check.push(&"x".repeat((1 << 20) + 1)).is_err());
    let piece = check.push("415-555-2671 now").unwrap();
    let rest = check.finish().unwrap();
    assert_eq!(piece.text + &rest.text, "<PHONE> now");
}
