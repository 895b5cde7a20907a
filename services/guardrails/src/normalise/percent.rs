//! `%40` for `@`: percent-encoding after RFC 3986 section 2.1.

/// A `%`, and perhaps a digit, that may become a character.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Open {
    bytes: [u8; 2],
    length: usize,
}

/// What the next character makes of it.
pub(super) enum Step {
    /// It belongs to what is open now; what was open before stays as it is.
    Opened(Open),
    /// What was open is this character of ASCII.
    Closed(char),
    /// What was open stays as it is, and the character is one by itself.
    Plain(Open),
}

impl Open {
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn as_str(&self) -> &str {
        // Only ASCII is ever opened.
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    pub(super) fn take(&mut self, c: char) -> Step {
        match (self.length, c) {
            (_, '%') => {
                let opened = Self {
                    bytes: [b'%', 0],
                    length: 1,
                };
                Step::Opened(std::mem::replace(self, opened))
            }
            (1, _) if c.is_ascii_hexdigit() => {
                self.bytes[1] = c as u8;
                self.length = 2;
                Step::Opened(Self::default())
            }
            (2, _) if let Some(ascii) = spelled(self.bytes[1], c) => {
                *self = Self::default();
                Step::Closed(ascii)
            }
            _ => Step::Plain(std::mem::take(self)),
        }
    }
}

/// The character with these two hexadecimal digits, if it is one of a word or an address;
/// others would end the URL that they stand in.
fn spelled(high: u8, low: char) -> Option<char> {
    let code = char::from(high).to_digit(16)? << 4 | low.to_digit(16)?;
    char::from_u32(code).filter(|c| c.is_ascii_alphanumeric() || "@.-_+:/".contains(*c))
}

/// Whether `text` spells any character so.
pub(super) fn is_in(text: &str) -> bool {
    text.as_bytes()
        .windows(3)
        .any(|three| three[0] == b'%' && spelled(three[1], char::from(three[2])).is_some())
}
