//! What an answer says and what it counts: plain functions of a request and a
//! behaviour, so that usage can be recomputed by whoever checks a bill.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::behaviour::{Answer, Behaviour};

/// The answer that is given when none is asked for. Its words repeat for `tokens=`.
const SENTENCES: &str = "The signal is clear. The next train leaves from platform two. \
     Mind the gap between the train and the platform.";

/// An answer, ready to be sent whole or in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) model: String,
    /// The tokens: each a word with the whitespace that follows it.
    pub(crate) pieces: Vec<String>,
    pub(crate) finish_reason: &'static str,
    pub(crate) prompt_tokens: u64,
    usage: Option<Value>,
    empty_choices: bool,
}

impl Reply {
    /// The answer to a chat request's `body`, or which field is wrong and how.
    pub(crate) fn new(
        number: u64,
        behaviour: &Behaviour,
        body: &Value,
    ) -> Result<Self, (&'static str, &'static str)> {
        let messages = body["messages"].as_array().filter(|all| !all.is_empty());
        let messages = messages.ok_or(("messages", "must be an array of at least one message"))?;
        let prompt_tokens = messages.iter().map(|m| words(&text_of(m))).sum();

        let mut pieces = match &behaviour.answer {
            Answer::Fixed => split(SENTENCES),
            Answer::Tokens(count) => repeated(*count),
            Answer::Huge(bytes) => vec!["x".repeat(*bytes)],
            Answer::Echo => {
                let last = messages.iter().rfind(|m| m["role"] == "user");
                split(&text_of(last.ok_or((
                    "messages",
                    "must hold a user message for echo to repeat",
                ))?))
            }
        };
        let limit = ["max_completion_tokens", "max_tokens"]
            .iter()
            .find_map(|field| body[*field].as_u64())
            .and_then(|limit| usize::try_from(limit).ok());
        let finish_reason = match limit {
            Some(limit) if limit < pieces.len() => {
                pieces.truncate(limit);
                "length"
            }
            _ => "stop",
        };
        let usage = behaviour
            .usage
            .then(|| usage(prompt_tokens, pieces.len() as u64, behaviour.cached));
        Ok(Self {
            id: format!("chatcmpl-fault-{number}"),
            created: jiff::Timestamp::now().as_second(),
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            pieces,
            finish_reason,
            prompt_tokens,
            usage,
            empty_choices: behaviour.empty_choices,
        })
    }

    /// The whole answer as one `chat.completion` object.
    pub(crate) fn whole(&self) -> Value {
        let choice = json!({
            "index": 0,
            "message": { "role": "assistant", "content": self.pieces.concat() },
            "finish_reason": self.finish_reason,
        });
        let mut object = self.object("chat.completion", Some(choice));
        if let Some(usage) = &self.usage {
            object.insert("usage".to_owned(), usage.clone());
        }
        Value::Object(object)
    }

    /// A `chat.completion.chunk` with this delta.
    pub(crate) fn chunk(&self, delta: Value, finish_reason: Option<&str>) -> Value {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish_reason });
        Value::Object(self.object("chat.completion.chunk", Some(choice)))
    }

    /// A chunk without choices, such as some servers send first.
    pub(crate) fn empty_chunk(&self) -> Value {
        Value::Object(self.object("chat.completion.chunk", None))
    }

    /// The last chunk of a stream that was asked for usage, if any is reported.
    pub(crate) fn usage_chunk(&self) -> Option<Value> {
        let mut object = self.object("chat.completion.chunk", None);
        object.insert("usage".to_owned(), self.usage.clone()?);
        Some(Value::Object(object))
    }

    fn object(&self, kind: &str, choice: Option<Value>) -> Map<String, Value> {
        let choices: Vec<Value> = choice.filter(|_| !self.empty_choices).into_iter().collect();
        let mut object = Map::new();
        object.insert("id".to_owned(), json!(self.id));
        object.insert("object".to_owned(), json!(kind));
        object.insert("created".to_owned(), json!(self.created));
        object.insert("model".to_owned(), json!(self.model));
        object.insert("choices".to_owned(), Value::Array(choices));
        object
    }
}

