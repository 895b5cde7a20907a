//! Prints the `OpenAPI` document of the Signalbox contract.

use signalbox_transcode::{Info, Transcoder, openai_quirks};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let transcoder = Transcoder::builder(signalbox_proto::FILE_DESCRIPTOR_SET)
        .quirks(openai_quirks())
        .build()?;
    let info = Info {
        title: "Signalbox".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: "Routes prompts, embeds texts and guards both.".to_owned(),
    };
    println!("{:#}", transcoder.openapi(&info));
    Ok(())
}
