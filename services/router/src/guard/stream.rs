//! Redaction of a text that arrives in pieces.
//!
//! The rule: no byte leaves before it is certain that no finding will cover it. The
//! end of what has arrived is held back and checked again together with what
//! follows; what has left stays as context in front, so that a detector sees the
//! same neighbourhood as in the whole text.
//!
//! How much is held back follows from two bounds on a finding, right context
//! included: one that holds whitespace (a card number in groups, a phone number) is
//! at most [`HoldBack::spaced`] bytes long, one that holds none (an email address) at
//! most [`HoldBack::unspaced`]. So a byte may leave once `spaced` bytes have followed
//! it and a whitespace lies between it and the held end, or once `unspaced` bytes
//! have followed. In ordinary prose that is a delay of `spaced` bytes, the word
//! begun before them, and [`STRIDE`], after which the rest follows at the model's
//! own pace. Under these bounds every way of cutting a text gives the redaction of
//! the whole text.

use std::{sync::Arc, time::Duration};

use super::{Finding, Guard, GuardError, Redacted, Verdict, ask};

/// Bytes that must have arrived since the last check before the next one.
const STRIDE: usize = 32;

/// How much of a text's end is held back, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HoldBack {
    /// The longest finding that holds whitespace.
    pub(crate) spaced: usize,
    /// The longest finding that holds none.
    pub(crate) unspaced: usize,
}

/// Why a stream may not go on.
#[derive(Debug, PartialEq)]
pub(crate) enum StreamGuardError {
    /// The guard blocks the text, for these kinds.
    Blocked(Vec<String>),
    /// The guard gave no verdict.
    Guard(GuardError),
}

impl From<GuardError> for StreamGuardError {
    fn from(error: GuardError) -> Self {
        Self::Guard(error)
    }
}

/// Lets through of a growing text what is safe.
pub(crate) struct StreamRedactor {
    guard: Arc<dyn Guard>,
    limit: Duration,
    hold_back: HoldBack,
    /// The end of what has left, as it was before redaction.
    context: String,
    /// What has arrived and not left.
    pending: String,
    /// Length of `pending` at which the next check is worth its price.
    next_check: usize,
}

impl StreamRedactor {
    /// A redactor whose every check may take `limit`.
    pub(crate) fn new(guard: Arc<dyn Guard>, limit: Duration, hold_back: HoldBack) -> Self {
        Self {
            guard,
            limit,
            hold_back,
            context: String::new(),
            pending: String::new(),
            next_check: 0,
        }
    }

    /// Takes a piece; returns what may leave, which is often nothing.
    pub(crate) async fn push(&mut self, piece: &str) -> Result<Redacted, StreamGuardError> {
        self.pending.push_str(piece);
        if self.pending.len() < self.next_check || self.ripe() == 0 {
            return Ok(Redacted::default());
        }
        let findings = self.check().await?;
        let cut = clear_of_findings(self.ripe(), &findings);
        let passed = self.release(cut, findings)?;
        // A finding without end makes the held text grow; an eighth more each time
        // keeps the work linear in the text.
        self.next_check = self.pending.len() + STRIDE.max(self.pending.len() / 8);
        Ok(passed)
    }

    /// The text has ended; returns all that is left of it.
    pub(crate) async fn finish(&mut self) -> Result<Redacted, StreamGuardError> {
        if self.pending.is_empty() {
            return Ok(Redacted::default());
        }
        let findings = self.check().await?;
        self.release(self.pending.len(), findings)
    }

    /// What is held back, unchecked; nothing is held after this.
    pub(crate) fn take_unchecked(&mut self) -> String {
        std::mem::take(&mut self.pending)
    }

    /// Length of the front of `pending` that no finding, as yet unseen, can cover.
    fn ripe(&self) -> usize {
        let length = self.pending.len();
        let any = self
            .pending
            .floor_char_boundary(length.saturating_sub(self.hold_back.unspaced));
        let front = self
            .pending
            .floor_char_boundary(length.saturating_sub(self.hold_back.spaced));
        let after_space = self.pending[..front]
            .char_indices()
            .rfind(|(_, character)| character.is_whitespace())
            .map_or(0, |(at, character)| at + character.len_utf8());
        any.max(after_space)
    }

    /// The findings in `pending`, with spans in it.
    async fn check(&self) -> Result<Vec<Finding>, StreamGuardError> {
        let text = format!("{}{}", self.context, self.pending);
        let verdict = ask(&*self.guard, vec![text.clone()], self.limit)
            .await?
            .pop()
            .unwrap_or_default();
        if verdict.blocked {
            return Err(StreamGuardError::Blocked(verdict.kinds()));
        }
        verdict.apply(&text)?;
        let left = self.context.len();
        let in_pending = verdict.findings.into_iter().filter(|one| one.end > left);
        Ok(in_pending
            .map(|finding| Finding {
                start: finding.start.saturating_sub(left),
                end: finding.end - left,
                ..finding
            })
            .collect())
    }

