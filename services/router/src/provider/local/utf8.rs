//! Turns the bytes of tokens into text. One character may be spread over several
//! byte-level tokens, so bytes wait here until their character is complete.

/// Text from byte-level tokens, never with half a character at its end.
#[derive(Default)]
pub(super) struct Utf8Assembler {
    pending: Vec<u8>,
}

impl Utf8Assembler {
    /// Adds bytes and takes what is complete. Bytes that can never become a character
    /// are replaced by U+FFFD, as `String::from_utf8_lossy` does.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut complete = 0;
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            complete += chunk.valid().len();
            let invalid = chunk.invalid();
            let ends_here = complete + invalid.len() == self.pending.len();
            if ends_here && may_continue(invalid) {
                break;
            }
            if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                complete += invalid.len();
            }
        }
        self.pending.drain(..complete);
        text
    }
}

/// Whether these bytes are the beginning of a character rather than rubbish.
fn may_continue(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => false,
        Err(error) => error.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_pieces(bytes: &[u8], cuts: &[usize]) -> String {
        let mut assembler = Utf8Assembler::default();
        let mut text = String::new();
        let mut rest = bytes;
        for cut in cuts {
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            text.push_str(&assembler.push(piece));
            rest = tail;
        }
        text + &assembler.push(rest)
    }

    #[test]
    fn half_a_character_waits_for_its_other_half() {
        let mut assembler = Utf8Assembler::default();
        assert_eq!(assembler.push(&[b'a', 0xf0, 0x9f]), "a");
        assert_eq!(assembler.push(&[0x98]), "");
        assert_eq!(assembler.push(&[0x80, b'b']), "😀b");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut assembler = Utf8Assembler::default();
        assert_eq!(assembler.push(&[0xff, b'a', 0xc3]), "\u{fffd}a");
        assert_eq!(assembler.push(b"("), "\u{fffd}(");
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_text(text in ".{0,40}", cuts in prop::collection::vec(0usize..5, 0..60)) {
            prop_assert_eq!(in_pieces(text.as_bytes(), &cuts), text);
        }

        #[test]
        fn any_cutting_of_any_bytes_gives_the_same_text(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            cuts in prop::collection::vec(0usize..5, 0..60),
        ) {
            prop_assert_eq!(in_pieces(&bytes, &cuts), in_pieces(&bytes, &[]));
        }
    }
}
