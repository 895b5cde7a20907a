//! The work stays linear when a text is made of what the detectors look for.

use signalbox_guardrails::{ScanStats, Selection};

use crate::support::ENGINE;

/// Beginnings, middles and ends of patterns, over and over.
const UNITS: [&str; 18] = [
    "eyJa.",
    "eyJa.b.",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----A",
    "http://a.",
    "www.a.",
    "a.b-",
    "password=",
    "a_password=b1c2d3!",
    "token: a1",
    "ghp_a",
    "DE89 3704 ",
    "AB12",
    "1.1234,",
    "mrn: ",
    "account no. 1",
    "0x0",
    "bc1q",
];

fn work(unit: &str, bytes: usize) -> ScanStats {
    let names: Vec<&str> = ENGINE.detectors().map(|detector| detector.name).collect();
    let text = unit.repeat(bytes / unit.len());
    let all = Selection::named(&names).unwrap();
    ENGINE.check(&text, &all).unwrap().stats
}

#[test]
fn twice_the_text_is_at_most_twice_the_work_for_every_detector() {
    for unit in UNITS {
        let (once, twice) = (work(unit, 10_000), work(unit, 20_000));
        let slack = 4_000;
        assert!(
            twice.walked_bytes <= 2 * once.walked_bytes + slack
                && twice.candidates <= 2 * once.candidates + slack,
            "{unit:?}: {once:?} {twice:?}"
        );
    }
}