    /// Lets the first `cut` bytes of `pending` go.
    fn release(
        &mut self,
        cut: usize,
        mut findings: Vec<Finding>,
    ) -> Result<Redacted, StreamGuardError> {
        findings.retain(|finding| finding.end <= cut);
        let verdict = Verdict {
            findings,
            blocked: false,
        };
        let passed = verdict.apply(&self.pending[..cut])?;
        self.context.extend(self.pending.drain(..cut));
        self.trim_context();
        Ok(passed)
    }

    /// Keeps twice the longest finding as context: long enough that whatever the cut
    /// start of the context looks like, its end is judged as in the whole text.
    fn trim_context(&mut self) {
        let keep = 2 * self.hold_back.unspaced.max(self.hold_back.spaced);
        if self.context.len() > 2 * keep {
            let start = self.context.floor_char_boundary(self.context.len() - keep);
            self.context.drain(..start);
        }
    }
}

/// The longest front of at most `cut` bytes that splits no finding.
fn clear_of_findings(cut: usize, findings: &[Finding]) -> usize {
    findings
        .iter()
        .find(|finding| finding.start < cut && cut < finding.end)
        .map_or(cut, |finding| finding.start)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::guard::tests::{FailingGuard, FakeGuard};

    const HOLD_BACK: HoldBack = HoldBack {
        spaced: 24,
        unspaced: 64,
    };

    fn redactor() -> StreamRedactor {
        StreamRedactor::new(Arc::new(FakeGuard::new()), Duration::MAX, HOLD_BACK)
    }

    /// Everything that leaves, and the kinds, when `pieces` arrive.
    async fn redact(pieces: &[&str]) -> Redacted {
        let mut redactor = redactor();
        let mut all = Redacted::default();
        for piece in pieces {
            let passed = redactor.push(piece).await.unwrap();
            all.text.push_str(&passed.text);
            all.kinds.extend(passed.kinds);
        }
        let rest = redactor.finish().await.unwrap();
        all.text.push_str(&rest.text);
        all.kinds.extend(rest.kinds);
        all
    }

    #[tokio::test]
    async fn a_card_number_cut_at_every_space_never_leaves() {
        let pieces = [
            "My card is 4111",
            " 1111",
            " 1111",
            " 1111",
            " and that is all of it.",
        ];
        let redacted = redact(&pieces).await;
        assert_eq!(
            redacted.text,
            "My card is <CREDIT_CARD> and that is all of it."
        );
        assert_eq!(redacted.kinds, ["CREDIT_CARD"]);
    }

    #[tokio::test]
    async fn prose_leaves_a_window_and_a_word_behind_the_model() {
        let mut redactor = redactor();
        let (mut arrived, mut left) = (0, 0);
        for _ in 0..200 {
            arrived += 5;
            left += redactor.push("word ").await.unwrap().text.len();
            let behind = arrived - left;
            assert!(
                behind <= HOLD_BACK.spaced + STRIDE + 2 * 5,
                "{behind} bytes behind"
            );
        }
    }

    #[tokio::test]
    async fn text_without_any_whitespace_still_flows() {
        let mut redactor = redactor();
        let mut left = 0;
        for _ in 0..100 {
            left += redactor.push("漢字").await.unwrap().text.len();
        }
        assert!(left >= 600 - HOLD_BACK.unspaced - STRIDE - 12, "{left}");
    }

    #[tokio::test]
    async fn a_blocked_text_ends_the_stream_before_it_leaves() {
        let mut redactor = redactor();
        assert_eq!(redactor.push("This is FORBIDDEN").await.unwrap().text, "");
        let blocked = redactor.finish().await;
        assert_eq!(blocked, Err(StreamGuardError::Blocked(Vec::new())));
    }

    #[tokio::test]
    async fn a_failing_guard_lets_nothing_through_by_itself() {
        let error = GuardError::Unavailable("gone".to_owned());
        let guard = Arc::new(FailingGuard(error.clone()));
        let mut redactor = StreamRedactor::new(guard, Duration::MAX, HOLD_BACK);
        assert_eq!(redactor.push("secret").await, Ok(Redacted::default()));
        assert_eq!(redactor.finish().await, Err(StreamGuardError::Guard(error)));
        assert_eq!(redactor.take_unchecked(), "secret");
    }

    /// Words, digits and findings, often glued together.
    fn text() -> impl Strategy<Value = String> {
        let atom = prop_oneof![
            3 => "[a-z]{1,9}",
            2 => "[0-9]{1,5}",
            3 => "[ \n\u{a0}]",
            1 => "[-.@,é漢🚂]",
            2 => Just("123-45-6789".to_owned()),
            2 => Just("4111 1111 1111 1111".to_owned()),
            2 => Just("jane.doe@example.com".to_owned()),
        ];
        proptest::collection::vec(atom, 0..120).prop_map(|atoms| atoms.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_chunking_gives_the_redaction_of_the_whole_text(
            text in text(),
            sizes in proptest::collection::vec(1usize..40, 1..40),
        ) {
            let mut pieces = Vec::new();
            let mut rest = text.as_str();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at(rest.ceil_char_boundary(*size));
                pieces.push(piece);
                rest = after;
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let streamed = runtime.block_on(redact(&pieces));
            let whole = FakeGuard::new().verdict(&text).apply(&text).unwrap();
            prop_assert_eq!(streamed, whole);
        }
    }
}
