//! A text that arrives in pieces, let through as soon as it is safe.
//!
//! What comes out is, piece by piece, what [`Engine::redact`](crate::Engine::redact)
//! makes of the whole text, for any way of cutting it; and no byte of a finding comes
//! out before the finding is decided. Held back is only the end that could still become
//! a part of a finding: in prose the last word, at most [`MAX_DELAY`] characters.

use std::sync::Arc;

use crate::{
    custom::MAX_MATCH_BYTES,
    engine::{Engine, EngineError, Selection},
    finding::Finding,
    normalise::Normaliser,
    offsets::CharCount,
    redact,
    resolve::{MAX_CLUSTER, Resolver},
    scan::{Hit, LOOK_AHEAD, LOOK_BEHIND, MAX_CANDIDATE, Progress},
};

/// The most characters that are held back, not counting those that are invisible.
pub const MAX_DELAY: usize = MAX_CLUSTER + MAX_CANDIDATE + LOOK_AHEAD;
/// What is held back for custom recognizers, of whose matches nothing is known but their
/// longest length.
const CUSTOM_DELAY: usize = MAX_MATCH_BYTES + LOOK_AHEAD;

/// What is written in place of a finding with this value; `None` leaves it as it is.
pub(crate) type Write<'w> = &'w mut dyn FnMut(&Finding, &str) -> Option<String>;

/// What may be let through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// The next piece of the redacted text; empty when nothing is safe yet.
    pub text: String,
    /// The findings replaced in it, with their spans in the whole stream.
    pub findings: Vec<Finding>,
    /// By finding: the byte of `text` at which what replaces it begins.
    pub(crate) places: Vec<usize>,
    /// By finding: its value.
    pub(crate) values: Vec<String>,
}

/// A text that is checked while it arrives.
#[derive(Debug)]
pub struct StreamCheck {
    engine: Arc<Engine>,
    selection: Selection,
    wanted: Arc<[bool]>,
    /// What arrived and was not let through.
    original: String,
    /// Bytes and characters let through.
    through: CharCount,
    normaliser: Normaliser,
    progress: Progress,
    /// Matches of custom recognizers that end up to here are found.
    custom_to: usize,
    resolver: Resolver,
}

impl StreamCheck {
    /// A stream of which nothing arrived yet.
    pub fn new(engine: Arc<Engine>, selection: &Selection) -> Self {
        Self {
            wanted: engine.wanted(selection),
            original: String::new(),
            through: CharCount::default(),
            normaliser: Normaliser::default(),
            progress: engine.scanner().begin(),
            custom_to: 0,
            resolver: Resolver::default(),
            selection: selection.clone(),
            engine,
        }
    }

    /// Takes the next piece, of any length, and answers what may be let through. Takes
    /// time in proportion to the piece and to what is held back.
    ///
    /// # Errors
    ///
    /// [`EngineError::TextTooLarge`] for a piece longer than a whole text may be;
    /// the stream is as it was before.
    pub fn push(&mut self, piece: &str) -> Result<Piece, EngineError> {
        self.push_with(piece, &mut label)
    }

    /// [`Self::push`] that writes something else than labels.
    pub(crate) fn push_with(
        &mut self,
        piece: &str,
        write: Write<'_>,
    ) -> Result<Piece, EngineError> {
        self.engine.admit(piece)?;
        self.original.push_str(piece);
        self.normaliser.push(piece);
        self.go_on(false, write)
    }

    /// Ends the stream and answers the rest.
    ///
    /// # Errors
    ///
    /// As [`Engine::check`](crate::Engine::check), but for the length.
    pub fn finish(self) -> Result<Piece, EngineError> {
        self.finish_with(&mut label)
    }

    /// [`Self::finish`] that writes something else than labels.
    pub(crate) fn finish_with(mut self, write: Write<'_>) -> Result<Piece, EngineError> {
        self.normaliser.finish();
        self.go_on(true, write)
    }