/// An error in the shape that `OpenAI` sends, with the message once more where Cohere
/// has it.
pub(crate) fn error_object(status: u16, code: &str, message: &str, param: Option<&str>) -> Value {
    let kind = match status {
        401 | 403 => "authentication_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    };
    json!({
        "error": { "message": message, "type": kind, "code": code, "param": param },
        "message": message,
    })
}

/// The vectors for an embeddings request's `body` and the tokens of its inputs, or
/// which field is wrong and how. A vector is a function of its input only, of unit
/// length, `[dimensions]` long (8 when absent).
pub(crate) fn embeddings(body: &Value) -> Result<(Value, u64), (&'static str, &'static str)> {
    const FIX: &str = "must be a string, strings, token ids, or arrays of token ids";
    let inputs = match &body["input"] {
        Value::Array(items) if items.iter().any(Value::is_number) => vec![body["input"].clone()],
        Value::Array(items) => items.clone(),
        Value::String(text) => vec![json!(text)],
        _ => return Err(("input", FIX)),
    };
    let dimensions = match &body["dimensions"] {
        Value::Null => 8,
        given => given
            .as_u64()
            .filter(|n| (1..=4_096).contains(n))
            .ok_or(("dimensions", "must be 1 to 4096"))?,
    };
    let base64 = match &body["encoding_format"] {
        Value::Null => false,
        Value::String(format) if format == "float" => false,
        Value::String(format) if format == "base64" => true,
        _ => return Err(("encoding_format", "must be float or base64")),
    };
    let mut tokens = 0;
    let mut data = Vec::with_capacity(inputs.len());
    for (index, input) in inputs.iter().enumerate() {
        tokens += match input {
            Value::String(text) => words(text),
            Value::Array(ids) => ids.len() as u64,
            _ => return Err(("input", FIX)),
        };
        let embedding = vector(&input.to_string(), dimensions);
        let bytes = || embedding.iter().flat_map(|value| value.to_le_bytes());
        let embedding = match base64 {
            true => json!(STANDARD.encode(bytes().collect::<Vec<u8>>())),
            false => json!(embedding),
        };
        data.push(json!({ "object": "embedding", "index": index, "embedding": embedding }));
    }
    let body = json!({
        "object": "list",
        "data": data,
        "model": body["model"],
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    });
    Ok((body, tokens))
}

/// The same for a request of Cohere's: `texts`, at most 96 of them, and an `input_type`.
pub(crate) fn cohere(body: &Value) -> Result<(Value, u64), (&'static str, &'static str)> {
    const TEXTS: &str = "must be an array of 1 to 96 strings";
    let texts = body["texts"]
        .as_array()
        .filter(|all| (1..=96).contains(&all.len()));
    let texts = texts.ok_or(("texts", TEXTS))?;
    let input_type = body["input_type"].as_str();
    if !input_type.is_some_and(|name| name.starts_with("search_")) {
        return Err(("input_type", "must be search_query or search_document"));
    }
    if body["embedding_types"] != json!(["float"]) {
        return Err(("embedding_types", "must be [\"float\"]"));
    }
    let dimensions = match &body["output_dimension"] {
        Value::Null => 8,
        given => given
            .as_u64()
            .filter(|n| (1..=4_096).contains(n))
            .ok_or(("output_dimension", "must be 1 to 4096"))?,
    };
    let mut tokens = 0;
    let mut vectors = Vec::with_capacity(texts.len());
    for text in texts {
        tokens += words(text.as_str().ok_or(("texts", TEXTS))?);
        vectors.push(vector(&text.to_string(), dimensions));
    }
    let body = json!({
        "id": "fault",
        "response_type": "embeddings_by_type",
        "texts": texts,
        "embeddings": { "float": vectors },
        "meta": { "api_version": { "version": "2" }, "billed_units": { "input_tokens": tokens } },
    });
    Ok((body, tokens))
}

/// A unit vector that depends on the text only: FNV-1a (RFC 9923), once a dimension.
fn vector(text: &str, dimensions: u64) -> Vec<f32> {
    let raw: Vec<f64> = (0..dimensions)
        .map(|dimension| {
            let bytes = dimension.to_le_bytes().into_iter().chain(text.bytes());
            let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            // Never zero, so that the norm never is.
            f64::from((hash >> 32) as u32) - f64::from(u32::MAX) / 2.0
        })
        .collect();
    let norm = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
    raw.iter().map(|x| (x / norm) as f32).collect()
}

fn usage(prompt: u64, completion: u64, cached: Option<u64>) -> Value {
    let mut usage = json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    });
    if let Some(cached) = cached {
        usage["prompt_tokens_details"] = json!({ "cached_tokens": cached });
    }
    usage
}

fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

/// A message's text: its content, or the text parts of it joined.
fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|p| p["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// The text in pieces of one word each, with the whitespace that follows it; leading
/// whitespace goes with the first word. The pieces joined are the text.
fn split(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut in_word = false;
    let mut had_word = false;
    for c in text.chars() {
        if !c.is_whitespace() && !in_word && had_word {
            pieces.push(std::mem::take(&mut piece));
        }
        in_word = !c.is_whitespace();
        had_word |= in_word;
        piece.push(c);
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

/// The first `count` words of the sentences said over and over.
fn repeated(count: usize) -> Vec<String> {
    let mut pieces: Vec<String> = SENTENCES
        .split_whitespace()
        .cycle()
        .take(count)
        .map(|word| format!("{word} "))
        .collect();
    if let Some(last) = pieces.last_mut() {
        last.pop();
    }
    pieces
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn reply(model: &str, body: Value) -> Reply {
        Reply::new(1, &model.parse().unwrap(), &body).unwrap()
    }

    #[test]
    fn pieces_are_words_and_joined_they_are_the_text() {
        for text in [
            "",
            " ",
            "one",
            "  two  words \n",
            "日本 語\u{3000}です",
            SENTENCES,
        ] {
            let pieces = split(text);
            assert_eq!(pieces.concat(), text);
            assert_eq!(
                pieces.len() as u64,
                words(text).max(u64::from(!text.is_empty()))
            );
        }
    }

    #[test]
    fn usage_counts_the_words_of_all_messages_and_of_the_answer() {
        let reply = reply(
            "echo,cached=5",
            json!({ "model": "echo,cached=5", "messages": [
                { "role": "system", "content": "be brief" },
                { "role": "user", "content": [{ "type": "text", "text": "say " }, { "type": "text", "text": "it" }] },
            ] }),
        );
        assert_eq!(reply.pieces, ["say ", "it"]);
        assert_eq!(
            reply.whole()["usage"],
            json!({
                "prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6,
                "prompt_tokens_details": { "cached_tokens": 5 },
            })
        );
    }

    #[test]
    fn max_tokens_cuts_the_answer() {
        let messages = json!([{ "role": "user", "content": "go" }]);
        let cut = reply("tokens=5", json!({ "messages": messages, "max_tokens": 2 }));
        assert_eq!((cut.pieces.len(), cut.finish_reason), (2, "length"));
        let whole = reply("tokens=5", json!({ "messages": messages, "max_tokens": 5 }));
        assert_eq!((whole.pieces.len(), whole.finish_reason), (5, "stop"));
    }

    #[test]
    fn a_vector_depends_on_its_text_only_and_has_unit_length() {
        let one = vector("a", 16);
        assert_eq!(one, vector("a", 16));
        assert_ne!(one, vector("b", 16));
        assert!((one.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}
