//! What the service talks about inside: texts to embed, their vectors, and what can
//! be wrong with them. No proto type is seen here.

use std::{sync::Arc, time::Duration};

use signalbox_encoder::InputType;
use tokio::time::Instant;

use crate::{
    remote::RemoteError,
    scheduler::{BulkPlace, Phases},
};

/// Longest `user`, in bytes.
const MAX_USER_BYTES: usize = 256;
/// Longest model name that is looked up and repeated in an answer, in bytes.
pub(crate) const MAX_MODEL_BYTES: usize = 128;

/// Texts, or their token ids in the model's own vocabulary.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// As text.
    Texts(Vec<String>),
    /// As token ids, special tokens not included.
    TokenIds(Vec<Vec<u32>>),
}

impl Inputs {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::TokenIds(ids) => ids.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The texts; none where they are token ids.
    pub(crate) fn texts(&self) -> &[String] {
        match self {
            Self::Texts(texts) => texts,
            Self::TokenIds(_) => &[],
        }
    }

    /// The field of the API that carries them.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Texts(_) => "input",
            Self::TokenIds(_) => "input_tokens",
        }
    }
}

/// What a text is for, by the name that the API has for it; the empty name says nothing.
///
/// # Errors
///
/// [`EmbedError::Invalid`] for any other name.
pub fn parse_input_type(name: &str) -> Result<InputType, EmbedError> {
    match name {
        "" => Ok(InputType::Unspecified),
        "query" => Ok(InputType::Query),
        "document" => Ok(InputType::Document),
        _ => Err(EmbedError::invalid(
            "input_type",
            "is unknown; `query` and `document` are accepted, or leave it out",
        )),
    }
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// Somebody who looks at the screen: first, unless the request is so large that it
    /// is bulk work whatever it says.
    #[default]
    Interactive,
    /// A job: whatever nobody else needs, and a tenth in any case.
    Bulk,
}

/// What happens to a request that finds no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// [`EmbedError::Overloaded`], at once.
    #[default]
    Refuse,
    /// It waits for room, behind those that wait already.
    Wait,
}

/// On whose behalf and how urgently a request is computed.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Who waits.
    pub priority: Priority,
    /// Callers share the processor fairly; requests with the same name count as one
    /// caller.
    pub caller: Arc<str>,
    /// What happens when there is no room.
    pub when_full: WhenFull,
    /// A place that was taken earlier, for a caller that sends its work bit by bit: the
    /// request is bulk work and needs no room of its own.
    pub place: Option<BulkPlace>,
    /// When an answer is of no use any more: then the request leaves the line.
    pub deadline: Option<Instant>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            priority: Priority::default(),
            caller: "anonymous".into(),
            when_full: WhenFull::default(),
            place: None,
            deadline: None,
        }
    }
}

/// A call to embed.
#[derive(Clone, Debug)]
pub struct EmbedRequest {
    /// The model's name.
    pub model: String,
    /// What to embed.
    pub inputs: Inputs,
    /// What the inputs are for.
    pub input_type: InputType,
    /// The wanted length of the vectors; the model's or the reduction's own when absent.
    pub dimensions: Option<u32>,
    /// The reduction to apply, `name` or `name@version`; none when empty.
    pub reduction: String,
    /// Whose reductions may be named: the caller's name, or `anonymous`.
    pub owner: Arc<str>,
    /// The end user; recorded, never interpreted.
    pub user: String,
    /// On whose behalf and how urgently.
    pub terms: Terms,
}

impl EmbedRequest {
    /// A request with defaults for all else.
    pub fn new(model: impl Into<String>, inputs: Inputs) -> Self {
        Self {
            model: model.into(),
            inputs,
            input_type: InputType::default(),
            dimensions: None,
            reduction: String::new(),
            owner: "anonymous".into(),
            user: String::new(),
            terms: Terms::default(),
        }
    }

    /// Checks all that can be checked without the model.
    pub(crate) fn check(&self, limits: InputLimits) -> Result<(), EmbedError> {
        if self.model.is_empty() {
            return Err(EmbedError::invalid("model", "is required; name a model"));
        }
        if self.model.len() > MAX_MODEL_BYTES {
            let fix = format!("is longer than any model's name, {MAX_MODEL_BYTES} bytes");
            return Err(EmbedError::invalid("model", fix));
        }
        if self.user.len() > MAX_USER_BYTES {
            let fix = format!(
                "has {} bytes; at most {MAX_USER_BYTES} are accepted",
                self.user.len()
            );
            return Err(EmbedError::invalid("user", fix));
        }
        self.inputs.check(limits)
    }
}

