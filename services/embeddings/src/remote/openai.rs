//! `OpenAI`'s embeddings: <https://platform.openai.com/docs/api-reference/embeddings>.
//!
//! Vectors are asked for as base64 of little-endian f32, which is a quarter of their
//! decimal text; servers that know numbers only answer with these, and both are read.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Api, Batch};

pub(super) struct OpenAi;

#[derive(Deserialize)]
struct Response {
    data: Vec<Entry>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Entry {
    index: usize,
    embedding: Embedding,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Embedding {
    Base64(String),
    Numbers(Vec<f32>),
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u64,
}

impl Api for OpenAi {
    fn base_url(&self) -> &'static str {
        "https://api.openai.com/v1"
    }

    fn path(&self) -> &'static str {
        "/embeddings"
    }

    fn max_batch(&self) -> usize {
        2048
    }

    fn request(&self, model: &str, batch: &Batch<'_>) -> Value {
        // There is no field for what a text is for.
        let mut body = json!({
            "model": model,
            "input": batch.texts,
            "encoding_format": "base64",
        });
        if let Some(dimensions) = batch.dimensions {
            body["dimensions"] = dimensions.into();
        }
        body
    }

    fn read(&self, body: &[u8]) -> Result<Answer, String> {
        let response: Response = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let mut entries = response.data;
        entries.sort_by_key(|entry| entry.index);
        if let Some((place, entry)) = (0..).zip(&entries).find(|(at, entry)| *at != entry.index) {
            return Err(format!("entry {place} has the index {}", entry.index));
        }
        Ok(Answer {
            vectors: entries
                .into_iter()
                .map(|entry| entry.embedding.numbers())
                .collect::<Result<_, _>>()?,
            tokens: response.usage.map(|usage| usage.prompt_tokens),
        })
    }

    fn message(&self, body: &[u8]) -> Option<String> {
        let body: Value = serde_json::from_slice(body).ok()?;
        Some(body["error"]["message"].as_str()?.to_owned())
    }
}

impl Embedding {
    fn numbers(self) -> Result<Vec<f32>, String> {
        let text = match self {
            Self::Numbers(numbers) => return Ok(numbers),
            Self::Base64(text) => text,
        };
        let bytes = STANDARD.decode(text).map_err(|error| error.to_string())?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(format!("a vector has {} bytes", bytes.len()));
        }
        Ok(numbers
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use signalbox_encoder::InputType;

    use super::*;

    #[test]
    fn a_request_is_what_the_reference_says() {
        let batch = Batch {
            texts: &["a", "b"],
            input_type: InputType::Query,
            dimensions: Some(256),
        };
        assert_eq!(
            OpenAi.request("text-embedding-3-small", &batch),
            json!({
                "model": "text-embedding-3-small", "input": ["a", "b"],
                "encoding_format": "base64", "dimensions": 256,
            })
        );
    }

    #[test]
    fn numbers_and_base64_in_any_order_are_read() {
        let base64 = STANDARD.encode([1.5_f32, -2.0].map(f32::to_le_bytes).concat());
        let body = json!({
            "object": "list", "model": "m",
            "data": [
                {"object": "embedding", "index": 1, "embedding": [0.5, 0.25]},
                {"object": "embedding", "index": 0, "embedding": base64},
            ],
            "usage": {"prompt_tokens": 7, "total_tokens": 7},
        });
        let answer = OpenAi.read(body.to_string().as_bytes()).unwrap();
        assert_eq!(answer.vectors, [[1.5, -2.0], [0.5, 0.25]]);
        assert_eq!(answer.tokens, Some(7));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (body, part) in [
            (
                json!({"data": [{"index": 1, "embedding": [1.0]}]}),
                "index 1",
            ),
            (
                json!({"data": [{"index": 0, "embedding": "AAAA"}]}),
                "3 bytes",
            ),
            (json!({"data": [{"index": 0, "embedding": "?"}]}), "symbol"),
            (json!({"object": "list"}), "data"),
        ] {
            let error = OpenAi.read(body.to_string().as_bytes()).unwrap_err();
            assert!(error.contains(part), "{body}: {error}");
        }
    }
}
