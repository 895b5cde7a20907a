//! What was written as pseudonyms is put back, in one piece and in any pieces.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use signalbox_chassis::RequestContext;
use signalbox_guardrails::{Engine, GuardrailsConfig, RestoreStream};
use tokio::runtime::{Builder, Runtime};

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(&GuardrailsConfig::default()).expect("built-in detectors"));
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|input: (&str, u8)| {
    let (text, piece) = input;
    let caller = RequestContext::anonymous();
    // A session of its own for each text: what a full vault refuses is no finding.
    let Ok(sent) = RUNTIME.block_on(ENGINE.pseudonymize(&caller, "", "", text)) else {
        return;
    };
    let restorer = RUNTIME
        .block_on(ENGINE.restorer(&caller, &sent.session_id))
        .expect("the session that was just made");
    let restored = restorer.restore(&sent.text).0;
    assert_eq!(restored, text);
    let mut stream = RestoreStream::new(Arc::new(restorer));
    let mut given = String::new();
    let mut chars = sent.text.chars().peekable();
    while chars.peek().is_some() {
        let next: String = chars.by_ref().take(usize::from(piece).max(1)).collect();
        given.push_str(&stream.push(&next));
    }
    given.push_str(&stream.finish());
    assert_eq!(given, text);
});
