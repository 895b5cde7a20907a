//! Where each byte of a folded text came from.

use std::ops::Range;

/// A map from the bytes of a folded text to those of the text as it came: stretches that
/// are the same but for a shift, and replacements between them. Empty for a text
/// that folding left as it was.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    /// Ascending by `folded`.
    changes: Vec<Change>,
    /// What the stretch before the first change is shifted by.
    shift: isize,
}

/// From `folded` on: a replacement of `length` bytes for the characters at `original`, then
/// a stretch that is the same.
#[derive(Clone, Debug)]
struct Change {
    folded: usize,
    length: usize,
    original: Range<usize>,
}

impl Change {
    /// The original place of a byte at or after this change's end.
    fn after(&self, at: usize) -> usize {
        self.original.end + (at - self.folded - self.length)
    }
}

impl Offsets {
    /// The original span of a span, not empty, of the folded text. Characters that were
    /// left out inside belong to it, those at its ends do not.
    pub(crate) fn span(&self, folded: Range<usize>) -> Range<usize> {
        let start = match self.change_at(folded.start) {
            None => folded.start.strict_add_signed(self.shift),
            Some(change) if folded.start < change.folded + change.length => change.original.start,
            Some(change) => change.after(folded.start),
        };
        start..self.end(folded.end)
    }

    /// The original end of the character that ends at `folded`.
    pub(crate) fn end(&self, folded: usize) -> usize {
        let Some(last) = folded.checked_sub(1) else {
            return 0_usize.strict_add_signed(self.shift);
        };
        match self.change_at(last) {
            None => folded.strict_add_signed(self.shift),
            Some(change) if last < change.folded + change.length => change.original.end,
            Some(change) => change.after(folded),
        }
    }

    /// The original place up to which what precedes `folded` reaches, without a
    /// character that stands on both sides of it.
    pub(crate) fn boundary(&self, folded: usize) -> usize {
        match self.change_at(folded) {
            Some(change) if change.folded < folded && folded < change.folded + change.length => {
                change.original.start
            }
            _ => self.end(folded),
        }
    }

    /// The last change at or before this byte of the folded text.
    fn change_at(&self, folded: usize) -> Option<&Change> {
        let later = self.changes.partition_point(|it| it.folded <= folded);
        later.checked_sub(1).map(|at| &self.changes[at])
    }

    /// The next `length` bytes stand for the characters at `original`.
    pub(super) fn replace(&mut self, folded: usize, length: usize, original: Range<usize>) {
        self.changes.push(Change {
            folded,
            length,
            original,
        });
    }

    /// What comes next stands at `original`: something before it was left out.
    pub(super) fn skip(&mut self, folded: usize, original: usize) {
        match self.changes.last_mut() {
            // A row of what is left out is one change.
            Some(last) if last.length == 0 && last.folded == folded => {
                last.original = original..original;
            }
            _ => self.replace(folded, 0, original..original),
        }
    }

    /// The folded text lost its first `bytes`.
    pub(super) fn cut(&mut self, bytes: usize) {
        let gone = self.changes.partition_point(|it| it.folded < bytes);
        // What precedes the first change left is a stretch; its shift is the last cut one's.
        match gone.checked_sub(1).map(|at| &self.changes[at]) {
            Some(last) => {
                // The cut is at a character, but a replacement of several bytes may
                // straddle it: its tail stays a replacement.
                let straddles = last.folded + last.length > bytes;
                let original = last.original.clone();
                let tail = last.folded + last.length - bytes.min(last.folded + last.length);
                let begins = if straddles {
                    original.end
                } else {
                    last.after(bytes)
                };
                self.changes.drain(..gone);
                for change in &mut self.changes {
                    change.folded -= bytes;
                }
                self.shift = begins.cast_signed();
                if straddles {
                    self.changes.insert(
                        0,
                        Change {
                            folded: 0,
                            length: tail,
                            original,
                        },
                    );
                }
            }
            None => {
                self.shift += bytes.cast_signed();
                for change in &mut self.changes {
                    change.folded -= bytes;
                }
            }
        }
    }
}
