//! A JSON scanner that hands out slices of the text and builds nothing.
//!
//! Strict RFC 8259: no comments, no trailing commas, no lone surrogates. Depth
//! is bounded, so that no input overflows the stack.

mod text;

pub(crate) use self::text::next_special;
use self::text::{CONTROL, UNCLOSED, escape, unescape};
use crate::fault::{Fault, Read};

/// Arrays and objects within each other, known or unknown, at most: as many as protobuf's
/// own parsers take messages, so that whatever came out as JSON can go in again.
pub(crate) const MAX_DEPTH: u32 = 100;

/// A string as it stands between its quotes.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a str,
    escaped: bool,
    at: usize,
}

impl<'a> Text<'a> {
    /// The text when it has no escapes.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&'a str> {
        (!self.escaped).then_some(self.raw)
    }

    /// Appends the text with its escapes resolved.
    #[inline]
    pub(crate) fn append(&self, out: &mut Vec<u8>) -> Read<()> {
        if self.escaped {
            return unescape(self.raw, self.at, out);
        }
        out.extend_from_slice(self.raw.as_bytes());
        Ok(())
    }

    /// The text, owned only when it has escapes.
    pub(crate) fn to_text(self) -> Read<std::borrow::Cow<'a, str>> {
        if !self.escaped {
            return Ok(self.raw.into());
        }
        let mut out = Vec::with_capacity(self.raw.len());
        self.append(&mut out)?;
        match String::from_utf8(out) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err(Fault::syntax(self.at, "a string is not UTF-8")),
        }
    }
}