    /// Bytes that are held back.
    pub fn held_back(&self) -> usize {
        self.original.len()
    }

    fn go_on(&mut self, is_last: bool, write: Write<'_>) -> Result<Piece, EngineError> {
        let undecided = self.engine.scanner().advance(
            &self.normaliser.text,
            is_last,
            &self.wanted,
            &mut self.progress,
            self.resolver.waiting(),
        )?;
        let undecided = undecided.min(self.custom(is_last)?);
        let undecided = self.normaliser.text.floor_char_boundary(undecided);
        let mut kept = Vec::new();
        let safe = self.resolver.decide(undecided, |hit| kept.push(hit));
        let mut piece = Piece::default();
        for hit in kept {
            self.let_through_finding(hit, &mut piece, write);
        }
        let to = if is_last {
            self.through.bytes + self.original.len()
        } else {
            self.normaliser.offsets.boundary(safe)
        };
        self.let_through(to, &mut piece.text);
        let seen = safe.saturating_sub(LOOK_BEHIND);
        let seen = self.normaliser.text.floor_char_boundary(seen);
        self.normaliser.cut(seen);
        self.progress.rebase(seen);
        self.custom_to = self.custom_to.saturating_sub(seen);
        self.resolver.rebase(seen);
        Ok(piece)
    }

    /// Adds what custom recognizers find, and drops what is allowed. Answers before where
    /// they find nothing more.
    fn custom(&mut self, is_last: bool) -> Result<usize, EngineError> {
        let text = &*self.normaliser.text;
        let Some(extras) = self.selection.extras() else {
            return Ok(text.len());
        };
        let waiting = self.resolver.waiting();
        let mut undecided = text.len();
        if extras.finds() {
            // What is seen again was found before, but for what ended too near the end.
            let to = match is_last {
                true => text.len(),
                false => text.len().saturating_sub(LOOK_AHEAD).max(self.custom_to),
            };
            let mut found = Vec::new();
            extras
                .find(text, &mut found)
                .map_err(EngineError::Scanner)?;
            found.retain(|hit| self.custom_to < hit.end && hit.end <= to);
            waiting.append(&mut found);
            self.custom_to = to;
            if !is_last {
                undecided = to.saturating_sub(CUSTOM_DELAY - LOOK_AHEAD);
            }
        }
        waiting.retain(|hit| extras.keeps(text, hit));
        Ok(undecided)
    }

    fn let_through_finding(&mut self, hit: Hit, piece: &mut Piece, write: Write<'_>) {
        let span = self.normaliser.offsets.span(hit.start..hit.end);
        // As for a whole text: two findings within one character are the first of them.
        if span.start < self.through.bytes {
            return;
        }
        self.let_through(span.start, &mut piece.text);
        let start = self.through;
        let mut value = String::new();
        self.let_through(span.end, &mut value);
        let (kind, detector) = self.selection.describe(hit.detector);
        let finding = Finding {
            kind,
            detector,
            start_byte: start.bytes,
            end_byte: self.through.bytes,
            start_char: start.chars,
            end_char: self.through.chars,
            score: hit.score,
            reasons: hit.reasons,
        };
        piece.places.push(piece.text.len());
        match write(&finding, &value) {
            Some(replacement) => piece.text += &replacement,
            None => piece.text += &value,
        }
        piece.values.push(value);
        piece.findings.push(finding);
    }

    /// Moves the original text up to byte `to` of the stream into `out`.
    fn let_through(&mut self, to: usize, out: &mut String) {
        // A character that a finding covers is not let through again.
        let Some(length) = to.checked_sub(self.through.bytes) else {
            return;
        };
        let head = &self.original[..length];
        self.through.add(head);
        out.push_str(head);
        self.original.drain(..length);
    }
}

fn label(finding: &Finding, _: &str) -> Option<String> {
    let mut label = String::new();
    redact::write_label(&mut label, finding);
    Some(label)
}
