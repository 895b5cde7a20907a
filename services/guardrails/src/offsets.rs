//! Byte offsets to character offsets. Counting from the start for each finding would
//! be quadratic, so the count goes on from the last one.

/// Counts the characters before ascending byte offsets of one text.
pub(crate) struct CharOffsets<'t> {
    text: &'t str,
    byte: usize,
    char: usize,
}

impl<'t> CharOffsets<'t> {
    /// Starts at the beginning of `text`.
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            byte: 0,
            char: 0,
        }
    }

    /// The number of code points before `byte`, which is a character boundary and not
    /// before the last one asked for.
    pub(crate) fn at(&mut self, byte: usize) -> usize {
        self.char += self.text[self.byte..byte].chars().count();
        self.byte = byte;
        self.char
    }
}

/// A place in a text, in bytes and in characters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CharCount {
    /// Bytes before it.
    pub(crate) bytes: usize,
    /// Code points before it.
    pub(crate) chars: usize,
}

impl CharCount {
    /// Goes on by `text`.
    pub(crate) fn add(&mut self, text: &str) {
        self.bytes += text.len();
        self.chars += text.chars().count();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_char_indices(text in any::<String>()) {
            let mut offsets = CharOffsets::new(&text);
            for (char, (byte, _)) in text.char_indices().enumerate() {
                prop_assert_eq!(offsets.at(byte), char);
            }
            prop_assert_eq!(offsets.at(text.len()), text.chars().count());
        }
    }
}
