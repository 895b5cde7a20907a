//! A stream gives what the whole text gives, however the text is cut: the first bytes say
//! where.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use signalbox_guardrails::{Engine, GuardrailsConfig, Selection, StreamCheck};

static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| {
    Arc::new(Engine::new(&GuardrailsConfig::default()).expect("built-in detectors"))
});

fuzz_target!(|input: (Vec<u8>, &str)| {
    let (cuts, text) = input;
    let selection = Selection::default_on();
    let Ok(whole) = ENGINE.redact(text, &selection) else {
        return;
    };
    let mut check = StreamCheck::new(Arc::clone(&ENGINE), &selection);
    let (mut streamed, mut findings) = (String::new(), Vec::new());
    let mut from = 0;
    for cut in cuts.into_iter().chain([u8::MAX]) {
        let length = if cut == u8::MAX { text.len() } else { usize::from(cut) };
        let to = text.floor_char_boundary((from + length).min(text.len()));
        let piece = check.push(&text[from..to]).expect("a short piece");
        streamed += &piece.text;
        findings.extend(piece.findings);
        from = to;
    }
    let piece = check.finish().expect("the rest");
    streamed += &piece.text;
    findings.extend(piece.findings);
    assert_eq!(streamed, whole.text);
    assert_eq!(findings, whole.findings);
});
