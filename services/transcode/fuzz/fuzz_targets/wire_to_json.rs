//! Any bytes are a response or an error; what is written is JSON.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use signalbox_transcode::{Transcoder, openai_quirks};

static TRANSCODER: LazyLock<Transcoder> = LazyLock::new(|| {
    let descriptors = signalbox_proto::FILE_DESCRIPTOR_SET;
    let built = Transcoder::builder(descriptors).quirks(openai_quirks()).build();
    built.expect("the contract can be transcoded")
});

fuzz_target!(|bytes: &[u8]| {
    for message in [
        "signalbox.router.v1.ChatCompletion",
        "signalbox.router.v1.RoutingPolicy",
        "signalbox.embeddings.v1.CreateEmbeddingsResponse",
        "signalbox.guardrails.v1.CreateModerationResponse",
    ] {
        if let Ok(json) = TRANSCODER.wire_to_json(message, bytes) {
            serde_json::from_slice::<serde_json::Value>(&json).expect("what is written is JSON");
        }
    }
});
