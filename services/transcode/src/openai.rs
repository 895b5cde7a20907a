//! `OpenAI`'s looseness, as data.
//!
//! A typed contract says one thing; `OpenAI`'s clients send a few others. Each
//! exception is a [`Quirk`] that names the message or RPC it bends, and the
//! codec compiles it into its tables: no pass over the body of its own, and
//! nothing of it is visible to gRPC.

/// One exception to proto3 JSON or to plain transcoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// The list `field` may be given as its one element (`stop`).
    WrapScalar {
        /// Full name of the message.
        message: &'static str,
        /// The repeated field.
        field: &'static str,
    },
    /// `field` accepts a string, or an array that fills `parts` instead.
    StringOrParts {
        /// Full name of the message.
        message: &'static str,
        /// The string field, under whose name both are sent.
        field: &'static str,
        /// The repeated message field.
        parts: &'static str,
    },
    /// `field` accepts a string, strings, token ids, or lists of token ids; ids
    /// fill the repeated message `tokens`, whose first field is the list of ids.
    EmbeddingInput {
        /// Full name of the message.
        message: &'static str,
        /// The repeated string field, under whose name all are sent.
        field: &'static str,
        /// The repeated message field.
        tokens: &'static str,
    },
    /// The bytes or repeated field `field` is written, bytes as base64, in the place
    /// and under the name of `as_field` when it is not empty; it never has a name of
    /// its own. Two fields may share the name of a third.
    RenameOut {
        /// Full name of the message.
        message: &'static str,
        /// The bytes or repeated field.
        field: &'static str,
        /// The field in whose place it is written.
        as_field: &'static str,
    },
    /// `field` is written as `null` when unset, where it would be left out.
    NullWhenUnset {
        /// Full name of the message.
        message: &'static str,
        /// The field with presence.
        field: &'static str,
    },
    /// A request to `unary` whose bool `field` is true goes to `streaming`, which
    /// takes the same message.
    StreamSwitch {
        /// Full name of the RPC that answers at once.
        unary: &'static str,
        /// Full name of the RPC that answers in pieces.
        streaming: &'static str,
        /// The bool field of the request.
        field: &'static str,
    },
    /// The stream of `rpc` is always server-sent events and ends in
    /// `data: [DONE]`.
    DoneMarker {
        /// Full name of the RPC.
        rpc: &'static str,
    },
    /// Errors of `rpc` have `OpenAI`'s shape.
    OpenAiErrors {
        /// Full name of the RPC.
        rpc: &'static str,
    },
}

/// What `OpenAI`'s clients need of Signalbox's contract.
pub fn openai_quirks() -> Vec<Quirk> {
    const CHAT: &str = "signalbox.router.v1.RouterService.CreateChatCompletion";
    const STREAM: &str = "signalbox.router.v1.RouterService.StreamChatCompletion";
    const MODELS: &str = "signalbox.router.v1.RouterService.ListModels";
    const EMBED: &str = "signalbox.embeddings.v1.EmbeddingsService.CreateEmbeddings";
    const MODERATE: &str = "signalbox.guardrails.v1.GuardrailsService.CreateModeration";
    vec![
        Quirk::WrapScalar {
            message: "signalbox.router.v1.CreateChatCompletionRequest",
            field: "stop",
        },
        Quirk::WrapScalar {
            message: "signalbox.guardrails.v1.CreateModerationRequest",
            field: "input",
        },
        Quirk::StringOrParts {
            message: "signalbox.router.v1.ChatMessage",
            field: "content",
            parts: "content_parts",
        },
        Quirk::EmbeddingInput {
            message: "signalbox.embeddings.v1.CreateEmbeddingsRequest",
            field: "input",
            tokens: "input_tokens",
        },
        Quirk::RenameOut {
            message: "signalbox.embeddings.v1.Embedding",
            field: "embedding_packed",
            as_field: "embedding",
        },
        Quirk::RenameOut {
            message: "signalbox.embeddings.v1.Embedding",
            field: "embedding_integers",
            as_field: "embedding",
        },
        Quirk::NullWhenUnset {
            message: "signalbox.router.v1.ChunkChoice",
            field: "finish_reason",
        },
        Quirk::StreamSwitch {
            unary: CHAT,
            streaming: STREAM,
            field: "stream",
        },
        Quirk::DoneMarker { rpc: STREAM },
        Quirk::OpenAiErrors { rpc: CHAT },
        Quirk::OpenAiErrors { rpc: STREAM },
        Quirk::OpenAiErrors { rpc: MODELS },
        Quirk::OpenAiErrors { rpc: EMBED },
        Quirk::OpenAiErrors { rpc: MODERATE },
    ]
}
