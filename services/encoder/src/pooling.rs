//! How the vectors of a text's tokens become the text's one vector.

use serde::Deserialize;
use signalbox_kernels::Pool;

/// How token vectors become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean over all tokens, special ones included, as sentence-transformers
    /// computes it.
    Mean,
    /// The vector of the first token.
    Cls,
    /// The vector of the last token.
    Last,
    /// The largest value of each dimension over all tokens.
    Max,
}

impl Pooling {
    /// The name on the wire: `mean`, `cls`, `last` or `max`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Last => "last",
            Self::Max => "max",
        }
    }

    /// The kernel that does it.
    pub(crate) fn kernel(self) -> Pool {
        match self {
            Self::Mean => Pool::Mean,
            Self::Cls => Pool::First,
            Self::Last => Pool::Last,
            Self::Max => Pool::Max,
        }
    }
}
