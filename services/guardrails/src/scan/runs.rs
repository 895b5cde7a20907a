//! Long runs of letters, digits and the signs of base64: encoded texts, keys, addresses.
//!
//! A run is looked for by its length: at least one byte of every [`SHORTEST`] must belong
//! to it, so most of a text is not looked at.

use std::ops::Range;

use super::LOOK_AHEAD;

/// Characters of the shortest run: 18 bytes of base64, one less than an address.
pub(super) const SHORTEST: usize = 24;
/// Characters of the longest one; longer runs are pictures and programs.
const LONGEST: usize = 2048;
/// How far the search for runs has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    next: usize,
    /// The bytes up to `next` are those of a run that is too long.
    in_long: bool,
}

impl Runs {
    pub(super) fn rebase(&mut self, bytes: usize) {
        self.next = self.next.saturating_sub(bytes);
    }

    /// The next run that the text decides, and where its padding ends.
    pub(super) fn next(&mut self, bytes: &[u8], is_last: bool) -> Option<(Range<usize>, usize)> {
        if self.in_long {
            self.next += leading(&bytes[self.next..]);
            if self.next == bytes.len() {
                return None;
            }
            self.in_long = false;
        }
        loop {
            let probe = self.next + SHORTEST - 1;
            if probe >= bytes.len() {
                if !is_last {
                    self.next = bytes.len() - trailing(&bytes[self.next..]);
                }
                return None;
            }
            if !is_of_run(bytes[probe]) {
                self.next = probe + 1;
                continue;
            }
            let start = probe - trailing(&bytes[self.next..probe]);
            let limit = bytes.len().min(start + LONGEST + 1);
            let end = probe + leading(&bytes[probe..limit]);
            if end - start > LONGEST {
                self.next = end;
                self.in_long = true;
                return self.next(bytes, is_last);
            }
            // Padding may follow, and the judge of a run looks as far as any.
            let is_short = end - start < SHORTEST && end < bytes.len();
            if end + LOOK_AHEAD > bytes.len() && !is_short && !is_last {
                self.next = start;
                return None;
            }
            self.next = end;
            if end - start >= SHORTEST {
                let padding = bytes[end..].iter().take(2);
                let padding = padding.take_while(|byte| **byte == b'=').count();
                return Some((start..end, end + padding));
            }
        }
    }

    /// No run to come begins before this.
    pub(super) fn undecided(&self) -> usize {
        self.next
    }
}

fn is_of_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

fn leading(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| is_of_run(**byte)).count()
}

fn trailing(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rev()
        .take_while(|byte| is_of_run(**byte))
        .count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runs(text: &str) -> Vec<(Range<usize>, usize)> {
        let mut runs = Runs::default();
        std::iter::from_fn(|| runs.next(text.as_bytes(), true)).collect()
    }

    proptest! {
        #[test]
        fn every_run_of_a_length_between_the_bounds_is_met_once(
            lengths in prop::collection::vec(prop_oneof![0..60usize, 2030..2060usize], 0..6)
        ) {
            let text: String = lengths.iter().map(|length| "a".repeat(*length) + " ").collect();
            let found: Vec<usize> = runs(&text).into_iter().map(|(run, _)| run.len()).collect();
            let within = |length: &usize| (SHORTEST..=LONGEST).contains(length);
            let expected: Vec<usize> = lengths.into_iter().filter(within).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn a_text_that_grows_gives_the_same_runs(
            text in "([a-z]{0,30}[ =]{0,2}){0,8}",
            steps in prop::collection::vec(0..60usize, 0..8),
        ) {
            let mut growing = Runs::default();
            let mut found = Vec::new();
            let mut seen = 0;
            for step in steps {
                seen = text.len().min(seen + step);
                while let Some(run) = growing.next(&text.as_bytes()[..seen], false) {
                    found.push(run);
                }
                prop_assert!(growing.undecided() <= seen);
            }
            while let Some(run) = growing.next(text.as_bytes(), true) {
                found.push(run);
            }
            prop_assert_eq!(found, runs(&text));
        }
    }
}
