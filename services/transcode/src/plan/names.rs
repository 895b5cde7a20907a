//! Names to field indices, once for every key of every JSON object: the hottest
//! lookup there is, so it is a small open-addressing table with a hash that
//! reads a name's length and four of its bytes.

/// A fixed table of names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// A power of two long and at most half full, so that a probe always ends.
    slots: Vec<Option<(Box<[u8]>, u16)>>,
}

impl Names {
    /// Later entries for a name that is already there are left out.
    pub(crate) fn new<'a>(entries: impl Iterator<Item = (&'a str, u16)>) -> Self {
        let entries: Vec<_> = entries.collect();
        let size = (entries.len() * 2 + 1).next_power_of_two();
        let mut names = Self {
            slots: vec![None; size],
        };
        for (name, index) in entries {
            let mut at = names.start(name.as_bytes());
            while names.slots[at]
                .as_ref()
                .is_some_and(|(known, _)| **known != *name.as_bytes())
            {
                at = (at + 1) & (size - 1);
            }
            names.slots[at].get_or_insert_with(|| (name.as_bytes().into(), index));
        }
        names
    }

    #[inline]
    pub(crate) fn get(&self, name: &[u8]) -> Option<u16> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.start(name);
        while let Some((known, index)) = &self.slots[at] {
            if **known == *name {
                return Some(*index);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        None
    }

    #[inline]
    fn start(&self, name: &[u8]) -> usize {
        let byte = |at: usize| u32::from(name.get(at).copied().unwrap_or(0));
        let word = byte(0)
            | byte(name.len() / 3) << 8
            | byte(name.len() / 2) << 16
            | byte(name.len().wrapping_sub(1)) << 24;
        let hash = (word ^ name.len() as u32).wrapping_mul(0x9e37_79b1);
        (hash >> 15) as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        let known: Vec<String> = (0..300).map(|i| format!("field_{i}")).collect();
        let names = Names::new(known.iter().map(String::as_str).zip(0..));
        for (name, index) in known.iter().zip(0..) {
            assert_eq!(names.get(name.as_bytes()), Some(index));
        }
        assert_eq!(names.get(b""), None);
        assert_eq!(names.get(b"field_300"), None);
        assert_eq!(Names::default().get(b"x"), None);
    }
}
