//! How the linear layers compute: exactly, or in whole numbers that cost less.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signalbox_kernels::Mode;

/// The numbers that the linear layers multiply. Everything else (attention's scores,
/// normalisation, pooling) is in single precision whatever this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arithmetic {
    /// Single precision throughout: the model as it was published.
    F32,
    /// 16-bit whole numbers with exact sums (with AMX, but for their lowest bits): vectors
    /// within a cosine of 0.99995 of `f32`'s, at a multiple of its speed.
    #[default]
    I16,
    /// 8-bit whole numbers: vectors within a cosine of 0.99 of `f32`'s, with
    /// half of `i16`'s memory for the layers.
    Int8,
}

impl Arithmetic {
    /// Every kind, the most exact first.
    pub const ALL: [Self; 3] = [Self::F32, Self::I16, Self::Int8];

    /// The name in configurations: `f32`, `i16` or `int8`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::I16 => "i16",
            Self::Int8 => "int8",
        }
    }

    pub(crate) fn mode(self) -> Mode {
        match self {
            Self::F32 => Mode::F32,
            Self::I16 => Mode::I16,
            Self::Int8 => Mode::Int8,
        }
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no [`Arithmetic`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no arithmetic; choose `f32`, `i16` or `int8`")]
pub struct UnknownArithmetic(String);

impl FromStr for Arithmetic {
    type Err = UnknownArithmetic;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        known.ok_or_else(|| UnknownArithmetic(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_others_are_refused() {
        for kind in Arithmetic::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let error = "fp8".parse::<Arithmetic>().map_err(|e| e.to_string());
        assert!(error.is_err_and(|text| text.contains("`fp8`") && text.contains("`i16`")));
    }
}
