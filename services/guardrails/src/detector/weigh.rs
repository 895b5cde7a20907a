//! How context turns a checked form into a score: many detectors differ only in the
//! two numbers.

use super::{Candidate, Verdict};

/// What a form is worth by itself, and beside a word of context.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worth {
    /// The score without context; `None` when the form alone proves too little.
    pub(super) alone: Option<f64>,
    /// The score beside one of the detector's words.
    pub(super) beside: f64,
    /// The reason that context gives, `context:...`.
    pub(super) context: &'static str,
}

impl Worth {
    /// A form that counts by itself.
    pub(super) const fn strong(alone: f64, beside: f64, context: &'static str) -> Self {
        Self {
            alone: Some(alone),
            beside,
            context,
        }
    }

    /// A form that counts only beside a word of context.
    pub(super) const fn weak(beside: f64, context: &'static str) -> Self {
        Self {
            alone: None,
            beside,
            context,
        }
    }

    /// The verdict on a candidate that passed `checks`. Asks for context, which costs
    /// more than a checksum: call it last.
    pub(super) fn verdict(
        self,
        candidate: &Candidate<'_>,
        checks: &[&'static str],
    ) -> Option<Verdict> {
        let near = candidate.has_context();
        let score = if near { self.beside } else { self.alone? };
        let verdict = Verdict::new(candidate.span(), score);
        let verdict = checks
            .iter()
            .fold(verdict, |verdict, check| verdict.because(check));
        Some(if near {
            verdict.because(self.context)
        } else {
            verdict
        })
    }
}
