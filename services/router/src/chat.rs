//! What the Router talks about inside: a conversation, its answer in pieces, and
//! the tokens it took. No proto type and no provider's JSON is seen here.

use std::sync::Arc;

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions; `developer` is read as this.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

impl Role {
    /// The role's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// Tells participants of one role apart.
    pub name: Option<String>,
}

/// How to generate. `None` is the model's own default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// 0 to 2; 0 always takes the likeliest token.
    pub temperature: Option<f64>,
    /// Above 0 and at most 1.
    pub top_p: Option<f64>,
    /// Most tokens to generate.
    pub max_tokens: Option<u32>,
    /// Strings at which generation ends.
    pub stop: Vec<String>,
    /// Makes sampling repeatable where the provider supports it.
    pub seed: Option<i64>,
    /// -2 to 2.
    pub presence_penalty: Option<f64>,
    /// -2 to 2.
    pub frequency_penalty: Option<f64>,
}

/// A checked conversation on its way to a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    /// The provider's own name of the model.
    pub model: Arc<str>,
    /// Oldest first, at least one.
    pub messages: Vec<Message>,
    /// How to generate.
    pub sampling: Sampling,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done, or met a stop string.
    Stop,
    /// The token limit was reached.
    Length,
    /// The provider's own filter cut it.
    ContentFilter,
}

impl FinishReason {
    /// The reason's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// Tokens that a provider reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// Prompt tokens, cached ones included.
    pub prompt: u32,
    /// Prompt tokens read from the provider's cache, at most `prompt`.
    pub cached_prompt: u32,
    /// Generated tokens.
    pub completion: u32,
}

/// A piece of an answer. A whole answer is any number of `Text`, then one
/// `Finish`; a `Usage` comes at any place, the last one counts.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatEvent {
    /// Text was added.
    Text(String),
    /// The answer is complete. A stream that ends without it was cut.
    Finish(FinishReason),
    /// What it took so far.
    Usage(TokenUsage),
}
