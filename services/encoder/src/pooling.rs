//! How the vectors of a text's tokens become the text's one vector.

use signalbox_kernels::Pool;

/// How token vectors become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over all tokens, special ones included, as sentence-transformers
    /// computes it.
    Mean,
    /// The vector of the first token.
    Cls,
}

impl Pooling {
    /// The name on the wire: `mean` or `cls`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
        }
    }

    /// The kernel that does it.
    pub(crate) fn kernel(self) -> Pool {
        match self {
            Self::Mean => Pool::Mean,
            Self::Cls => Pool::First,
        }
    }
}
