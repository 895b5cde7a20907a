//! What redaction keeps is what stood outside the findings, and nothing else.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use signalbox_guardrails::{Engine, GuardrailsConfig, Selection};

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(&GuardrailsConfig::default()).expect("built-in detectors"));

fuzz_target!(|text: &str| {
    let Ok(redacted) = ENGINE.redact(text, &Selection::default_on()) else {
        return;
    };
    let mut rest = redacted.text.as_str();
    let mut from = 0;
    for finding in &redacted.findings {
        rest = rest
            .strip_prefix(&text[from..finding.start_byte])
            .expect("kept text");
        rest = rest
            .strip_prefix(&format!("<{}>", finding.kind))
            .expect("a label");
        from = finding.end_byte;
    }
    assert_eq!(rest, &text[from..]);
});
