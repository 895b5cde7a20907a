//! What can go wrong, each with the file or value at fault and the way out.

use std::path::PathBuf;

use signalbox_kernels::ShapeError;

/// Why a model folder cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file that the model needs is not there.
    #[error(
        "{path} is missing; fetch the model with `signalbox models pull` or point the models \
         folder at a complete copy"
    )]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// A file is there but cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file's content is not what its format says.
    #[error("{path} is damaged: {detail}; delete it and run `signalbox models pull`")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A setting asks for something that this encoder does not do.
    #[error("{path}: `{key}` is `{value}`; this encoder supports {supported}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// The values that work.
        supported: String,
    },
    /// The weights lack a tensor.
    #[error("{path} has no tensor `{tensor}`; these are weights of another architecture")]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
    },
    /// A tensor's shape or number type disagrees with `config.json`.
    #[error(
        "{path}: tensor `{tensor}` is {found}, config.json calls for {expected}; take both files \
         from the same model"
    )]
    WrongTensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Its type and shape, as in `F32 [384, 384]`.
        found: String,
        /// The type and shape that the configuration calls for.
        expected: String,
    },
    /// A weight is infinite or not a number.
    #[error(
        "{path} is damaged: tensor `{tensor}` has the value {value} at index {index}; delete it \
         and run `signalbox models pull`"
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The position of the first such value, row-major.
        index: usize,
        /// That value.
        value: f32,
    },
    /// The system gives no thread to compute on.
    #[error("a thread cannot be started: {source}; ask for fewer threads or raise the limit")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
}

/// Why token ids that a caller brought cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenIdError {
    /// There is no id at all.
    #[error("has no token ids; send at least one")]
    Empty,
    /// An id is not in the vocabulary.
    #[error("id {id} at position {position} is not in the vocabulary; ids go from 0 to {last}")]
    OutOfRange {
        /// The id's position in the input.
        position: usize,
        /// The id.
        id: u32,
        /// The vocabulary's last id.
        last: u32,
    },
}

/// Why texts could not be tokenized or encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The caller went away and the work was stopped.
    #[error("the work was cancelled")]
    Cancelled,
    /// The tokenizer refuses the text.
    #[error("the tokenizer failed: {0}")]
    Tokenizer(String),
    /// A sequence was not made by this encoder: it is empty, too long, or has an
    /// id out of range.
    #[error("sequence {index} was not made by this encoder's tokenizer")]
    ForeignSequence {
        /// The sequence's position in the batch.
        index: usize,
    },
    /// A worker thread ended before its work was done.
    #[error("a worker of the encoder stopped unexpectedly")]
    Worker,
    /// The layers and the tokens do not fit each other, which loading and
    /// [`Self::ForeignSequence`] exclude.
    #[error("the encoder's layers refused their input: {0}")]
    Shape(#[from] ShapeError),
}
