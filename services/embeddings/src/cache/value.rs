//! A result as bytes, for a store outside of the process.
//!
//! One byte of form (1), one of flags (bit 0: truncated), the tokens as 4 bytes and
//! the vector as 4 bytes a number, all little-endian.

use crate::request::Embedded;

const FORM: u8 = 1;
const HEADER: usize = 6;

pub(super) fn to_bytes(embedded: &Embedded) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + 4 * embedded.vector.len());
    bytes.extend_from_slice(&[FORM, u8::from(embedded.truncated)]);
    bytes.extend_from_slice(&embedded.tokens.to_le_bytes());
    for value in &embedded.vector {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// `None` where the bytes are not of a vector of `dimensions` finite numbers: what
/// other programs store is never trusted to be one.
pub(super) fn from_bytes(bytes: &[u8], dimensions: usize) -> Option<Embedded> {
    let (header, numbers) = bytes.split_at_checked(HEADER)?;
    let &[FORM, flags @ (0 | 1), ref tokens @ ..] = header else {
        return None;
    };
    let (numbers, rest) = numbers.as_chunks::<4>();
    if !rest.is_empty() || numbers.len() != dimensions {
        return None;
    }
    let vector: Vec<f32> = numbers
        .iter()
        .map(|number| f32::from_le_bytes(*number))
        .collect();
    Some(Embedded {
        tokens: u32::from_le_bytes(tokens.try_into().ok()?),
        truncated: flags == 1,
        vector: vector
            .iter()
            .all(|value| value.is_finite())
            .then_some(vector)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_stored_is_what_is_read(
            vector in prop::collection::vec(-1.0f32..1.0, 0..64), tokens: u32, truncated: bool,
        ) {
            let embedded = Embedded { vector, tokens, truncated };
            let bytes = to_bytes(&embedded);
            prop_assert_eq!(from_bytes(&bytes, embedded.vector.len()), Some(embedded));
        }

        #[test]
        fn other_bytes_are_no_result(bytes: Vec<u8>) {
            if let Some(embedded) = from_bytes(&bytes, 3) {
                prop_assert_eq!(to_bytes(&embedded), bytes);
            }
        }
    }

    #[test]
    fn a_cut_a_foreign_or_a_wrong_value_is_refused() {
        let embedded = Embedded {
            vector: vec![0.5, 0.25],
            tokens: 7,
            truncated: true,
        };
        let bytes = to_bytes(&embedded);
        assert!(from_bytes(&bytes, 2).is_some());
        assert!(from_bytes(&bytes, 3).is_none());
        assert!(from_bytes(&bytes[..bytes.len() - 1], 2).is_none());
        assert!(from_bytes(b"hello", 2).is_none());
        let mut wrong = bytes.clone();
        wrong[0] = 2;
        assert!(from_bytes(&wrong, 2).is_none());
        let mut wrong = bytes;
        wrong[6..10].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(from_bytes(&wrong, 2).is_none());
    }
}
