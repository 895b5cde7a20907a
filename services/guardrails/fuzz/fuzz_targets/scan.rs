//! Any text is scanned without a panic, in bounded work, to sound findings.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use signalbox_guardrails::{Engine, GuardrailsConfig, Selection};

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(&GuardrailsConfig::default()).expect("built-in detectors"));

fuzz_target!(|text: &str| {
    let Ok(report) = ENGINE.check(text, &Selection::default_on()) else {
        return;
    };
    let stats = report.stats;
    assert!(stats.reverse_bytes <= 300 * stats.forward_bytes);
    for finding in &report.findings {
        let value = &text[finding.start_byte..finding.end_byte];
        let chars = finding.end_char - finding.start_char;
        assert_eq!(value.chars().count(), chars);
    }
    for pair in report.findings.windows(2) {
        assert!(pair[0].end_byte <= pair[1].start_byte);
    }
});
