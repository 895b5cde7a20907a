//! Tokens of a `.proto` file, as few as the edge view needs.

use thiserror::Error;

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A name, dotted or not, with or without a leading dot.
    Name(String),
    /// A whole number.
    Number(u32),
    /// What stands between quotes.
    Text(String),
    /// One of `{ } ( ) [ ] < > = ; : ,` and `-`.
    Mark(char),
}

/// A token and its line, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The token.
    pub token: Token,
    /// Its line.
    pub line: usize,
}

/// Text that is no token of the view.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("line {line}: {what}")]
pub struct TokenError {
    /// The line, from 1.
    pub line: usize,
    /// What stands there.
    pub what: String,
}

/// Splits a file into tokens; comments (`//`) are skipped.
///
/// # Errors
/// Names the first character that begins no token, or a string that does not end or
/// holds a backslash, which the plugin's parser reads in a way of its own.
pub fn tokens(text: &str) -> Result<Vec<Placed>, TokenError> {
    let mut tokens = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with("//") {
            let (token, tail) = next(rest).map_err(|what| TokenError { line: number, what })?;
            tokens.push(Placed {
                token,
                line: number,
            });
            rest = tail.trim_start();
        }
    }
    Ok(tokens)
}

fn next(text: &str) -> Result<(Token, &str), String> {
    let Some(first) = text.chars().next() else {
        return Err("nothing".to_owned());
    };
    if first.is_ascii_alphabetic() || first == '_' || first == '.' {
        let (name, tail) = split(text, |c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        return Ok((Token::Name(name.to_owned()), tail));
    }
    if first.is_ascii_digit() {
        let (digits, tail) = split(text, |c| c.is_ascii_alphanumeric());
        let plain = digits == "0" || !digits.starts_with('0');
        let number = digits.parse().ok().filter(|_| plain);
        return Ok((
            Token::Number(number.ok_or_else(|| format!("not a number: {digits}"))?),
            tail,
        ));
    }
    if first == '"' {
        let (inner, tail) = text[1..]
            .split_once('"')
            .ok_or_else(|| "a string does not end".to_owned())?;
        if inner.contains('\\') {
            return Err("a backslash in a string".to_owned());
        }
        return Ok((Token::Text(inner.to_owned()), tail));
    }
    if "{}()[]<>=;:,-".contains(first) {
        return Ok((Token::Mark(first), &text[1..]));
    }
    Err(format!("unexpected {first:?}"))
}

fn split(text: &str, part: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !part(c)).unwrap_or(text.len()))
}
