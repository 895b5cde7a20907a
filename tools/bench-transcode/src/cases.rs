//! The messages that are measured, and what each codec does with them.

use std::{error::Error, sync::Arc};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::{Value, json};
use signalbox_transcode::Transcoder;

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bench.binpb"));

/// Messages with pbjson's serde implementations.
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::doc_markdown
)]
mod proto {
    pub mod router {
        include!(concat!(env!("OUT_DIR"), "/signalbox.router.v1.rs"));
        include!(concat!(env!("OUT_DIR"), "/signalbox.router.v1.serde.rs"));
    }
    pub mod embeddings {
        include!(concat!(env!("OUT_DIR"), "/signalbox.embeddings.v1.rs"));
        include!(concat!(
            env!("OUT_DIR"),
            "/signalbox.embeddings.v1.serde.rs"
        ));
    }
}

type Run = Box<dyn Fn() -> Result<Vec<u8>, Box<dyn Error>>>;

/// Whether two codecs' outputs mean the same.
type Same = fn(&Case, &[u8], &[u8]) -> Result<bool, Box<dyn Error>>;

/// One message in one direction.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) json_bytes: usize,
    pub(crate) codecs: Vec<Codec>,
    same: Same,
    descriptor: MessageDescriptor,
}

/// One way to do it.
pub(crate) struct Codec {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

impl Case {
    /// All codecs must agree before their speed means anything.
    pub(crate) fn check(&self) -> Result<(), Box<dyn Error>> {
        let mut outputs = Vec::new();
        for codec in &self.codecs {
            outputs.push((codec.run)()?);
        }
        for (codec, output) in self.codecs.iter().zip(&outputs).skip(1) {
            if !(self.same)(self, &outputs[0], output)? {
                return Err(format!("{}: {} disagrees", self.name, codec.name).into());
            }
        }
        Ok(())
    }
}

fn same_wire(case: &Case, a: &[u8], b: &[u8]) -> Result<bool, Box<dyn Error>> {
    let decode = |bytes| DynamicMessage::decode(case.descriptor.clone(), bytes);
    Ok(decode(a)? == decode(b)?)
}

fn same_json(_: &Case, a: &[u8], b: &[u8]) -> Result<bool, Box<dyn Error>> {
    Ok(serde_json::from_slice::<Value>(a)? == serde_json::from_slice::<Value>(b)?)
}

pub(crate) fn all() -> Result<Vec<Case>, Box<dyn Error>> {
    let chat = "signalbox.router.v1.CreateChatCompletionRequest";
    let completion = "signalbox.router.v1.ChatCompletion";
    let embeddings = "signalbox.embeddings.v1.CreateEmbeddingsResponse";
    Ok(vec![
        json_to_wire::<proto::router::CreateChatCompletionRequest>(
            "chat request, 2 KB, in",
            chat,
            &chat_request(2_000),
        )?,
        json_to_wire::<proto::router::CreateChatCompletionRequest>(
            "chat request, 50 KB, in",
            chat,
            &chat_request(50_000),
        )?,
        wire_to_json::<proto::router::ChatCompletion>(
            "chat completion, out",
            completion,
            &answer(),
        )?,
        json_to_wire::<proto::embeddings::CreateEmbeddingsResponse>(
            "embeddings 32x384, in",
            embeddings,
            &vectors(),
        )?,
        wire_to_json::<proto::embeddings::CreateEmbeddingsResponse>(
            "embeddings 32x384, out",
            embeddings,
            &vectors(),
        )?,
    ])
}

fn chat_request(prompt_bytes: usize) -> Value {
    let sentence = "Please summarise \"the points\" below, and say what follows from them.\n";
    let prompt: String = sentence.chars().cycle().take(prompt_bytes).collect();
    json!({
        "model": "auto",
        "messages": [
            {"role": "system", "content": "You are a careful assistant."},
            {"role": "user", "content": prompt},
        ],
        "temperature": 0.7,
        "max_tokens": 256,
        "stop": ["\n\n"],
        "user": "alice",
        "logprobs": false,
    })
}

fn answer() -> Value {
    let text: String = "A short answer, with a line\nbreak. "
        .chars()
        .cycle()
        .take(800)
        .collect();
    json!({
        "id": "chatcmpl-01HZY3V7M3Q6K1T4J0C8N5R2XW", "object": "chat.completion",
        "created": 1_750_000_000, "model": "smollm2-135m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 512, "completion_tokens": 200, "total_tokens": 712,
            "prompt_tokens_details": {"cached_tokens": 128}},
        "signalbox": {"request_id": "01HZY3V7M3Q6K1T4J0C8N5R2XW", "route": "auto", "strategy": "cost",
            "provider": "local", "cost_usd_picos": "123456789", "prompt_redactions": ["EMAIL"]},
    })
}

