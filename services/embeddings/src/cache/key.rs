//! Under which name a result is kept.
//!
//! Callers share the cache, so that nobody must be able to make a text whose name is
//! another text's: the name is 128 bits of SHA-256 over everything that the vector
//! depends on. To find any two texts of one name takes about 2^64 attempts, to find one
//! for a given text 2^128.

use sha2::{Digest as _, Sha256};
use signalbox_encoder::InputType;

use crate::request::Inputs;

/// 128 bits that name a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) [u8; 16]);

/// Changed when the meaning of names or of stored values changes, so that processes of
/// two versions that share a Redis do not read each other's.
const VERSION: u8 = 1;

/// All that texts of one request have in common: hashed once, and cloned for each text.
#[derive(Clone)]
pub struct KeyPrefix {
    hash: Sha256,
    /// Length of the vectors.
    pub(super) dimensions: usize,
}

impl KeyPrefix {
    /// Of this model, of these weights, computed with these options. `options` names
    /// whatever else changes a vector, such as the arithmetic. `dimensions` is the
    /// length of the model's own vectors.
    pub fn new(
        model: &str,
        revision: &str,
        dimensions: usize,
        input_type: InputType,
        options: &str,
    ) -> Self {
        let mut hash = Sha256::new();
        hash.update([VERSION]);
        for part in [model, revision, input_type.as_str(), options] {
            // With their lengths, so that no part can reach into the next.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update((dimensions as u64).to_le_bytes());
        Self { hash, dimensions }
    }

    /// The names of the inputs, in order.
    pub(crate) fn keys(&self, inputs: &Inputs) -> Vec<Key> {
        match inputs {
            Inputs::Texts(texts) => texts.iter().map(|text| self.text(text)).collect(),
            Inputs::TokenIds(all) => all.iter().map(|ids| self.token_ids(ids)).collect(),
        }
    }

    fn text(&self, text: &str) -> Key {
        let mut hash = self.hash.clone();
        hash.update(b"t");
        hash.update(text);
        finish(hash)
    }

    fn token_ids(&self, ids: &[u32]) -> Key {
        let mut hash = self.hash.clone();
        hash.update(b"i");
        for id in ids {
            hash.update(id.to_le_bytes());
        }
        finish(hash)
    }
}

fn finish(hash: Sha256) -> Key {
    let digest: [u8; 32] = hash.finalize().into();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    Key(key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn key(model: &str, revision: &str, kind: InputType, options: &str) -> Key {
        KeyPrefix::new(model, revision, 3, kind, options).text("text")
    }

    #[test]
    fn everything_that_a_vector_depends_on_changes_its_name() {
        let names = [
            key("model", "1", InputType::Unspecified, ""),
            key("model", "2", InputType::Unspecified, ""),
            key("other", "1", InputType::Unspecified, ""),
            key("model1", "", InputType::Unspecified, ""),
            key("model", "1", InputType::Query, ""),
            key("model", "1", InputType::Document, ""),
            key("model", "1", InputType::Unspecified, "query"),
            key("model", "1", InputType::Unspecified, "int8"),
            KeyPrefix::new("model", "1", 4, InputType::Unspecified, "").text("text"),
            KeyPrefix::new("model", "1", 3, InputType::Unspecified, "").text("texT"),
            // The bytes of `text`, as one token id.
            KeyPrefix::new("model", "1", 3, InputType::Unspecified, "").token_ids(&[0x7478_6574]),
        ];
        let distinct: BTreeSet<Key> = names.into_iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert_eq!(key("model", "1", InputType::Unspecified, ""), names[0]);
    }
}
