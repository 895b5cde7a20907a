//! Any text is a request or an error; what is accepted can be written again.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use signalbox_transcode::{Transcoder, openai_quirks};

static TRANSCODER: LazyLock<Transcoder> = LazyLock::new(|| {
    let descriptors = signalbox_proto::FILE_DESCRIPTOR_SET;
    let built = Transcoder::builder(descriptors).quirks(openai_quirks()).build();
    built.expect("the contract can be transcoded")
});

fuzz_target!(|text: &str| {
    for message in [
        "signalbox.router.v1.CreateChatCompletionRequest",
        "signalbox.router.v1.UpdatePolicyRequest",
        "signalbox.embeddings.v1.CreateEmbeddingsRequest",
    ] {
        if let Ok(wire) = TRANSCODER.json_to_wire(message, text) {
            TRANSCODER.wire_to_json(message, &wire).expect("what was read can be written");
        }
    }
});
