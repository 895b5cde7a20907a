//! What a caller can get wrong: shapes that do not fit, weights that are no numbers.

use std::fmt;

/// A refused argument. Nothing was computed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// A slice does not hold what the shape asks for.
    Length {
        /// The argument's name.
        what: &'static str,
        /// Elements that it should hold.
        expected: usize,
        /// Elements that it holds.
        found: usize,
    },
    /// A dimension that must not be 0 is 0.
    Empty {
        /// The dimension's name.
        what: &'static str,
    },
    /// A weight or bias is infinite or not a number.
    NotFinite {
        /// The output (row of the weight matrix) that it belongs to.
        output: usize,
    },
    /// A row of a table was asked for that it does not have.
    Index {
        /// The table's name.
        what: &'static str,
        /// The row asked for.
        index: usize,
        /// Rows that there are.
        rows: usize,
    },
    /// The product is too deep for sums in 32 bits.
    Depth {
        /// Inputs of the weight matrix.
        inputs: usize,
        /// The most that the arithmetic can hold.
        most: usize,
    },
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length {
                what,
                expected,
                found,
            } => write!(f, "{what}: expected {expected} elements, found {found}"),
            Self::Empty { what } => write!(f, "{what} is 0; give at least 1"),
            Self::NotFinite { output } => {
                write!(f, "weights of output {output}: infinite or not a number")
            }
            Self::Index { what, index, rows } => {
                write!(f, "{what}: row {index} asked for, there are {rows}")
            }
            Self::Depth { inputs, most } => {
                write!(f, "{inputs} inputs, i16 arithmetic holds at most {most}")
            }
        }
    }
}

impl std::error::Error for ShapeError {}

/// `Ok` where the slice has the expected length.
pub(crate) fn length(what: &'static str, expected: usize, found: usize) -> Result<(), ShapeError> {
    if expected == found {
        Ok(())
    } else {
        Err(ShapeError::Length {
            what,
            expected,
            found,
        })
    }
}
