//! From a conversation to the token ids that the model reads.

use super::{
    template::{ChatTemplate, Piece},
    tokenizer::ModelTokenizer,
};
use crate::chat::Message;

/// A conversation that the model cannot read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PromptError {
    /// No room is left for an answer.
    #[error(
        "messages take {tokens} tokens with the chat template, and the context of {context} must \
         hold them and at least one token of the answer; shorten messages"
    )]
    TooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens that the context holds.
        context: usize,
    },
    /// No room is left, which the length alone shows.
    #[error(
        "messages hold {bytes} bytes, more than a context of {context} tokens can hold; shorten \
         messages"
    )]
    FarTooLong {
        /// Bytes of all messages.
        bytes: usize,
        /// Tokens that the context holds.
        context: usize,
    },
    /// The chat template does not accept the conversation.
    #[error("messages do not fit the model's chat template: {0}")]
    Template(String),
    /// The tokenizer failed.
    #[error("messages cannot be tokenized: {0}")]
    Tokenizer(String),
}

/// The prompt's token ids, fewer than `context`.
pub(super) fn encode(
    messages: &[Message],
    template: &ChatTemplate,
    tokenizer: &ModelTokenizer,
    context: usize,
) -> Result<Vec<u32>, PromptError> {
    // Tokenizing megabytes only to refuse them would be a gift to an attacker.
    let bytes = messages.iter().map(|message| message.content.len()).sum();
    if bytes > context.saturating_mul(tokenizer.longest_token()) {
        return Err(PromptError::FarTooLong { bytes, context });
    }
    let pieces = template
        .render(messages, tokenizer.control())
        .map_err(|error| PromptError::Template(error.to_string()))?;
    let mut tokens = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Control(token) => tokens.push(token),
            Piece::Text(text) => {
                let encoded = tokenizer.encode(&text);
                tokens.extend(encoded.map_err(|error| PromptError::Tokenizer(error.to_string()))?);
            }
        }
    }
    if tokens.len() >= context {
        return Err(PromptError::TooLong {
            tokens: tokens.len(),
            context,
        });
    }
    Ok(tokens)
}