fn vectors() -> Value {
    // A fixed walk over unit-sized values; their digits are what costs time.
    let mut state = 0x9e37_79b9u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (f64::from(state) / f64::from(u32::MAX) - 0.5) as f32 / 5.0
    };
    let data: Vec<Value> = (0..32)
        .map(|index| {
            let vector: Vec<f32> = (0..384).map(|_| next()).collect();
            json!({"object": "embedding", "index": index, "embedding": vector})
        })
        .collect();
    json!({"object": "list", "data": data, "model": "all-MiniLM-L6-v2",
        "usage": {"prompt_tokens": 400, "total_tokens": 400}})
}

fn transcoder() -> Result<Transcoder, Box<dyn Error>> {
    Ok(Transcoder::builder(DESCRIPTORS).build()?)
}

fn descriptor(name: &str) -> Result<MessageDescriptor, Box<dyn Error>> {
    let pool = DescriptorPool::decode(DESCRIPTORS)?;
    Ok(pool
        .get_message_by_name(name)
        .ok_or("the message is not in the contract")?)
}

fn json_to_wire<M>(
    name: &'static str,
    message: &'static str,
    value: &Value,
) -> Result<Case, Box<dyn Error>>
where
    M: Message + serde::de::DeserializeOwned + 'static,
{
    let json: Arc<str> = value.to_string().into();
    let descriptor = descriptor(message)?;
    let (ours, dynamic, typed) = (json.clone(), json.clone(), json.clone());
    let transcoder = transcoder()?;
    let reflected = descriptor.clone();
    let options = prost_reflect::DeserializeOptions::new().deny_unknown_fields(false);
    let codecs = vec![
        Codec {
            name: "direct (ours)",
            run: Box::new(move || Ok(transcoder.json_to_wire(message, &ours)?)),
        },
        Codec {
            name: "prost-reflect",
            run: Box::new(move || {
                let mut json = serde_json::Deserializer::from_str(&dynamic);
                let message = DynamicMessage::deserialize_with_options(
                    reflected.clone(),
                    &mut json,
                    &options,
                )?;
                Ok(message.encode_to_vec())
            }),
        },
        Codec {
            name: "pbjson",
            run: Box::new(move || Ok(serde_json::from_str::<M>(&typed)?.encode_to_vec())),
        },
    ];
    Ok(Case {
        name,
        json_bytes: json.len(),
        codecs,
        same: same_wire,
        descriptor,
    })
}

fn wire_to_json<M>(
    name: &'static str,
    message: &'static str,
    value: &Value,
) -> Result<Case, Box<dyn Error>>
where
    M: Message + Default + serde::Serialize + 'static,
{
    let descriptor = descriptor(message)?;
    let wire = DynamicMessage::deserialize(descriptor.clone(), value)?.encode_to_vec();
    let (ours, dynamic, typed) = (wire.clone(), wire.clone(), wire);
    let transcoder = transcoder()?;
    let json_bytes = transcoder.wire_to_json(message, &ours)?.len();
    let reflected = descriptor.clone();
    let options = SerializeOptions::new()
        .skip_default_fields(false)
        .use_proto_field_name(true);
    let codecs = vec![
        Codec {
            name: "direct (ours)",
            run: Box::new(move || Ok(transcoder.wire_to_json(message, &ours)?)),
        },
        Codec {
            name: "prost-reflect",
            run: Box::new(move || {
                let message = DynamicMessage::decode(reflected.clone(), dynamic.as_slice())?;
                let mut json = serde_json::Serializer::new(Vec::new());
                message.serialize_with_options(&mut json, &options)?;
                Ok(json.into_inner())
            }),
        },
        Codec {
            name: "pbjson",
            run: Box::new(move || Ok(serde_json::to_vec(&M::decode(typed.as_slice())?)?)),
        },
    ];
    Ok(Case {
        name,
        json_bytes,
        codecs,
        same: same_json,
        descriptor,
    })
}
