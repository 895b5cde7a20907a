//! Token counts where nobody counted: before a provider has answered, and where it
//! sends no usage.
//!
//! The rule is one token for four ASCII bytes and one for every other character,
//! rounded up, plus four a message for the template around it. It is an estimate:
//! whatever is booked by it is marked so.

use crate::chat::Message;

/// Tokens that a chat template adds around one message.
const TEMPLATE_TOKENS: u64 = 4;

/// Estimated tokens of a text.
pub(crate) fn of_text(text: &str) -> u32 {
    let mut count = TextCount::default();
    count.add(text);
    count.tokens()
}

/// Estimated tokens of a conversation, template included.
pub(crate) fn of_messages(messages: &[Message]) -> u32 {
    let tokens: u64 = messages
        .iter()
        .map(|message| TEMPLATE_TOKENS + u64::from(of_text(&message.content)))
        .sum();
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

/// The estimate of a text that arrives in pieces: however it is cut, the count is
/// that of the whole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TextCount {
    ascii: u64,
    other: u64,
    pieces: u64,
}

impl TextCount {
    /// Counts one more piece.
    pub(crate) fn add(&mut self, piece: &str) {
        let ascii = piece.bytes().filter(u8::is_ascii).count();
        let characters = piece.chars().count();
        self.ascii += ascii as u64;
        self.other += (characters - ascii) as u64;
        self.pieces += u64::from(!piece.is_empty());
    }

    /// Estimated tokens so far.
    pub(crate) fn tokens(&self) -> u32 {
        u32::try_from(self.ascii.div_ceil(4) + self.other).unwrap_or(u32::MAX)
    }

    /// Estimated tokens of a generated text. A model never sends two pieces for one
    /// token, so there were at least as many tokens as pieces.
    pub(crate) fn generated(&self) -> u32 {
        self.tokens()
            .max(u32::try_from(self.pieces).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::Role;

    #[test]
    fn four_ascii_bytes_or_one_other_character_are_a_token() {
        assert_eq!(of_text(""), 0);
        assert_eq!(of_text("a"), 1);
        assert_eq!(of_text("abcd"), 1);
        assert_eq!(of_text("abcde"), 2);
        assert_eq!(of_text("你好"), 2);
    }

    #[test]
    fn a_message_counts_its_template() {
        let message = Message {
            role: Role::User,
            content: "abcd".to_owned(),
            name: None,
        };
        assert_eq!(of_messages(&[message.clone(), message]), 10);
    }

    #[test]
    fn every_piece_holds_at_least_one_token() {
        let mut count = TextCount::default();
        for piece in ["a", "b", "", "c"] {
            count.add(piece);
        }
        assert_eq!((count.tokens(), count.generated()), (1, 3));
    }

    proptest! {
        #[test]
        fn pieces_count_as_the_whole(pieces: Vec<String>) {
            let mut count = TextCount::default();
            pieces.iter().for_each(|piece| count.add(piece));
            prop_assert_eq!(count.tokens(), of_text(&pieces.concat()));
        }
    }
}
