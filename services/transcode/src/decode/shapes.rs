//! What `OpenAI`'s clients send where a typed contract expects one shape. Which
//! fields take part is data in [`crate::openai`]; this is how they are read.

use super::{Decoder, scalar};
use crate::{
    fault::{Fault, Read},
    plan::{Accept, Card, Field, Kind, Message},
    wire,
};

impl Decoder<'_, '_> {
    /// Reads a value that only the field's quirk allows. False when plain
    /// proto3 JSON should be expected instead; then nothing was read.
    pub(super) fn loose(&mut self, message: &Message, field: &Field, first: u8) -> Read<bool> {
        match field.accept {
            Accept::Plain => Ok(false),
            Accept::WrapScalar => self.wrapped(field, first),
            Accept::StringOrParts { parts } => {
                if first != b'[' {
                    return self.string_or(first, "a string or an array of parts");
                }
                self.list(message.field(parts), false)?;
                Ok(true)
            }
            Accept::EmbeddingInput { tokens } => {
                self.embedding_input(message, field, tokens, first)
            }
        }
    }

    /// False for a string, which is plain; anything else is not expected.
    fn string_or(&mut self, first: u8, expected: &str) -> Read<bool> {
        if first == b'"' {
            Ok(false)
        } else {
            self.expected(expected)
        }
    }

    fn wrapped(&mut self, field: &Field, first: u8) -> Read<bool> {
        if first == b'[' {
            return Ok(false);
        }
        if field.kind == Kind::String && first != b'"' {
            return self.expected("a string or an array of strings");
        }
        self.single(field.kind, field.tag(), false)?;
        Ok(true)
    }

    fn embedding_input(
        &mut self,
        message: &Message,
        field: &Field,
        tokens: u16,
        first: u8,
    ) -> Read<bool> {
        const EXPECTED: &str =
            "a string, an array of strings, an array of token ids, or an array of such arrays";
        match first {
            b'"' => return self.wrapped(field, first),
            b'[' => {}
            _ => return self.expected(EXPECTED),
        }
        let ids = message.field(tokens);
        if !self.scan.open_array()? {
            return Ok(true);
        }
        match self.scan.peek()? {
            b'"' => self.elements(|decoder| {
                if decoder.scan.peek()? != b'"' {
                    return decoder.expected("a string, as the first element is");
                }
                decoder.string(field.tag(), false)
            })?,
            b'[' => self.elements(|decoder| {
                if decoder.scan.peek()? != b'[' {
                    return decoder.expected("an array of token ids, as the first element is");
                }
                let more = decoder.scan.open_array()?;
                decoder.token_array(ids, more, "a token id")
            })?,
            b'-' | b'0'..=b'9' => {
                self.token_array(ids, true, "a token id, as the first element is")?;
            }
            _ => {
                let expected = "a string, a token id, or an array of token ids";
                return self
                    .expected(expected)
                    .map_err(|fault: Fault| fault.at_index(0));
            }
        }
        Ok(true)
    }

    /// The elements of an array that is open and not empty.
    fn elements(&mut self, mut read: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        let (mut index, mut more) = (0, true);
        while more {
            read(self).map_err(|fault| fault.at_index(index))?;
            index += 1;
            more = self.scan.next_element()?;
        }
        Ok(())
    }

    /// One message of ids from an array that is open; `more`: it is not empty.
    fn token_array(&mut self, tokens: &Field, mut more: bool, expected: &str) -> Read<()> {
        let Kind::Message(index) = tokens.kind else {
            return Err(Fault::field("token ids are not accepted"));
        };
        let plan = self.plan;
        let Some(ids) = plan.message(index).fields.first() else {
            return Err(Fault::field("token ids are not accepted"));
        };
        wire::put_varint(self.out, tokens.len_tag());
        let outer = wire::open(self.out);
        if more {
            let packed = ids.card == Card::List { packed: true };
            let inner = packed.then(|| {
                wire::put_varint(self.out, ids.len_tag());
                wire::open(self.out)
            });
            let mut index = 0;
            while more {
                let id = match self.scan.peek()? {
                    b'-' | b'0'..=b'9' => self.scalar(ids.kind),
                    _ => self.expected(expected),
                };
                let id = id.map_err(|fault| fault.at_index(index))?;
                if !packed {
                    wire::put_varint(self.out, ids.tag());
                }
                scalar::Scalar::put(id, self.out);
                index += 1;
                more = self.scan.next_element()?;
            }
            if let Some(inner) = inner {
                wire::close(self.out, inner);
            }
        }
        wire::close(self.out, outer);
        Ok(())
    }
}