/// A cursor over JSON text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    pub(crate) pos: usize,
    depth: u32,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            pos: 0,
            depth: 0,
        }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.pos).copied()
    }

    /// The first byte of the next token, which stays unread.
    #[inline]
    pub(crate) fn peek(&mut self) -> Read<u8> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(byte);
            }
            self.pos += 1;
        }
        Err(Fault::syntax(self.pos, "the JSON ends too early"))
    }

    /// Whether nothing but white space is left.
    pub(crate) fn at_end(&mut self) -> bool {
        self.peek().is_err()
    }

    /// # Errors
    /// Names what stands after the value.
    pub(crate) fn end(&mut self) -> Read<()> {
        if self.at_end() {
            Ok(())
        } else {
            Err(self.unexpected("the end of the JSON"))
        }
    }

    fn unexpected(&self, expected: &str) -> Fault {
        let found = self
            .text
            .get(self.pos..)
            .and_then(|rest| rest.chars().next());
        match found {
            Some(found) => Fault::syntax(self.pos, format!("expected {expected}, found {found:?}")),
            None => Fault::syntax(self.pos, format!("expected {expected}, found the end")),
        }
    }

    /// Opens an array or object whose bracket is next.
    #[inline]
    fn open(&mut self) -> Read<()> {
        if self.depth == MAX_DEPTH {
            let message = format!("the JSON is nested deeper than {MAX_DEPTH} levels");
            return Err(Fault::syntax(self.pos, message));
        }
        self.depth += 1;
        self.pos += 1;
        Ok(())
    }

    #[inline]
    fn close(&mut self) {
        self.depth -= 1;
        self.pos += 1;
    }

    /// Enters the object that is next; true when it has a member, which
    /// [`Self::key`] reads.
    #[inline]
    pub(crate) fn open_object(&mut self) -> Read<bool> {
        self.open()?;
        if self.peek()? == b'}' {
            self.close();
            return Ok(false);
        }
        Ok(true)
    }

    /// A member's key and its colon.
    #[inline]
    pub(crate) fn key(&mut self) -> Read<Text<'a>> {
        if self.peek()? != b'"' {
            return Err(self.unexpected("a key in double quotes"));
        }
        let key = self.string()?;
        if self.peek()? != b':' {
            return Err(self.unexpected("`:` after a key"));
        }
        self.pos += 1;
        Ok(key)
    }

    /// After a member: whether another one follows.
    #[inline]
    pub(crate) fn next_member(&mut self) -> Read<bool> {
        match self.peek()? {
            b',' => {
                self.pos += 1;
                Ok(true)
            }
            b'}' => {
                self.close();
                Ok(false)
            }
            _ => Err(self.unexpected("`,` or `}`")),
        }
    }

    /// Enters the array that is next; true when it has an element.
    #[inline]
    pub(crate) fn open_array(&mut self) -> Read<bool> {
        self.open()?;
        if self.peek()? == b']' {
            self.close();
            return Ok(false);
        }
        Ok(true)
    }

    /// After an element: whether another one follows.
    #[inline]
    pub(crate) fn next_element(&mut self) -> Read<bool> {
        match self.peek()? {
            b',' => {
                self.pos += 1;
                Ok(true)
            }
            b']' => {
                self.close();
                Ok(false)
            }
            _ => Err(self.unexpected("`,` or `]`")),
        }
    }

    /// The string whose opening quote is next. Escapes are checked when they
    /// are resolved.
    #[inline]
    pub(crate) fn string(&mut self) -> Read<Text<'a>> {
        let start = self.pos + 1;
        let bytes = self.text.as_bytes();
        let mut at = start;
        let mut escaped = false;
        loop {
            at = next_special(bytes, at);
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                Some(_) => return Err(Fault::syntax(at, CONTROL)),
                None => return Err(Fault::syntax(bytes.len(), UNCLOSED)),
            }
        }
        self.pos = at + 1;
        Ok(Text {
            raw: &self.text[start..at],
            escaped,
            at: start,
        })
    }

    /// The text up to the closing quote, when the string that is next has no
    /// escape; else nothing is read.
    #[inline]
    pub(crate) fn plain_string(&mut self) -> Option<&'a str> {
        let start = self.pos + 1;
        let end = next_special(self.text.as_bytes(), start);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        self.pos = end + 1;
        self.text.get(start..end)
    }

    /// Appends the string that is next, resolving its escapes on the way.
    pub(crate) fn append_string(&mut self, out: &mut Vec<u8>) -> Read<()> {
        let bytes = self.text.as_bytes();
        let mut at = self.pos + 1;
        loop {
            let next = next_special(bytes, at);
            out.extend_from_slice(&bytes[at..next]);
            match bytes.get(next) {
                Some(b'"') => {
                    self.pos = next + 1;
                    return Ok(());
                }
                Some(b'\\') => at = escape(bytes, next, 0, out)?,
                Some(_) => return Err(Fault::syntax(next, CONTROL)),
                None => return Err(Fault::syntax(bytes.len(), UNCLOSED)),
            }
        }
    }

    /// The number that is next, as written.
    pub(crate) fn number(&mut self) -> Read<&'a str> {
        let start = self.pos;
        if self.byte() == Some(b'-') {
            self.pos += 1;
        }
        match self.byte() {
            Some(b'0') => {
                self.pos += 1;
                if self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
                    return Err(Fault::syntax(start, "a number starts with a needless 0"));
                }
            }
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.unexpected("a value")),
        }
        if self.byte() == Some(b'.') {
            self.pos += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.pos += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.pos += 1;
            }
            self.some_digits()?;
        }
        Ok(&self.text[start..self.pos])
    }

    #[inline]
    fn digits(&mut self) {
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.pos += 1;
        }
    }

    fn some_digits(&mut self) -> Read<()> {
        if !self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.unexpected("a digit"));
        }
        self.digits();
        Ok(())
    }

    /// Steps over `true`, `false` or `null`.
    pub(crate) fn word(&mut self, word: &'static str) -> Read<()> {
        let rest = self.text.as_bytes().get(self.pos..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.unexpected("a value"));
        }
        self.pos += word.len();
        Ok(())
    }

    /// Steps over any value, checking that it is one.
    pub(crate) fn skip(&mut self) -> Read<()> {
        match self.peek()? {
            b'"' => {
                let text = self.string()?;
                if text.escaped {
                    text.append(&mut Vec::new())
                } else {
                    Ok(())
                }
            }
            b'{' => {
                let mut more = self.open_object()?;
                while more {
                    self.key()?;
                    self.skip()?;
                    more = self.next_member()?;
                }
                Ok(())
            }
            b'[' => {
                let mut more = self.open_array()?;
                while more {
                    self.skip()?;
                    more = self.next_element()?;
                }
                Ok(())
            }
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number().map(drop),
        }
    }

    /// The next value in the words of an error; it stays unread. Strings are
    /// not repeated: they may hold what no log should.
    pub(crate) fn describe(&mut self) -> String {
        let before = self.pos;
        let found = match self.peek() {
            Ok(b'"') => "a string".to_owned(),
            Ok(b'{') => "an object".to_owned(),
            Ok(b'[') => "an array".to_owned(),
            Ok(b't') => "true".to_owned(),
            Ok(b'f') => "false".to_owned(),
            Ok(b'n') => "null".to_owned(),
            Ok(_) => match self.number() {
                Ok(number) => format!("the number {}", crate::fault::shorten(number)),
                Err(_) => "no value".to_owned(),
            },
            Err(_) => "nothing".to_owned(),
        };
        self.pos = before;
        found
    }

    /// The position and depth to come back to.
    pub(crate) fn mark(&self) -> (usize, u32) {
        (self.pos, self.depth)
    }

    pub(crate) fn reset(&mut self, mark: (usize, u32)) {
        (self.pos, self.depth) = mark;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn skips_exactly_what_serde_json_accepts() {
        let cases = [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-1.5e+3",
            "1E9",
            r#""a\u00e9\ud83d\ude00""#,
            "[]",
            "{}",
            r#"{"a":[1,{"b":null}],"c":"d"}"#,
            " [ 1 , 2 ] ",
            "[1,]",
            "{,}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "nul",
            "tru",
            "\"",
            "\"\\",
            r#""\x""#,
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83dx""#,
            "\"\n\"",
            "[",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{1:2}",
            "",
            "1 2",
            "\u{e9}",
            "NaN",
            r#""\u12""#,
        ];
        for case in cases {
            let mut scanner = Scanner::new(case);
            let ours = scanner.skip().and_then(|()| scanner.end()).is_ok();
            let theirs = serde_json::from_str::<serde_json::Value>(case).is_ok();
            assert_eq!(ours, theirs, "{case}");
        }
    }

    #[test]
    fn depth_is_bounded_and_not_by_the_stack() {
        let deep = "[".repeat(1_000_000);
        assert!(Scanner::new(&deep).skip().is_err());
        let fits = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(Scanner::new(&fits).skip().is_ok());
    }
}
