//! Licences as crates state them, in one spelling.

use spdx::Expression;

/// What a crate says of its licence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Licence {
    /// A valid SPDX expression.
    Expression(String),
    /// A text of its own.
    Text(String),
}

impl Licence {
    /// Reads `license`. Cargo once had `MIT/Apache-2.0` for `MIT OR Apache-2.0`, and old
    /// crates still say it so.
    pub(super) fn expression(text: &str) -> Result<Self, String> {
        let reason = |error| format!("license = {text:?} is no SPDX expression: {error}");
        let canonical = Expression::canonicalize(text)
            .map_err(reason)?
            .unwrap_or_else(|| text.to_owned());
        let parsed = Expression::parse(&canonical).map_err(reason)?;
        Ok(Self::Expression(parsed.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(text: &str) -> Result<Licence, String> {
        Licence::expression(text)
    }

    #[test]
    fn the_old_spelling_becomes_the_new_one() {
        for (said, meant) in [
            ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
            ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
            (
                "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
                "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
            ),
            (
                "(MIT OR Apache-2.0) AND Unicode-3.0",
                "(MIT OR Apache-2.0) AND Unicode-3.0",
            ),
        ] {
            assert_eq!(expression(said), Ok(Licence::Expression(meant.into())));
        }
    }

    #[test]
    fn what_is_no_licence_is_refused() {
        assert!(expression("whatever you like").is_err());
        assert!(expression("").is_err());
    }
}
