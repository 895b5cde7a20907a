//! `OpenAI`'s chat completion JSON, as far as it is sent and read here. Fields that are
//! not named are ignored: servers add their own.

use serde::{Deserialize, Serialize};

use super::config::MaxTokensField;
use crate::chat::{ChatEvent, ChatRequest, FinishReason, Message, TokenUsage};

#[derive(Serialize)]
pub(super) struct Request<'a> {
    model: &'a str,
    messages: Vec<RequestMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct RequestMessage<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl<'a> Request<'a> {
    /// The JSON of a request.
    pub(super) fn new(request: &'a ChatRequest, stream: bool, field: MaxTokensField) -> Self {
        let sampling = &request.sampling;
        let limit_in = |wanted| (field == wanted).then_some(sampling.max_tokens).flatten();
        Self {
            model: &request.model,
            messages: request.messages.iter().map(RequestMessage::from).collect(),
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            max_tokens: limit_in(MaxTokensField::MaxTokens),
            max_completion_tokens: limit_in(MaxTokensField::MaxCompletionTokens),
            stop: &sampling.stop,
            seed: sampling.seed,
            presence_penalty: sampling.presence_penalty,
            frequency_penalty: sampling.frequency_penalty,
            stream,
            stream_options: stream.then_some(StreamOptions {
                include_usage: true,
            }),
        }
    }
}

impl<'a> From<&'a Message> for RequestMessage<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            role: message.role.as_str(),
            content: &message.content,
            name: message.name.as_deref(),
        }
    }
}

#[derive(Deserialize)]
struct Chunk {
    // Absent beside an error object.
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u32,
    /// A piece of a stream has `delta`, a whole answer `message`.
    #[serde(alias = "message")]
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
    prompt_tokens_details: Option<PromptTokensDetails>,
}

#[derive(Deserialize)]
struct PromptTokensDetails {
    cached_tokens: Option<u32>,
}

/// `OpenAI`'s error object.
#[derive(Default, Deserialize)]
pub(super) struct ErrorObject {
    pub(super) message: Option<String>,
    pub(super) param: Option<String>,
    pub(super) code: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorObject,
}

/// The error object in the body of a refusal, if there is one.
pub(super) fn error_object(body: &[u8]) -> Option<ErrorObject> {
    let body: ErrorBody = serde_json::from_slice(body).ok()?;
    Some(body.error)
}

/// What a piece of an answer turns out to be instead of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It makes no sense.
    Nonsense(String),
    /// It reports that the provider failed.
    Failure(String),
}

/// Reads an answer's JSON, one chunk after another, and knows whether it is complete.
#[derive(Default)]
pub(super) struct AnswerReader {
    finished: bool,
}

impl AnswerReader {
    /// Whether the answer has its end.
    pub(super) fn finished(&self) -> bool {
        self.finished
    }

    /// The events of one chunk: the data of an SSE event, or a whole answer.
    pub(super) fn read(&mut self, json: &[u8]) -> Result<Vec<ChatEvent>, Flaw> {
        let chunk: Chunk = serde_json::from_slice(json).map_err(|error| {
            Flaw::Nonsense(format!("a part of it is not a chat completion: {error}"))
        })?;
        if let Some(error) = chunk.error {
            let message = error.message.unwrap_or_default();
            return Err(Flaw::Failure(message));
        }
        let mut events = Vec::new();
        // Only one choice is ever asked for. None is in the chunk that carries the
        // usage, and in one that some servers begin with.
        if let Some(choice) = chunk.choices.into_iter().find(|choice| choice.index == 0) {
            self.read_choice(choice, &mut events)?;
        }
        if let Some(usage) = chunk.usage {
            events.push(ChatEvent::Usage(usage.into()));
        }
        Ok(events)
    }

    fn read_choice(&mut self, choice: Choice, events: &mut Vec<ChatEvent>) -> Result<(), Flaw> {
        let text = choice.delta.and_then(|delta| delta.content);
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            if self.finished {
                return Err(Flaw::Nonsense("text follows the finish_reason".to_owned()));
            }
            events.push(ChatEvent::Text(text));
        }
        if let Some(reason) = choice.finish_reason {
            let reason = finish_reason(&reason)?;
            if !std::mem::replace(&mut self.finished, true) {
                events.push(ChatEvent::Finish(reason));
            }
        }
        Ok(())
    }
}

fn finish_reason(reason: &str) -> Result<FinishReason, Flaw> {
    match reason {
        // The last two are what text-generation-inference and its like say.
        "stop" | "eos_token" | "stop_sequence" => Ok(FinishReason::Stop),
        "length" => Ok(FinishReason::Length),
        "content_filter" => Ok(FinishReason::ContentFilter),
        // Others mean an answer that was given up, or a call of a tool that nobody
        // offered: to pass either off as an answer would be a lie.
        other => Err(Flaw::Nonsense(format!(
            "it ended with the finish_reason {other:?}"
        ))),
    }
}

impl From<Usage> for TokenUsage {
    fn from(usage: Usage) -> Self {
        let cached = usage
            .prompt_tokens_details
            .and_then(|details| details.cached_tokens)
            .unwrap_or(0);
        Self {
            prompt: usage.prompt_tokens,
            // Holds the promise of `TokenUsage` whatever the server says.
            cached_prompt: cached.min(usage.prompt_tokens),
            completion: usage.completion_tokens,
        }
    }
}

#[cfg(test)]
mod tests;
