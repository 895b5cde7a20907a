//! A text that arrives in pieces, let through as soon as it is safe.
//!
//! What comes out is, piece by piece, what [`Engine::redact`](crate::Engine::redact)
//! makes of the whole text, for any way of cutting it; and no byte of a finding comes
//! out before the finding is decided. Held back is only the end that could still become
//! a part of a finding: in prose the last word, at most [`MAX_DELAY`] characters.

use std::sync::Arc;

use crate::{
    detector::registry,
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

/// What may be let through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// The next piece of the redacted text; empty when nothing is safe yet.
    pub text: String,
    /// The findings replaced in it, with their spans in the whole stream.
    pub findings: Vec<Finding>,
}

/// A text that is checked while it arrives.
#[derive(Debug)]
pub struct StreamCheck {
    engine: Arc<Engine>,
    wanted: Arc<[bool]>,
    /// What arrived and was not let through.
    original: String,
    /// Bytes and characters let through.
    through: CharCount,
    normaliser: Normaliser,
    progress: Progress,
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
            resolver: Resolver::default(),
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
        self.engine.admit(piece)?;
        self.original.push_str(piece);
        self.normaliser.push(piece);
        self.go_on(false)
    }

    /// Ends the stream and answers the rest.
    ///
    /// # Errors
    ///
    /// As [`Engine::check`](crate::Engine::check), but for the length.
    pub fn finish(mut self) -> Result<Piece, EngineError> {
        self.go_on(true)
    }

    /// Bytes that are held back.
    pub fn held_back(&self) -> usize {
        self.original.len()
    }

    fn go_on(&mut self, is_last: bool) -> Result<Piece, EngineError> {
        if is_last {
            self.normaliser.finish();
        }
        let undecided = self.engine.scanner().advance(
            &self.normaliser.text,
            is_last,
            &self.wanted,
            &mut self.progress,
            self.resolver.waiting(),
        )?;
        let mut kept = Vec::new();
        let safe = self.resolver.decide(undecided, |hit| kept.push(hit));
        let mut piece = Piece::default();
        for hit in kept {
            self.let_through_finding(&hit, &mut piece);
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
        self.resolver.rebase(seen);
        Ok(piece)
    }

    fn let_through_finding(&mut self, hit: &Hit, piece: &mut Piece) {
        let span = self.normaliser.offsets.span(hit.start..hit.end);
        // As for a whole text: two findings within one character are the first of them.
        if span.start < self.through.bytes {
            return;
        }
        self.let_through(span.start, &mut piece.text);
        let start = self.through;
        self.let_through(span.end, &mut String::new());
        let detector = registry::ALL[hit.detector];
        let finding = Finding {
            kind: detector.kind,
            detector: detector.name,
            start_byte: start.bytes,
            end_byte: self.through.bytes,
            start_char: start.chars,
            end_char: self.through.chars,
            score: hit.score,
            reasons: hit.reasons.clone(),
        };
        redact::write_label(&mut piece.text, &finding);
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
