//! The work is linear in the length of the text, hostile texts included: counted in
//! bytes read and candidates judged, not in seconds.

#![allow(clippy::unwrap_used, reason = "tests")]

use signalbox_guardrails::{Engine, GuardrailsConfig, ScanStats, Selection};

/// Units whose repetition makes as many candidates as possible, or as long ones.
const HOSTILE: [&str; 16] = [
    "1",
    "1 ",
    "12 ",
    "call 12 34 56 78 ",
    "1234 5678 9012 3456 ",
    "4111-1111-1111-1111-",
    "+1",
    "+1 ",
    "(1",
    "a@",
    "a@aa.",
    "aa.",
    "\"a\"@aa.",
    "\"\\",
    ":",
    "1.1.1.1.",
];

fn work(unit: &str, bytes: usize) -> ScanStats {
    let config = GuardrailsConfig {
        max_text_bytes: bytes + 64,
        ..GuardrailsConfig::default()
    };
    let text = format!("a@{}", unit.repeat(bytes / unit.len()));
    let engine = Engine::new(&config).unwrap();
    engine.check(&text, &Selection::default_on()).unwrap().stats
}

#[test]
fn twice_the_text_is_at_most_twice_the_work() {
    for unit in HOSTILE {
        let (once, twice) = (work(unit, 20_000), work(unit, 40_000));
        // A constant for the first stretch, which is not yet cut off by a bound.
        let slack = 2_000;
        assert!(
            twice.walked_bytes <= 2 * once.walked_bytes + slack,
            "{unit:?}: {once:?} {twice:?}"
        );
        assert!(
            twice.candidates <= 2 * once.candidates + slack,
            "{unit:?}: {once:?} {twice:?}"
        );
    }
}

#[test]
fn no_text_makes_more_than_a_fixed_amount_of_work_for_each_byte() {
    for unit in HOSTILE {
        let stats = work(unit, 50_000);
        assert!(stats.text_bytes >= 49_900);
        assert!(
            stats.walked_bytes <= 12 * stats.text_bytes,
            "{unit:?}: {stats:?}"
        );
        assert!(stats.candidates <= stats.text_bytes, "{unit:?}: {stats:?}");
    }
}

#[test]
fn ordinary_prose_is_hardly_walked_at_all() {
    let stats = work(
        "It was a bright cold day in spring, and all clocks were wrong. ",
        50_000,
    );
    assert!(stats.walked_bytes < stats.text_bytes / 2, "{stats:?}");
}