/// Most inputs, and most bytes of one, that a request may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InputLimits {
    pub(crate) inputs: usize,
    pub(crate) text_bytes: usize,
}

impl Inputs {
    /// Checks how many there are and each of them.
    pub(crate) fn check(&self, limits: InputLimits) -> Result<(), EmbedError> {
        let (field, count, most) = (self.field(), self.len(), limits.inputs);
        if count == 0 {
            let fix = format!("is empty; send 1 to {most} texts");
            return Err(EmbedError::invalid(field, fix));
        }
        if count > most {
            let fix = format!(
                "has {count} entries; send 1 to {most} in a request, and more in several \
                 requests or as a job"
            );
            return Err(EmbedError::invalid(field, fix));
        }
        let empty = match self {
            Self::Texts(texts) => texts.iter().position(String::is_empty),
            Self::TokenIds(ids) => ids.iter().position(Vec::is_empty),
        };
        if let Some(index) = empty {
            let fix = "is empty; leave it out or send a text";
            return Err(EmbedError::invalid(format!("{field}[{index}]"), fix));
        }
        let Self::Texts(texts) = self else {
            return Ok(());
        };
        let long = |(_, text): &(usize, &String)| text.len() > limits.text_bytes;
        match texts.iter().enumerate().find(long) {
            Some((index, text)) => {
                let fix = format!(
                    "has {} bytes; at most {} are accepted, far more than the model reads: \
                     split the text",
                    text.len(),
                    limits.text_bytes
                );
                Err(EmbedError::invalid(format!("{field}[{index}]"), fix))
            }
            None => Ok(()),
        }
    }
}

/// One input's vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// `[dimensions]`, of length 1.
    pub vector: Vec<f32>,
    /// Tokens read, special tokens included.
    pub tokens: u32,
    /// Whether the input was longer than the model's limit and was cut.
    pub truncated: bool,
}

/// The answer to an [`EmbedRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedResponse {
    /// The model that computed it.
    pub model: Arc<str>,
    /// The id of the reduction that was named, with its version.
    pub reduction: Option<String>,
    /// One entry for each input, in order.
    pub data: Vec<Embedded>,
    /// Tokens of all inputs.
    pub tokens: u32,
    /// Where the time went.
    pub phases: Phases,
}

/// Why a call was not answered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EmbedError {
    /// A field of the request is wrong.
    #[error("{field}: {fix}")]
    Invalid {
        /// The field, as in `input[3]`.
        field: String,
        /// What is wrong and what is accepted.
        fix: String,
    },
    /// No reduction of this name belongs to the caller.
    #[error("reduction `{name}` does not exist; there are: {}", available.join(", "))]
    UnknownReduction {
        /// The name, with the version if one was asked for.
        name: String,
        /// The ids that exist.
        available: Vec<String>,
    },
    /// As many reductions are kept as there is room for.
    #[error("there is no room for one more reduction; delete one first")]
    TooManyReductions,
    /// No model of this name is loaded.
    #[error("model `{name}` is not loaded; there are: {}", available.join(", "))]
    UnknownModel {
        /// The name.
        name: String,
        /// The names that exist.
        available: Vec<String>,
    },
    /// As many requests as may wait do so already.
    #[error("too many embedding requests are waiting")]
    Overloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// The request's deadline passed before its answer was ready.
    #[error("the deadline passed before all inputs were embedded")]
    DeadlineExceeded,
    /// The service is stopping, or the caller is gone.
    #[error("the work was cancelled")]
    Cancelled,
    /// The provider of a remote model did not answer, or not with vectors.
    #[error(transparent)]
    Remote(RemoteError),
    /// A fault of ours.
    #[error("embedding failed: {0}")]
    Failed(String),
}

impl EmbedError {
    pub(crate) fn invalid(field: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            fix: fix.into(),
        }
    }

    /// Whether another request for the same texts would have met it too.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(
            self,
            Self::Overloaded { .. } | Self::Remote(_) | Self::Failed(_)
        )
    }

    /// The low-cardinality name that goes into the span's `error.type`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_field",
            Self::UnknownReduction { .. } => "unknown_reduction",
            Self::TooManyReductions => "too_many_reductions",
            Self::UnknownModel { .. } => "unknown_model",
            Self::Overloaded { .. } => "overloaded",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Cancelled => "cancelled",
            Self::Remote(error) => error.kind(),
            Self::Failed(_) => "failed",
        }
    }
}
